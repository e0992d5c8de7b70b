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
// # Freezing
//
// Between invocations a sandbox is frozen: its process group is stopped (SIGSTOP) once the process, having answered, asks
// for more work, and continued (SIGCONT) with the next invocation. Nothing of it runs meanwhile: no timer fires, and
// nobody reads what arrives on its connections. When it goes on, the invocation is there together with all that came
// meanwhile, such as the end of a connection, and it may well write to that connection before it has seen the end. The
// initialisation is not interrupted. [Config.KeepRunning] lets processes run on.
//
// # What differs from Lambda
//
// Memory and CPU are not limited to what the function's memory size would buy, file systems are this machine's own
// (LAMBDA_TASK_ROOT is the directory of the binary, /tmp is shared), layers, extensions and streamed responses do not
// exist, requests are not authorised, invocations are not limited to ten a second for each unit of concurrency, and an
// asynchronous invocation is tried once, without Lambda's two retries and without destinations.
//
// # Lifetime of processes
//
// [Host.Close] ends every process, a frozen one too. Should the host itself be killed, Linux ends its functions with it
// (PR_SET_PDEATHSIG, by SIGKILL, which a frozen process cannot outlive). On other systems the kernel continues a frozen
// process, because the host's death orphans its process group (POSIX, _exit, "consequences of process termination"): it
// gets SIGHUP, which ends it, and SIGCONT. Should SIGHUP be ignored, as under nohup, it ends as one that was running does:
// its connection to the Runtime API is broken, and the Go runtime client exits when a next request fails. The kernel
// looks after the children of functions in the same way, on Linux too; they are left frozen only if what adopts orphans
// is in the host's session, such as a shell that is the first process of a container.
//
// The package is for Linux, macOS and other Unix systems.
package lambda
