// Package lambda runs Lambda functions on this machine: the real bootstrap binaries of the OS-only runtime
// provided.al2023, each in its own process behind a Runtime API, as many at once as there are concurrent invocations.
//
// A [Host] holds functions. [Host.Invoke] calls one; [Host.ServeHTTP] answers the part of the Lambda HTTP API that
// invokes, lists and describes functions, so that the AWS CLI and SDKs work unmodified; [FunctionURL] is the handler
// that turns an HTTP request into an event of payload format 2.0 and the function's answer into an HTTP response.
//
// # Sandboxes
//
// One process is one sandbox (Lambda's execution environment). It serves one invocation at a time. An invocation takes
// the sandbox that became idle last; where none is idle a new process is started (a cold start). Sandboxes that stay
// idle for [Config.IdleTimeout] are ended. An invocation ends, and its concurrency is given back, when the process asks
// for the next one, when it exits, or when the function's timeout kills it. A process that exits is not restarted until
// there is an invocation for it.
//
// # What differs from Lambda
//
// A process is not frozen between invocations, memory and CPU are not limited to what the function's memory size would
// buy, file systems are this machine's own (LAMBDA_TASK_ROOT is the directory of the binary, /tmp is shared), layers,
// extensions and streamed responses do not exist, requests are not authorised, invocations are not limited to ten a
// second for each unit of concurrency, and an asynchronous invocation is tried once, without Lambda's two retries and
// without destinations.
//
// # Lifetime of processes
//
// [Host.Close] ends every process. Should the host itself be killed, Linux ends its functions with it
// (PR_SET_PDEATHSIG). On other systems a function ends when its connection to the Runtime API breaks, which is what the
// Go runtime client does with a next request that fails. The package is for Linux, macOS and other Unix systems.
package lambda
