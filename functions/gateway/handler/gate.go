package handler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate/gatestore"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// gateMember is the name of the gate in Proxy-Status.
const gateMember = "gate"

// gateClock is a clock of the gateway's as the gate wants it.
type gateClock struct {
	now   func() time.Time
	sleep func(context.Context, time.Duration) error
}

func (c gateClock) Now() time.Time { return c.now() }

func (c gateClock) Sleep(ctx context.Context, d time.Duration) error { return c.sleep(ctx, d) }

// openGate makes the gate that the environment describes.
func openGate(s settings, d Dependencies) (*gate.Gate, error) {
	settings, _, err := s.gate.Settings(s.policy)
	if err != nil {
		return nil, err
	}
	options := []gate.Option{gate.WithPrefix(s.recordPrefix)}
	if d.Clock != nil {
		options = append(options, gate.WithClock(gateClock{d.Clock.Now, d.Clock.Sleep}))
	}
	if d.GateSilence > 0 {
		options = append(options, gate.WithSilence(d.GateSilence))
	}
	if d.Random != nil {
		options = append(options, gate.WithRandom(d.Random))
	}
	return gate.New(gatestore.New(d.DynamoDB, s.table), settings, options...)
}

// pass is what a call carries of the gate before it has come there. Nil if there is none.
func (g *Gateway) pass(r *message.Request) *message.GatePass {
	if g.gate == nil {
		return nil
	}
	return &message.GatePass{Scope: message.GateScope(g.gateKey, g.policy, r, g.authReplaces)}
}

// visit begins the visit of a call at the gate. Nil if there is none.
func (g *Gateway) visit(call *message.Call) *gate.Visit {
	if call.Gate = g.pass(&call.Request); call.Gate == nil {
		return nil
	}
	policy := g.policy.For(call.Request.Method, call.Request.Path)
	return g.gate.Visit(call.Gate.Scope, message.LatestAtGate(call.DeadlineTime(), policy))
}

// enter lets a call through the gate when it may call. The problem is that there is no place for it.
//
// A sandbox that has just started knows nothing, and would be one of many that call in spite of what all others know. So it looks
// at the item before its first request. From then on it looks beside requests.
func (g *Gateway) enter(ctx context.Context, v *gate.Visit, call *message.Call) *problem {
	if v == nil {
		return nil
	}
	g.coldLook.Do(func() { g.gate.Look(ctx, call.Gate.Scope) })
	err := v.Wait(ctx)
	var refusal *gate.Refusal
	switch {
	case errors.As(err, &refusal):
		g.measure(ctx, v, v.Waited(), true)
		return turnedAway(refusal)
	case err != nil:
		return engineUnavailable("The function's time is up before the request's turn came. The upstream was not called.")
	}
	call.Gate.State, call.Gate.Waited, call.Gate.Ticket = v.State(), v.Waited().Milliseconds(), v.Ticket()
	return nil
}

// leave takes in what an execution has seen of the gate, and says how long its request was held back there, for Proxy-Status.
// envelope is nil where it has not come to an end of its own.
func (g *Gateway) leave(ctx context.Context, v *gate.Visit, envelope *message.Envelope) (member string) {
	if v == nil {
		return ""
	}
	held, ticket := v.Waited(), v.Ticket()
	if envelope == nil {
		envelope = new(message.Envelope)
	}
	refused := v.Refused() != nil // or would have been, where the gate observes
	if r := envelope.Gate; r != nil {
		refused = refused || r.Refused != ""
		held, ticket = max(held, time.Duration(r.Waited)*time.Millisecond), max(ticket, r.Ticket)
		if r.Item != nil {
			g.gate.Tell(v.Scope(), r.Shard, *r.Item)
		}
	}
	if envelope.Outcome == retry.Succeeded && v.State().Probe == 0 { // the one that tried whether an outage is over told so itself
		v.Succeeded(ctx)
	}
	g.measure(ctx, v, held, refused)
	if held == 0 || refused || g.gate.Settings().Mode == gate.Observe { // turnedAway says so of a refusal
		return ""
	}
	details := "waited " + held.Round(time.Millisecond).String()
	if ticket > 0 {
		details = fmt.Sprintf("ticket %d %s", ticket, details)
	}
	return gateMember + "; details=" + structuredString(details)
}

// measure writes the metrics of a request that was held back or turned away, or that came in a time of trouble.
func (g *Gateway) measure(ctx context.Context, v *gate.Visit, held time.Duration, refused bool) {
	item, _ := g.gate.Seen(v.Scope())
	if now := g.gate.Now(); held > 0 || refused || item.Active(now) || item.Circuit(now) != gate.Closed {
		attributes := message.GateMetrics(g.table, g.recordPrefix, now, held, refused, item)
		g.tell(ctx, slog.LevelInfo, message.GateText, append(attributes, slog.String("scope", v.Scope()))...)
	}
}

// turnedAway is for a request that there is no place for at the gate. Nothing was sent.
func turnedAway(r *gate.Refusal) *problem {
	name, status, title, detail, kind := "flow-control-queue-full", http.StatusTooManyRequests, "Too many requests wait for the upstream",
		"The upstream limits requests, and the turn of this one would not come before its deadline, or no more requests may wait.", retry.HTTPRequestDenied
	if r.Reason == gate.CircuitOpen {
		name, status, title, detail, kind = "circuit-open", http.StatusServiceUnavailable, "The upstream fails",
			"Nearly every request to the upstream has failed, so that only one at a time tries whether that is over.", retry.DestinationUnavailable
	}
	p := newProblem(name, status, title, detail+" The upstream was not called.")
	p.RetryAfter, p.processed = r.RetryAfter, processedNo
	p.proxyStatus = gateMember + "; error=" + string(kind)
	return p
}
