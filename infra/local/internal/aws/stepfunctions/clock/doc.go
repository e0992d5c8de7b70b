// Package clock holds the clocks that state machines run on: the real one, one whose waits pass faster, and a virtual
// one on which a wait of hours takes no time at all.
package clock
