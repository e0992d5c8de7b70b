package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/simulation"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// gated is this policy behind package gate itself: the code that plays here is that of the product.
type gated struct {
	settings gate.Settings

	// scope names the scope of a request. Default: one for all.
	scope func(simulation.Kind) string

	// byAddress says that the limit is by address, and that the policy has been told.
	byAddress bool

	// ownClock hides the clock of the table.
	ownClock bool

	// cold says that a sandbox that has just started does not look before its first request.
	cold bool
}

func everybody(simulation.Kind) string     { return "upstream" }
func tenantScope(k simulation.Kind) string { return fmt.Sprint("tenant", k.Tenant) }
func routeScope(k simulation.Kind) string  { return fmt.Sprint("route", k.Route) }

// whole is the gate as it is recommended, but for the bound of the queue.
func whole(change func(*gated)) func(*world) func(*request) {
	g := gated{settings: gate.Settings{Mode: gate.Adaptive, MaxWaiting: gate.Unbounded}, scope: everybody}
	if change != nil {
		change(&g)
	}
	return g.run
}

func waiting(most int) func(*gated) { return func(g *gated) { g.settings.MaxWaiting = most } }

func fixed(rate, burst int) func(*world) func(*request) {
	return whole(func(g *gated) { g.settings.Mode, g.settings.Rate, g.settings.Burst = gate.Fixed, rate, burst })
}

func (g gated) run(w *world) func(*request) {
	ring := perAccount(w)
	w.store.silentClock = g.ownClock
	return func(r *request) {
		if r.gateway.gate == nil {
			r.gateway.gate = w.gate(r.gateway, g.settings)
		}
		if err := g.request(w, r, ring); err != nil {
			w.Measures.Refused++
		}
	}
}

// perAccount are proxies with the policy that knows that the limit is by key.
func perAccount(w *world) *simulation.Ring {
	return simulation.NewRing(w.World, retry.Policy{Scope: retry.PerAccount})
}

// gate makes the gate of a sandbox, in virtual time.
func (w *world) gate(s *sandbox, settings gate.Settings) *gate.Gate {
	made, err := gate.New(&w.store, settings,
		gate.WithClock(sandboxClock{w, s}), gate.WithRandom(w.shared.Float64), gate.WithSilence(0),
		gate.WithBeside(func(_ context.Context, do func(context.Context)) {
			w.Start(w.Now(), func(p *simulation.Process) { do(contextOf(p)) })
		}))
	if err != nil {
		panic(err)
	}
	return made
}

type processKey struct{}

// contextOf carries a process to the clock and the store, which let time pass for it.
func contextOf(p *simulation.Process) context.Context {
	return context.WithValue(context.Background(), processKey{}, p)
}

func processOf(ctx context.Context) *simulation.Process {
	return ctx.Value(processKey{}).(*simulation.Process)
}

// A sandboxClock is the clock of a sandbox, which may be wrong.
type sandboxClock struct {
	w *world
	s *sandbox
}

func (c sandboxClock) Now() time.Time { return simulation.Epoch.Add(c.w.Now() + c.s.skew) }

func (sandboxClock) Sleep(ctx context.Context, d time.Duration) error {
	processOf(ctx).Sleep(d)
	return nil
}

// request makes the attempts of one request. The error is that it was refused.
func (g gated) request(w *world, r *request, ring *simulation.Ring) error {
	ctx, scope, door := contextOf(r.Process), g.scope(r.Kind), r.gateway.gate
	clock := sandboxClock{w, r.gateway}
	if _, known := door.Seen(scope); !known && !g.cold { // as a sandbox looks while it starts
		w.store.reads++
		door.Tell(scope, 0, w.store.peek("gate##"+scope+"#0"))
	}
	v := door.Visit(scope, clock.Now().Add(r.Left()-retry.MinimumAttemptTime))
	x := ring.Begin(r.Request)
	for waits, delay := true, time.Duration(0); ; {
		if waits {
			if err := v.Wait(ctx); err != nil {
				return err
			}
		} else {
			r.Wait(delay)
		}
		address := x.Address()
		if g.byAddress {
			if v.Ticket() > 0 {
				address = int(v.Ticket() % simulation.Proxies)
			}
			address = r.free(address)
		}
		result, next, again := x.AttemptFrom(address, 0)
		told, _ := simulation.RetryAfter(result)
		switch {
		case simulation.Good(result):
			v.Succeeded(ctx)
		case result.Status == http.StatusTooManyRequests && g.byAddress:
			waits = v.Limited(ctx, gate.Limit{PerAddress: true}) // the next address is a free one
		case result.Status == http.StatusTooManyRequests:
			waits = v.Limited(ctx, gate.Limit{RetryAfter: told})
		case again:
			waits = v.Failed(ctx, gate.Failure{RetryAfter: told})
		}
		if !again {
			return nil
		}
		delay = next
	}
}

// free returns an address, or another one if the request was told to keep that one alone. If it was told so of all, it
// waits for the first.
func (r *request) free(address int) int {
	best := address
	for i := range simulation.Proxies {
		a := (address + i) % simulation.Proxies
		if r.Told(a) <= r.Now() {
			return a
		}
		if r.Told(a) < r.Told(best) {
			best = a
		}
	}
	r.Sleep(r.Told(best) - r.Now())
	return best
}
