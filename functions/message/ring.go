package message

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// A Ring is a number of proxies, proxy-1 to proxy-N, that attempts go round.
type Ring int

// ProxyName is the name of the i-th proxy, counted from 1.
func ProxyName(i int) string { return "proxy-" + strconv.Itoa(i) }

// First names the proxy that makes the first attempt.
func (r Ring) First() string { return ProxyName(1) }

// Has says whether a name is that of a proxy in the ring.
func (r Ring) Has(name string) bool { return r.position(name) > 0 }

// After names the proxy that follows another one. What is not in the ring is followed by the first.
func (r Ring) After(name string) string {
	i := r.position(name)
	if i == 0 || i >= int(r) {
		return r.First()
	}
	return ProxyName(i + 1)
}

// position is the number in the name of a proxy, or zero if it is not one of the ring.
func (r Ring) position(name string) int {
	number, found := strings.CutPrefix(name, "proxy-")
	i, err := strconv.Atoi(number)
	if !found || err != nil || i < 1 || i > int(r) || ProxyName(i) != name {
		return 0
	}
	return i
}

// A Dispatch is all that goes into an envelope that leads to a proxy.
type Dispatch struct {
	Policy retry.Policy
	Ring   Ring

	// Call is what is asked of the proxy that Call.To names.
	Call *Call

	// History lists the attempts made before.
	History []retry.Attempt

	// Delay is how long to wait before the proxy sends.
	Delay time.Duration

	// Now is the present time.
	Now time.Time

	// Random gives numbers in [0, 1), for the jitter of the delays after lost proxies.
	Random func() float64
}

// Envelope writes the envelope, with the answers that the state machine goes on with if that proxy, and those after
// it, are lost. There are as many as the policy allows attempts to be lost.
func (d Dispatch) Envelope() *Envelope {
	first := leadingTo(d.Delay)
	innermost, attempts := first, slices.Clone(d.History)
	request, now, proxy := d.Call.ForPolicy(d.Ring), d.Now.Add(d.Delay), d.Call.To
	for {
		// The moment of a loss is not known in advance. The earliest possible one is assumed; a proxy that is alive
		// checks the deadline itself before it sends.
		loss := retry.Result{Failure: LostProxy(), Received: now}
		decision := d.Policy.Next(request, attempts, loss, d.Random)
		attempts = append(attempts, loss.Attempt(proxy, time.Time{}, decision))
		if decision.Outcome != retry.Again {
			innermost.Call = d.Call
			innermost.Answer = Failure(decision.Reason, attempts)
			return first
		}
		innermost.Answer = leadingTo(decision.Delay)
		innermost, now, proxy = innermost.Answer, now.Add(decision.Delay), d.Ring.After(proxy)
	}
}

// leadingTo writes an envelope that leads to a proxy, without the answer to go on with.
func leadingTo(delay time.Duration) *Envelope {
	e := &Envelope{Outcome: retry.Again}
	e.WaitSeconds, e.SleepMilliseconds = SplitDelay(delay)
	return e
}

// LostProxy is the failure of an attempt whose proxy gave no answer: it crashed, or Lambda ended it at its timeout.
// Nobody knows how far it came, so the request may have been processed.
func LostProxy() *retry.Failure {
	return &retry.Failure{
		Type:      retry.ProxyInternalError,
		Processed: retry.MaybeProcessed,
		Details:   "the proxy gave no answer",
	}
}

// SplitDelay splits a delay into the whole seconds that a Wait state can wait and the milliseconds that remain. The
// remainder is rounded up, so that the sum is never below the delay.
func SplitDelay(delay time.Duration) (seconds, milliseconds int64) {
	if delay <= 0 {
		return 0, 0
	}
	total := int64((delay + time.Millisecond - 1) / time.Millisecond)
	return total / 1000, total % 1000
}
