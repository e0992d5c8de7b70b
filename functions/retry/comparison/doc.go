// Package comparison puts the policy of package retry, as package retryhttp applies it, beside other libraries that repeat
// requests: the libraries themselves, over real HTTP, each as it comes. Its test plays each of them against the same scripted
// upstreams, in virtual time:
//
//	go test -v -run TestComparison
//	go test -run TestComparison -write ../../../docs/retry.md
//
// The second form puts the table between the two markers in a file. The package is a module of its own, so that whoever
// imports the policy never sees the libraries.
package comparison
