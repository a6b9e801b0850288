//go:build !race

package klime

const raceEnabled = false
