//go:build race

package conformance

// RaceEnabled tells whether the race detector is on. It allocates by itself.
const RaceEnabled = true
