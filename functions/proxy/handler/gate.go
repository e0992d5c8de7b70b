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

const (
	// maxGateSleep is the longest wait at the gate that a proxy sleeps itself. What is longer is for the state machine, which costs
	// less for as long as that.
	maxGateSleep = 1 * time.Second

	// maxRefusals bounds how far apart an asynchronous request comes to the gate that is turned away each time: what it is told,
	// and at most so many doublings of that.
	maxRefusals = 6

	// shortestComeBack is the shortest time after which an asynchronous request that was turned away, or waits for the end of an outage,
	// comes to the gate again, and comeBackShare the same as a share of the time that is left. Each time is a handful of events of
	// its execution, of which a Standard workflow has 25,000; so it is no more than some 1,200 times in a day.
	shortestComeBack = 1 * time.Second
	comeBackShare    = 100
)

// A visit is a call at the gate. Nil is one without a gate.
type visit struct {
	*gate.Visit
	pass *message.GatePass // as it came
}

// visit goes on with the visit of a call.
func (p *Proxy) visit(call *message.Call) *visit {
	if p.gate == nil || call.Gate == nil {
		return nil
	}
	return &visit{p.gate.Resume(call.Gate.Scope, p.latestAtGate(call), call.Gate.State), call.Gate}
}

// latestAtGate is the last moment at which the gate may let a call through.
func (p *Proxy) latestAtGate(call *message.Call) time.Time {
	return message.LatestAtGate(call.DeadlineTime(), p.policy.For(call.Request.Method, call.Request.Path))
}

// held is how long the call has been held back at the gate, and ticket the number of its last ticket.
func (v *visit) held() time.Duration {
	return time.Duration(v.pass.Waited)*time.Millisecond + v.Waited()
}

func (v *visit) ticket() int64 {
	if n := v.Ticket(); n > 0 {
		return n
	}
	return v.pass.Ticket
}

// carry is the call as it goes to the next proxy, which goes on where this one stands.
func (v *visit) carry(call *message.Call, change ...func(*message.GatePass)) *message.Call {
	if v == nil {
		return call
	}
	next, pass := *call, *v.pass
	next.Gate = &pass
	pass.State, pass.Waited, pass.Ticket = v.State(), v.held().Milliseconds(), v.ticket()
	for _, c := range change {
		c(next.Gate)
	}
	return &next
}

// heldFor says in the pass of a call that it is held back for longer than the gate asked for.
func heldFor(more time.Duration) func(*message.GatePass) {
	return func(pass *message.GatePass) { pass.Waited += more.Milliseconds() }
}

// report is what the answer says of the visit. Nil if there is nothing to say.
func (v *visit) report() *message.GateReport {
	if v == nil {
		return nil
	}
	r := &message.GateReport{Waited: v.held().Milliseconds(), Ticket: v.ticket()}
	if shard, item := v.Item(); item != (gate.Item{}) {
		r.Shard, r.Item = shard, &item
	}
	if *r == (message.GateReport{}) {
		return nil
	}
	return r
}

// enter lets a call through when it may call. Where it has to wait for longer than a proxy does itself, or there is no place for
// it, it returns what the state machine is told. history are the attempts before this one.
func (p *Proxy) enter(ctx context.Context, v *visit, call *message.Call, history []retry.Attempt) (*message.Envelope, error) {
	if v == nil {
		return nil, nil
	}
	if call.Execution != "" {
		// Mostly its sandbox has just started, or was frozen for long: it would be one of many that call in spite of what all others
		// know. Where somebody waits for the answer, the gateway has looked.
		p.gate.Look(ctx, v.Scope())
	}
	p.enterAgain(ctx, v, call, history)
	slept := time.Duration(0)
	for {
		wait, err := v.Next(ctx)
		more := time.Duration(0)
		if _, item := v.Item(); wait > 0 && call.Execution != "" && item.Circuit(p.gate.Now()) == gate.Open {
			more = max(0, min(p.leastComeBack(call), p.timeLeftAtGate(call))-wait)
			wait += more
		}
		var refused *gate.Refusal
		switch {
		case errors.As(err, &refused):
			return p.turnedAway(v, call, history, refused), nil
		case err != nil:
			return nil, err
		case slept+wait > maxGateSleep:
			return message.ToProxy(v.carry(call, heldFor(more)), p.policy, history, wait), nil
		case wait > 0:
			slept += wait
			if err := p.clock.Sleep(ctx, wait); err != nil {
				return nil, err
			}
			continue
		}
		wait, limited := p.limitedUntil(history)
		switch {
		case !limited:
			return nil, nil
		case wait > p.timeLeftAtGate(call):
			return p.late(call, history), nil
		}
		// Waits at the gate go round the ring, too, so that it may be the turn of a proxy that was limited, and of no other.
		return message.ToProxy(v.carry(call), p.policy, history, wait), nil
	}
}

