// Package handler is what the function behind the URL does: it turns an HTTP request into a call, has the state machine
// carry it out, and turns what comes back into an HTTP response.
package handler
