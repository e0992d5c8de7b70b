//go:build race

package simulation

// UnderRace says that the race detector is on. It takes minutes for what takes seconds without it, and ends at 8,128
// goroutines, of which each request that waits is one.
const UnderRace = true
