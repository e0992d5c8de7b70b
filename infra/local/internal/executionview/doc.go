// Package executionview reads what there is to tell of an execution from the envelopes that travel between its states: what was
// asked, which attempts were made, and what came of it. Header fields, query and bodies stay where they are, since they
// may hold secrets.
//
// Anybody can start an execution with any input, so what is not an envelope is read as an empty one.
package executionview