// timeLeftAtGate is how long a call can still wait, so that there is time left for an attempt.
func (p *Proxy) timeLeftAtGate(call *message.Call) time.Duration {
	return p.latestAtGate(call).Sub(p.clock.Now())
}

// leastComeBack is the shortest time after which an asynchronous call that there is nothing for now comes to the gate again.
func (p *Proxy) leastComeBack(call *message.Call) time.Duration {
	return max(shortestComeBack, p.timeLeftAtGate(call)/comeBackShare).Truncate(time.Millisecond)
}

// enterAgain has a call that was let through without a ticket come to the gate once more before its first attempt, where this
// process knows of trouble that nobody knew of then. A sandbox that has just started looks for it: it takes its time anyway, in
// which others may have been limited.
func (p *Proxy) enterAgain(ctx context.Context, v *visit, call *message.Call, history []retry.Attempt) {
	state := v.State()
	if !state.Inside || state.NotBefore > 0 || len(history) > 0 || p.gate.Settings().Mode == gate.Observe {
		return
	}
	p.gate.Begin(ctx, v.Scope())
	if item, known := p.gate.Seen(v.Scope()); known && item.Active(p.gate.Now()) {
		v.Visit = p.gate.Visit(v.Scope(), p.latestAtGate(call))
	}
}

// limitedUntil says whether this proxy was told, by a limit of its own address, to wait for longer than now, and how long to wait
// for the first one that may call.
func (p *Proxy) limitedUntil(history []retry.Attempt) (wait time.Duration, limited bool) {
	now := p.clock.Now()
	until := map[string]time.Time{}
	for _, a := range history {
		if at := time.UnixMilli(a.NotBefore); a.Kind == retry.RateLimit && at.After(now) && at.After(until[a.Proxy]) {
			until[a.Proxy] = at
		}
	}
	if _, limited = until[p.name]; !limited || len(until) < p.proxies {
		return 0, limited
	}
	first := until[p.name]
	for _, at := range until {
		if at.Before(first) {
			first = at
		}
	}
	return first.Sub(now), true
}

// turnedAway is for a call that there is no place for at the gate. Where somebody waits for its answer, it ends; an asynchronous
// one comes again, which costs nothing in the meantime.
func (p *Proxy) turnedAway(v *visit, call *message.Call, history []retry.Attempt, refused *gate.Refusal) *message.Envelope {
	now := p.clock.Now()
	least := max(refused.RetryAfter, p.leastComeBack(call))
	if left := p.timeLeftAtGate(call); call.Execution != "" && least < left {
		more := min(least<<min(v.pass.Refusals, maxRefusals), left-least)
		wait := least + time.Duration(p.random()*float64(more))
		next := v.carry(call, func(pass *message.GatePass) {
			pass.State = gate.State{NotBefore: max(pass.State.NotBefore, now.Add(wait).UnixMilli())}
			pass.Waited += wait.Milliseconds()
			pass.Refusals++
		})
		return message.ToProxy(next, p.policy, history, wait)
	}
	out := p.late(call, history)
	if len(history) == 0 {
		out.Gate = v.report()
		if out.Gate == nil {
			out.Gate = new(message.GateReport)
		}
		out.Gate.Refused = refused.Reason
	}
	out.NotBefore = max(out.NotBefore, now.Add(refused.RetryAfter).UnixMilli())
	return out
}

