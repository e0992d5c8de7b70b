// Package handler is what the function behind the URL does: it turns an HTTP request into a call, has the state machine
// carry it out, and turns what comes back into an HTTP response. A request may also come as an event of its own form, or as
// a message of a queue.
package handler
