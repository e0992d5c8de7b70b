// Package stacktest tests what a stack with a RetryingApiProxy does with its upstream's answers: which attempts it makes,
// through which proxy, how long it waits between them and why, and what the caller gets. It runs in go test, on one
// machine, without AWS and without containers.
//
// A [Bench] runs a synthesised stack: the real handlers as Lambda functions, the synthesised state machine, the table, and
// the secrets that it is given (see [Secrets]). The test says what the upstream answers, sends a request, and looks at the
// [Run]:
//
//	bench := stacktest.Load(t, "cdk.out")
//	bench.Upstream(
//		stacktest.Answer(429, "Retry-After", "240"),
//		stacktest.Answer(200).Body("done"),
//	)
//	run := bench.Run(stacktest.Get("/orders").Wait(280 * time.Second))
//	// run.StatusCode is 200, run.Attempts[0].Wait at least 240 s, and the test took some milliseconds
//
// If the test fails, its log says what was done with each request, line by line.
//
// # Time
//
// Waits pass on a virtual clock: the Wait states of the state machine, the parts of waits below a second, and the waits of
// retries of a Task. To the proxies and their policy it looks as if they had passed: deadlines come nearer, and limits
// end. The limits of workflows hold on that clock. The gateway's state machine is an Express one, which ends after five
// minutes; a wait that does not fit before the deadline is not begun, and the caller is told at once.
//
// What the functions do takes real time, and none on the virtual clock. An upstream that hangs is waited for until the
// attempt's timeout, which is 10 s if the policy does not say otherwise; give the bench a policy with a shorter one (see
// [Policy]). The gateway's own wait, for an earlier request with the same Idempotency-Key, is real, too.
//
// Queues of the stack, and the event sources that read them, go by real time: a message that failed comes again after its
// visibility timeout.
//
// # Level of the definition
//
// [Bench.Machine] runs any state machine of the stack by itself, with any input, and with functions of the test in the
// place of those of the stack, on a virtual clock of its own. That shows hours and days of a Standard workflow.
// [Bench.Execution] shows them of an execution that the stack itself has started.
package stacktest
