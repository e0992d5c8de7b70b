package handler

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// While it started, others may have been limited, of which the gateway did not know when it let the request through.
func TestASandboxThatStartsHasARequestThatWasLetThroughTakeATicket(t *testing.T) {
	t.Parallel()
	r, u := answering(t, adaptive, retry.Policy{}, "200")
	r.store.Put(r.queue(10, 1))
	final, delays := r.play(t, r.let(known))
	if want := []time.Duration{5 * time.Second, 2500 * time.Millisecond, 1250 * time.Millisecond, 1250 * time.Millisecond}; !slices.Equal(delays, want) {
		t.Errorf("behind 10 others at one a second the state machine is told to wait %v, want %v", delays, want)
	}
	if want := []time.Duration{10 * time.Second}; !slices.Equal(u.calls(), want) || final.Outcome != retry.Succeeded || len(final.Attempts) != 1 {
		t.Errorf("the upstream is called after %v, and it ends %s with %d attempts; want one call after %v", u.calls(), final.Outcome, len(final.Attempts), want)
	}
	if final.Gate.Ticket != 11 || final.Gate.Waited != 10_000 || final.Gate.Refused != "" {
		t.Errorf("the answer says of the gate %+v, want 10 s with ticket 11", final.Gate)
	}
}

func TestASandboxLooksBeforeItsFirstCallAndBeforeNoOther(t *testing.T) {
	t.Parallel()
	r, u := answering(t, adaptive, retry.Policy{}, "200")
	r.at(t, 1, r.let(known))
	r.store.Put(r.queue(10, 1))
	r.Sleep(t.Context(), time.Minute)
	if out := r.at(t, 1, r.let(known)); out.Outcome != retry.Succeeded || len(u.calls()) != 2 {
		t.Errorf("the second request of a sandbox ends %s after %d calls of the upstream, want the second one", out.Outcome, len(u.calls()))
	}
	if asked, want := r.store.Asked(), []string{"get"}; !slices.Equal(asked, want) {
		t.Errorf("two requests ask the store for %q, want %q", asked, want)
	}
}

func TestAStoreThatFailsHoldsUpNoSandboxThatStarts(t *testing.T) {
	t.Parallel()
	r, u := answering(t, adaptive, retry.Policy{}, "200")
	r.store.Put(r.queue(10, 1))
	r.store.Before = func(string) error { return errors.New("throttled") }
	if out := r.at(t, 1, r.let(known)); out.Outcome != retry.Succeeded || !slices.Equal(u.calls(), []time.Duration{0}) || out.Gate != nil {
		t.Errorf("it ends %s after calls at %v, and says of the gate %+v", out.Outcome, u.calls(), out.Gate)
	}
}

func TestWhatAProxyHasLearnedHoldsBackTheNextRequestThatWasLetThrough(t *testing.T) {
	t.Parallel()
	r, u := answering(t, adaptive, retry.Policy{}, "429 10")
	r.at(t, 1, r.let(known))
	next := r.at(t, 1, r.let(known))
	if len(u.calls()) != 1 || next.Outcome != retry.Again || len(next.Attempts) != 0 || next.Call.Gate.State.Ticket != 2 {
		t.Errorf("after a limit in the same sandbox it is %s after %d calls, with %+v; want ticket 2 and no call", next.Outcome, len(u.calls()), next.Call.Gate)
	}
}

