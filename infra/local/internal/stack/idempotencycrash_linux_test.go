package stack_test

import (
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
)

// killGateways ends the gateways that run from a directory, as a crash does.
func killGateways(t testing.TB, directory string) {
	t.Helper()
	killed := 0
	for id, name := range processes(t, directory) {
		if name == "gateway" {
			killed++
			if err := syscall.Kill(id, syscall.SIGKILL); err != nil {
				t.Error(err)
			}
		}
	}
	if killed == 0 {
		t.Error("there is no process called gateway")
	}
}

// A gateway that dies between acquiring the key and starting the state machine leaves a record that nobody completes or
// releases. Nothing was sent upstream, but nobody can know that: until the lease ends, 30 s after the request's deadline,
// the key is in use. Then the next request is carried out.
func TestAKeyWhoseGatewayDiedBeforeItStartedAnythingIsFreeWhenItsLeaseEnds(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusCreated))
	directory := t.TempDir()
	written := make(chan struct{})
	s := tapped(t, u.URL, func(w http.ResponseWriter, r *http.Request, operation string, next http.Handler) {
		select {
		case <-written:
			next.ServeHTTP(w, r)
		default:
			carryOut(r, next)
			close(written)
			<-r.Context().Done() // the gateway dies before it has the answer
		}
	}, ownBinaries(directory))
	d := tableOf(t, s)
	began := time.Now()
	first := make(chan answer)
	go func() { first <- order(t, s, "{}", "Prefer", "wait=20") }()
	<-written
	killGateways(t, directory)
	if a := <-first; a.Status != http.StatusBadGateway {
		t.Errorf("the caller of the gateway that died got %d %s, want 502", a.Status, a.Body)
	}
	r := d.record()
	if r.Status != idempotency.InProgress || r.Owner == "" || r.Data != nil {
		t.Errorf("the record that is left is %+v, want one in progress", r)
	}
	if lease := r.LeaseEnd.Sub(began); lease < 50*time.Second || lease > time.Since(began)+50*time.Second {
		t.Errorf("its lease ends %v after the request was sent, want the 20 s of its deadline and 30 s more", lease)
	}

	order(t, s, "{}", "Prefer", "wait=1").problem(t, http.StatusConflict, "idempotency-key-in-use")
	d.endLease()
	if a := order(t, s, "{}"); a.Status != http.StatusCreated || a.replayed() {
		t.Errorf("after the lease's end the answer is %d %s %v, want the upstream's", a.Status, a.Body, a.Header)
	}
	if after := d.record(); after.Status != idempotency.Completed || after.Owner == r.Owner {
		t.Errorf("in the end the record is %+v, want a completed one of the second request", after)
	}
}

func TestDuplicatesThatWaitAreAnsweredAlthoughTheFirstOnesGatewayDied(t *testing.T) {
	t.Parallel()
	upstream, called, release := held(respond(http.StatusCreated, "made once"))
	url := serve(t, upstream)
	directory := t.TempDir()
	const duplicates = 5
	all := make(chan struct{})
	s := start(t, url, ownBinaries(directory), gatewayCalls(func(n int32) {
		if n == 1+duplicates {
			close(all)
		}
	}))
	first := make(chan answer)
	go func() { first <- order(t, s, "{}") }()
	<-called
	killGateways(t, directory) // there is one so far
	if a := <-first; a.Status != http.StatusBadGateway {
		t.Errorf("the caller of the gateway that died got %d %s, want 502", a.Status, a.Body)
	}
	answers := make(chan answer)
	for range duplicates {
		go func() { answers <- order(t, s, "{}") }()
	}
	<-all
	close(release)
	for range duplicates {
		if a := <-answers; a.Status != http.StatusCreated || a.Body != "made once" || !a.replayed() {
			t.Errorf("a duplicate got %d %s %v, want the answer to the first request", a.Status, a.Body, a.Header)
		}
	}
}
