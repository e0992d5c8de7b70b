// Package terminal writes to standard output and standard error what a stack on this machine has to say: nothing that
// somebody else's text holds can move the cursor, change colours, forge a line or hide what is beside it, and a reader
// that goes away is noticed.
package terminal
