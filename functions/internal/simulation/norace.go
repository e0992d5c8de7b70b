//go:build !race

package simulation

// UnderRace says that the race detector is on.
const UnderRace = false