// Whoever has waited, or was answered before, is not to wait for what others have met.
func TestARequestComesToTheGateAnewOnlyIfNothingIsKnownOfIt(t *testing.T) {
	t.Parallel()
	observe := message.Gate{FlowControl: message.GateFlowControl{Mode: gate.Observe}}
	failed := retry.Attempt{Proxy: "proxy-3", Status: 503, Kind: retry.ServerError}
	for name, c := range map[string]struct {
		gate    message.Gate
		state   gate.State
		history []retry.Attempt
	}{
		"with a ticket whose time has come":      {adaptive, gate.State{Ticket: 9, Born: 77, Due: true}, nil},
		"the one that tries whether it is over":  {adaptive, gate.State{Ticket: 9, Born: 77, Probe: 4}, nil},
		"after an attempt":                       {adaptive, gate.State{Inside: true}, []retry.Attempt{failed}},
		"with a moment of its own, that is over": {adaptive, gate.State{Inside: true, NotBefore: morning.UnixMilli()}, nil},
		"at a gate that observes":                {observe, gate.State{Inside: true}, nil},
	} {
		r, u := answering(t, c.gate, retry.Policy{}, "200")
		r.store.Put(r.queue(10, 1))
		r.gate.Tell("orders", 0, r.store.Item())
		in := r.let(known, c.history...)
		in.Call.Gate.State = c.state
		if out := r.at(t, 1, in); out.Outcome != retry.Succeeded || len(u.calls()) != 1 {
			t.Errorf("%s: it is %s after %d calls, want called at once", name, out.Outcome, len(u.calls()))
		}
		if asked := r.store.Asked(); slices.Contains(asked, "take") {
			t.Errorf("%s: the store is asked for %q", name, asked)
		}
	}
}

// The gateway answers it as if it had turned the request away itself.
func TestWhoIsTurnedAwayBeforeItsFirstAttemptSaysWhyAndWhenToComeAgain(t *testing.T) {
	t.Parallel()
	few := adaptive
	few.FlowControl.MaxWaiting = 5
	for name, c := range map[string]struct {
		gate   message.Gate
		item   func(*ring) gate.Item
		reason gate.Reason
		again  time.Duration
	}{
		"all places are taken": {few, func(r *ring) gate.Item { return r.queue(5, 1) }, gate.QueueFull, 5 * time.Second},
		"its turn comes after its deadline": {
			adaptive, func(r *ring) gate.Item { return r.queue(200, 1) }, gate.QueueFull, 200 * time.Second,
		},
		"nearly every call fails": { // 5 in 10 s come, and 0.75 a second are let go
			few, func(r *ring) gate.Item { return r.open(5, 4) }, gate.CircuitOpen, 6667 * time.Millisecond,
		},
	} {
		r, u := answering(t, c.gate, retry.Policy{}, "200")
		r.store.Put(c.item(r))
		out := r.at(t, 1, r.let(known))
		if out.Outcome != retry.Failed || out.Error != retry.DeadlineExceeded || len(out.Attempts) != 0 || len(u.calls()) != 0 {
			t.Errorf("%s: it ends %s %s after %d calls", name, out.Outcome, out.Error, len(u.calls()))
		}
		if out.Gate == nil || out.Gate.Refused != c.reason || out.Gate.Item == nil {
			t.Errorf("%s: it says of the gate %+v, want that it was refused for %s, and the item", name, out.Gate, c.reason)
		}
		if got, want := time.UnixMilli(out.NotBefore), r.Now().Add(c.again); !got.Equal(want) {
			t.Errorf("%s: it is to come again at %v, want %v", name, got, want)
		}
	}
}

// The upstream was called, so that the answer is what came of that.
func TestWhoIsTurnedAwayAfterAnAttemptIsNotSaidToBeUncalled(t *testing.T) {
	t.Parallel()
	r, u := answering(t, adaptive, retry.Policy{}, "429 2")
	r.warm(t)
	r.store.Put(r.queue(10, 1))
	first := r.at(t, 1, r.let(known))
	r.Sleep(t.Context(), 6*time.Second)
	slower := r.store.Item()
	slower.Version, slower.Rate = slower.Version+1, 100
	r.store.Put(slower)
	if out := r.at(t, 2, *first); out.Outcome != retry.Failed || out.Gate == nil || out.Gate.Refused != "" || len(out.Attempts) != 1 || len(u.calls()) != 1 {
		t.Errorf("it ends %s with %d attempts, and says of the gate %+v", out.Outcome, len(out.Attempts), out.Gate)
	}
}

// Nobody waits for its answer, so that it can come again.
func TestAnAsynchronousRequestIsNotRefusedBeforeItsFirstAttempt(t *testing.T) {
	t.Parallel()
	few := adaptive
	few.FlowControl.MaxWaiting = 5
	r, u := answering(t, few, retry.Policy{}, "200")
	r.store.Put(r.queue(5, 1))
	k, in := r.keep(t, known)
	out := r.at(t, 1, in)
	if out.Outcome != retry.Again || out.Gate != nil || out.Call.Gate.Refusals != 1 || k.now().State != execution.Waiting || len(u.calls()) != 0 {
		t.Errorf("it is %s after %d calls, with %+v", out.Outcome, len(u.calls()), out.Call.Gate)
	}
}

