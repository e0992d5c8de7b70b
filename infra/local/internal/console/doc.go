// Package console is a page that shows what a local stack does with requests, and the plain JSON behind it.
//
// It stands at [Path] on the function URL's address:
//
//	GET  /-/local/                   the page
//	GET  /-/local/definition         the state machine: states and transitions
//	GET  /-/local/executions         the executions, those that started last first
//	GET  /-/local/executions/{name}  an execution with its history
//	GET  /-/local/records            the idempotency records
//	GET  /-/local/gates              the items of the gate, and the metrics that the functions have logged
//	GET  /-/local/requests           what was sent from the page, and the answers
//	POST /-/local/requests           sends a request, once or several times at once
//	GET  /-/local/upstream           what is called, how often it was, and the settings of the demo upstream
//	PUT  /-/local/upstream           changes these settings
//	GET  /-/local/events             all of it, and then what changes, as server-sent events
//
// The executions show method, path, statuses and times, and neither queries, header fields nor bodies; the answers to
// requests that were sent from the page are shown in full. Everything is in memory and bounded.
//
// Only a browser or program on this machine that names the address as localhost or as a loopback address is answered,
// and not for a page of another site, which may open the page by a link and do nothing else: see package localonly.
package console
