//go:build race

package klime

// raceEnabled: under the race detector sync.Pool drops at random, and
// allocations are not those of production.
const raceEnabled = true
