package handler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// gateMember is the name of the gate in Proxy-Status.
const gateMember = "gate"

// pass is what a call carries of the gate before it has come there. Nil if there is none.
func (g *Gateway) pass(r *message.Request) *message.GatePass {
	if g.gate == nil {
		return nil
	}
	return &message.GatePass{Scope: message.GateScope(g.settings.gate.Key, g.policy, r, g.authReplaces)}
}

// enter lets a call through the gate when it may call, and returns its visit: nil if there is no gate. The problem is that there is
// no place for it.
func (g *Gateway) enter(ctx context.Context, call *message.Call) (*gate.Visit, *problem) {
	if call.Gate = g.pass(&call.Request); call.Gate == nil {
		return nil, nil
	}
	g.gate.Begin(ctx, call.Gate.Scope)
	policy := g.policy.For(call.Request.Method, call.Request.Path)
	v := g.gate.Visit(call.Gate.Scope, message.LatestAtGate(call.DeadlineTime(), policy))
	err := v.Wait(ctx)
	var refusal *gate.Refusal
	switch {
	case errors.As(err, &refusal):
		g.measure(ctx, v, v.Waited(), true)
		return v, turnedAway(refusal)
	case err != nil:
		return v, engineUnavailable("The function's time is up before the request's turn came. The upstream was not called.")
	}
	call.Gate.State, call.Gate.Waited, call.Gate.Ticket = v.State(), v.Waited().Milliseconds(), v.Ticket()
	return v, nil
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

// measure writes the line of a request that was held back or turned away, or that came in a time of trouble.
func (g *Gateway) measure(ctx context.Context, v *gate.Visit, held time.Duration, refused bool) {
	item, _ := g.gate.Seen(v.Scope())
	if now := g.gate.Now(); held > 0 || refused || item.Active(now) || item.Circuit(now) != gate.Closed {
		m := g.metrics.At(now)
		m.Gate(held, refused, item)
		attributes := []slog.Attr{slog.String("scope", v.Scope()), slog.Int64("waitedMs", held.Milliseconds()), slog.Bool("refused", refused)}
		g.tell(ctx, slog.LevelInfo, message.GateText, append(attributes, m.Attributes()...)...)
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
