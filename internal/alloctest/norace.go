//go:build !race

package alloctest

// RaceEnabled tells whether the race detector is on. It allocates by itself.
const RaceEnabled = false