// tell tells the others what came of an attempt, and returns the decision as the gate has it: where it holds the call back, the
// delay is the gate's, and where there is no place before the deadline, the call has failed.
//
// asTold is the decision if no quick try is to be made. change is to be made to the pass of the call, if it goes on.
func (p *Proxy) tell(
	ctx context.Context, v *visit, call *message.Call, t tried, decision retry.Decision, asTold func() retry.Decision,
) (_ retry.Decision, change func(*message.GatePass)) {
	result := t.result
	change = func(*message.GatePass) {}
	if v == nil {
		return decision, change
	}
	if v.pass.Tried && result.Status != 0 {
		v.Tried(ctx, decision.Kind != retry.RateLimit)
	}
	pass := *v.pass
	pass.Tried, pass.Refusals = false, 0 // the attempt that they are of has been made
	v.pass = &pass

	again := decision.Outcome == retry.Again
	announced := max(0, decision.NotBefore.Sub(result.Received))
	told := announced
	if again && decision.Scope != retry.Inferred { // a quick try goes out in spite of what is told
		told = decision.Floor
	}
	queues := false
	switch {
	case decision.Kind == retry.RateLimit:
		queues = v.Limited(ctx, gate.Limit{RetryAfter: told, PerAddress: decision.Scope == retry.PerAddress, Last: !again})
		if queues && again && decision.Scope == retry.Inferred && v.Try(ctx) {
			return decision, func(pass *message.GatePass) { pass.Tried = true }
		}
	case isOutage(t, decision):
		queues = v.Failed(ctx, gate.Failure{RetryAfter: announced, Floor: told, Last: !again})
	case decision.Outcome == retry.Succeeded && (call.Execution != "" || v.State().Probe != 0):
		v.Succeeded(ctx) // of all others the gateway tells, which has looked at the item meanwhile
	}
	if !queues {
		if mode := p.gate.Settings().Mode; again && decision.Scope == retry.Inferred && (mode == gate.Adaptive || mode == gate.Fixed) {
			// Nobody counts how many quick tries are made now, and each is earlier than was asked for.
			decision = asTold()
		}
		// As if there were no gate: the policy's delay is as long as the answers asked for, and for a quick try without flow
		// control it is shorter.
		return decision, func(pass *message.GatePass) { pass.State.NotBefore = 0 }
	}
	if !again {
		return decision, change
	}
	wait, err := v.Next(ctx)
	var refused *gate.Refusal
	switch {
	case errors.As(err, &refused):
		return outOfPlaces(decision, refused), change
	case err != nil:
		return decision, change
	default:
		// Half of a long wait may be shorter than what the answers asked for, and then there is nothing to look for at its end. None
		// at all is the delay of a quick try.
		decision.Delay = max(wait, told, time.Millisecond)
		change = heldFor(decision.Delay - wait)
	}
	decision.Why += fmt.Sprintf("; the gate has it wait %s", decision.Delay.Round(time.Millisecond))
	if n := v.Ticket(); n > 0 {
		decision.Why += fmt.Sprintf(", with ticket %d", n)
	}
	return decision, change
}

// outOfPlaces is the decision about an attempt that no other may follow, because there is no place at the gate before the
// deadline.
func outOfPlaces(decision retry.Decision, refused *gate.Refusal) retry.Decision {
	decision.Outcome, decision.Reason, decision.Delay = retry.Failed, retry.DeadlineExceeded, 0
	decision.RetryAfter = max(refused.RetryAfter, decision.Floor)
	decision.Why += "; at the gate there is no place before the deadline"
	return decision
}

// isOutage says whether an attempt failed in a way that others would meet, too, in an outage. One whose caller had no more time
// for it tells nothing of the upstream.
func isOutage(t tried, decision retry.Decision) bool {
	switch decision.Kind {
	case retry.ServerError:
		return t.result.Status >= http.StatusInternalServerError
	case retry.NetworkFailure:
		return !t.cutShort && !t.result.Failure.Type.Lasting()
	}
	return false
}

// measure writes the line of an asynchronous request that ends. Of all others the gateway does.
func (p *Proxy) measure(ctx context.Context, v *visit, call *message.Call) {
	if v == nil || call.Execution == "" {
		return
	}
	_, item := v.Item()
	if v.held() == 0 && item == (gate.Item{}) {
		return
	}
	m := p.metrics.At(p.gate.Now())
	m.Gate(v.held(), false, item)
	attributes := []slog.Attr{
		slog.String("requestId", call.RequestID), slog.String("scope", v.Scope()), slog.Int64("waitedMs", v.held().Milliseconds()), slog.Bool("refused", false),
	}
	p.log.LogAttrs(ctx, slog.LevelInfo, message.GateText, append(attributes, m.Attributes()...)...)
}
