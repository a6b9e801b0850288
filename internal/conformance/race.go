//go:build race

package conformance

// RaceEnabled says that the race detector is on, which allocates by itself.
const RaceEnabled = true
