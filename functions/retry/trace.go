package retry

import (
	"net/http/httptrace"
	"sync"
)

// A Trace sees how far one attempt gets. Attach it to the request's context with [Trace.ClientTrace]; when the attempt
// fails, [ClassifyFailure] reads it. The zero Trace is ready for use, for one request. It is safe for concurrent use,
// since the hooks are called from the transport's goroutines.
type Trace struct {
	mu    sync.Mutex
	stage stage
}

// A stage is how far an attempt got.
type stage int

const (
	unsent     stage = iota // the transport refused the request before it looked for a connection
	started                 // the transport is looking for a connection
	resolving               // the name is being looked up
	connecting              // the connection is being opened
	handshake               // the TLS handshake is going on
	connected               // the request has a connection: from here on, bytes of it may have been sent
	written                 // the whole request is written
	answered                // the first byte of the answer is here
)

// ClientTrace returns the hooks to attach, with [httptrace.WithClientTrace].
func (t *Trace) ClientTrace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		// Also called when the transport tries a request again by itself, which it does after an idle connection
		// turned out to be closed: what was seen on that one no longer counts.
		GetConn: func(string) {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.stage = started
		},
		DNSStart:          func(httptrace.DNSStartInfo) { t.reach(resolving) },
		ConnectStart:      func(string, string) { t.reach(connecting) },
		TLSHandshakeStart: func() { t.reach(handshake) },
		GotConn:           func(httptrace.GotConnInfo) { t.reach(connected) },
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			if info.Err == nil {
				t.reach(written)
			}
		},
		GotFirstResponseByte: func() { t.reach(answered) },
	}
}

// Connecting and Connected note that a connection for the request is being made, and that there is one. They are for those
// who make connections apart from requests, by [net/http.Transport.NewClientConn], where GetConn and GotConn are not
// called.
func (t *Trace) Connecting() { t.reach(started) }

// Connected is described with [Trace.Connecting].
func (t *Trace) Connected() { t.reach(connected) }

// reach notes a stage, unless a later one was reached: a connection that is still being opened when an idle one becomes
// free does not take the request back.
func (t *Trace) reach(s stage) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stage = max(t.stage, s)
}

func (t *Trace) reached() stage {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stage
}
