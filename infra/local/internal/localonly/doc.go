// Package localonly keeps other machines and pages of other sites away from what a program serves to its own machine
// without asking who is there.
//
// Listening on a loopback address does not do that alone. A page of another site can have requests sent to it, though it
// cannot read the answers; and by a name of its own that it has lead to a loopback address (DNS rebinding) it can read
// them as well.
package localonly
