// Package gobuild compiles Go programs into Lambda functions. Package gofunction uses it at synthesis, and the local run
// for the machine that it is on; it does not import the CDK.
//
// A handler is named by the import path of its main package, which is resolved from the current directory, as the go
// command does it. The binaries are kept in the user's cache directory.
package gobuild