// A limit that does not say what it is by leads to a quick try where the gate counts how many are made, and where no flow is
// controlled.
func TestNoQuickTryIsMadeThatNobodyCounts(t *testing.T) {
	t.Parallel()
	mode := func(m gate.Mode) message.Gate { return message.Gate{FlowControl: message.GateFlowControl{Mode: m}} }
	fixed := mode(gate.Fixed)
	fixed.FlowControl.Rate = 5
	throttled := errors.New("throttled")
	for name, c := range map[string]struct {
		gate    message.Gate
		fail    error
		want    time.Duration
		says    string
		counted bool
	}{
		"adaptive, and the store works":             {adaptive, nil, 0, "quick try", true},
		"adaptive, and the store fails":             {adaptive, throttled, 2 * time.Second, "Retry-After asks for 2s", false},
		"with a rate, and the store fails":          {fixed, throttled, 2 * time.Second, "Retry-After asks for 2s", false},
		"without flow control":                      {mode(gate.Off), nil, 0, "quick try", false},
		"without flow control, and the store fails": {mode(gate.Off), throttled, 0, "quick try", false},
		"observing, and the store fails":            {mode(gate.Observe), throttled, 0, "quick try", false},
	} {
		r, _ := answering(t, c.gate, retry.Policy{}, "429 2")
		r.chance = func() float64 { return 0 } // no jitter above what was asked for
		r.store.Before = func(string) error { return c.fail }
		out := r.at(t, 1, r.let(message.Request{Method: "GET", Path: "/orders"}))
		if out.Outcome != retry.Again || delayOf(out) != c.want || !strings.Contains(out.Attempts[0].Why, c.says) {
			t.Errorf("%s: it goes on as %s in %v, since %q; want %v, since %s", name, out.Outcome, delayOf(out), out.Attempts[0].Why, c.want, c.says)
		}
		if out.Call.Gate.Tried != c.counted {
			t.Errorf("%s: whether what the quick try brings is told is %v, want %v", name, out.Call.Gate.Tried, c.counted)
		}
	}
}

// A proxy that takes the lease and then finds that there is no time left for an attempt leaves everybody waiting for the next one.
func TestWhoComesAnewWithoutTimeForAnAttemptDoesNotTryWhetherAnOutageIsOver(t *testing.T) {
	t.Parallel()
	r, u := answering(t, adaptive, retry.Policy{}, "200")
	i := r.open(1, 4)
	i.Probe = r.Now().UnixMilli() // somebody may try
	r.store.Put(i)
	in := r.let(known)
	in.Call.Deadline = r.Now().Add(590 * time.Millisecond).UnixMilli() // an attempt takes 500 ms, and it takes 100 to come to it
	out := r.at(t, 1, in)
	if slices.Contains(r.store.Asked(), "lease") || out.Outcome != retry.Failed || out.Gate == nil || out.Gate.Refused != gate.CircuitOpen || len(u.calls()) != 0 {
		t.Errorf("it ends %s after %d calls, and says %+v of the gate", out.Outcome, len(u.calls()), out.Gate)
	}
}

// Every request takes a ticket at a rate that is typed in. One that has none was let through because the table failed.
func TestWhereTheTableFailsALimitIsWaitedForByThePolicyAtARateThatIsTypedInToo(t *testing.T) {
	t.Parallel()
	fixed := message.Gate{FlowControl: message.GateFlowControl{Mode: gate.Fixed, Rate: 10}}
	r, _ := answering(t, fixed, retry.Policy{Scope: retry.PerAccount}, "429", "200")
	r.store.Before = func(string) error { return errors.New("throttled") }
	out := r.at(t, 1, r.let(known))
	if out.Outcome != retry.Again || len(out.Attempts) != 1 || strings.Contains(out.Attempts[0].Why, "the gate") {
		t.Errorf("it goes on as %s after %+v, want the policy's backoff", out.Outcome, out.Attempts)
	}
}
