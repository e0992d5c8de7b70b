package stack_test

import (
	"net/http"
	"testing"
	"time"
)

// TestAGatewayThatWasFrozenWhileItsConnectionWasClosedNeverGuesses has the endpoint of Step Functions close the gateway's
// connection while the gateway is frozen, so that it finds out only when it uses it. Nothing of the request is sent then,
// and the gateway knows that: the execution is started on another connection, or the caller is told that it was not.
func TestAGatewayThatWasFrozenWhileItsConnectionWasClosedNeverGuesses(t *testing.T) {
	t.Parallel()
	s := start(t, serve(t, status(http.StatusOK)), idle(0, 50*time.Millisecond))
	get(t, s, "/") // the cold starts
	for i := range 40 {
		time.Sleep(100 * time.Millisecond)
		// Without a key the connection to Step Functions is the first that is used.
		if a := send(t, s, http.MethodPost, "/", ""); a.Status != http.StatusOK && a.Status != http.StatusServiceUnavailable {
			t.Errorf("request %d was answered with %d %s, want 200 or 503", i+1, a.Status, a.Body)
		}
	}
}

// TestFunctionsThatWereFrozenWhileTheTableClosedTheirConnectionAreHeldUpByNoGate is the same for the table, which every request
// asks for a ticket.
func TestFunctionsThatWereFrozenWhileTheTableClosedTheirConnectionAreHeldUpByNoGate(t *testing.T) {
	t.Parallel()
	s := start(t, serve(t, status(http.StatusOK)), idle(0, 50*time.Millisecond),
		environment("gateway", "GATE", `{"flowControl":{"mode":"fixed","rate":1000,"burst":100}}`))
	get(t, s, "/orders") // the cold starts
	for i := range 10 {
		time.Sleep(100 * time.Millisecond)
		if a := get(t, s, "/orders"); a.Status != http.StatusOK {
			t.Errorf("request %d was answered with %d %s, want 200", i+1, a.Status, a.Body)
		}
	}
	if item := knownOfOrders(t, s); item == nil || item["ticket"].(float64) < 1 {
		t.Errorf("no ticket was taken: %v", item)
	}
}
