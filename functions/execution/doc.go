// Package execution keeps what gateway and proxies know of an asynchronous request, in the table of idempotency records, so
// that nothing of it has to travel through the state machine: the history of a Standard workflow is kept for 90 days, and
// anybody who may look at executions can read it.
//
// An execution is named by the hash of its id ([Name]). The id is the secret of whoever started it, and stands nowhere but in
// the idempotency record of a request that has one.
//
// There are up to three kinds of items:
//
//	<prefix>#execution:<name>     an [Execution]: how far it is. Small, written twice by every attempt.
//	<prefix>#request:<name>       the request, of up to [MaxPartBytes]
//	<prefix>#answer:<name>:<n>    what the n-th attempt was answered, if that was the end
//
// Every write of an Execution is conditional on the one before it, by its revision. So of a proxy that was given up, of its
// successor, and of a caller who stops the execution, the first to write decides, and the others find out. A part is written
// before the Execution that refers to it, and lives no shorter.
package execution
