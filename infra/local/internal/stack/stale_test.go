package stack_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// closesSoon is an upstream that closes a connection a moment after its answer, although it promised to keep it: Node does
// so after 5 s, gunicorn after 2. A proxy that is frozen does not see it.
func closesSoon(t *testing.T, requests *atomic.Int32) string {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.WriteHeader(http.StatusCreated)
	}))
	server.Config.ConnState = func(conn net.Conn, state http.ConnState) {
		if state == http.StateIdle {
			time.AfterFunc(10*time.Millisecond, func() { conn.Close() })
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

// Attack C1: nine of nine POSTs failed that never left, because the proxy took a connection that had been closed while it
// was frozen.
func TestAPostAfterAPauseIsNotLostOnAConnectionThatTheUpstreamHasClosed(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	s := start(t, closesSoon(t, &requests))
	for i := range 10 {
		if a := send(t, s, http.MethodPost, "/orders", "tea"); a.Status != http.StatusCreated {
			t.Errorf("request %d was answered with %d %s", i+1, a.Status, a.Body)
		}
		time.Sleep(30 * time.Millisecond) // in which the upstream closes, while the proxy is frozen
	}
	if requests.Load() != 10 {
		t.Errorf("ten POSTs became %d requests", requests.Load())
	}
}
