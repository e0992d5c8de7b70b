package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// gated is this policy behind package gate itself: the code that plays here is that of the product.
type gated struct {
	settings gate.Settings

	// scope names the scope of a request. Default: one for all.
	scope func(k kind) string

	// byAddress says that the limit is by address, and that the policy has been told.
	byAddress bool

	// ownClock hides the clock of the table.
	ownClock bool

	// cold says that a sandbox that has just started does not look before its first request.
	cold bool
}

func everybody(kind) string { return "upstream" }

// whole is the gate as it is recommended, but for the bound of the queue.
func whole(change func(*gated)) func(*world) func(*request) {
	g := gated{settings: gate.Settings{Mode: gate.Adaptive, MaxWaiting: gate.Unbounded}}
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
	if g.scope == nil {
		g.scope = everybody
	}
	w.store.silentClock = g.ownClock
	return func(r *request) {
		if r.gateway.gate == nil {
			r.gateway.gate = w.gate(r.gateway, g.settings)
		}
		if err := g.request(w, r, r.gateway.gate); err != nil {
			w.measures.refused++
		}
	}
}

// gate makes the gate of a sandbox, in virtual time.
func (w *world) gate(s *sandbox, settings gate.Settings) *gate.Gate {
	made, err := gate.New(&w.store, settings,
		gate.WithClock(sandboxClock{w, s}), gate.WithRandom(w.shared.Float64), gate.WithSilence(0),
		gate.WithBeside(func(_ context.Context, do func(context.Context)) {
			w.start(w.now, func(p *process) { do(p.context()) })
		}))
	if err != nil {
		panic(err)
	}
	return made
}

type processKey struct{}

// context carries a process to the clock and the store, which let time pass for it.
func (p *process) context() context.Context {
	return context.WithValue(context.Background(), processKey{}, p)
}

func processOf(ctx context.Context) *process { return ctx.Value(processKey{}).(*process) }

// A sandboxClock is the clock of a sandbox, which may be wrong.
type sandboxClock struct {
	w *world
	s *sandbox
}

func (c sandboxClock) Now() time.Time { return epoch.Add(c.w.now + c.s.skew) }

func (sandboxClock) Sleep(ctx context.Context, d time.Duration) error {
	processOf(ctx).sleep(d)
	return nil
}

// request makes the attempts of one request. The error is that it was refused.
func (g gated) request(w *world, r *request, door *gate.Gate) error {
	ctx, scope := r.context(), g.scope(r.kind)
	clock := sandboxClock{w, r.gateway}
	if _, known := door.Seen(scope); !known && !g.cold { // as a sandbox looks while it starts
		w.store.reads++
		door.Tell(scope, 0, w.store.peek("gate##"+scope+"#0"))
	}
	v := door.Visit(scope, clock.Now().Add(r.left()-retry.MinimumAttemptTime))
	decide, start := perAccount(epoch.Add(r.now()), w.random.Float64), w.random.IntN(proxies)
	waits := true
	for attempt := 0; ; attempt++ {
		if waits {
			if err := v.Wait(ctx); err != nil {
				return err
			}
		}
		address := (start + attempt) % proxies
		if g.byAddress {
			if v.Ticket() > 0 {
				address = int(v.Ticket() % proxies)
			}
			address = r.free(address)
		}
		result, ok := r.call(address)
		if !ok {
			return nil
		}
		if good(result) {
			v.Succeeded(ctx)
			return nil
		}
		again, delay, _ := decide(result)
		told, _ := retryAfter(result)
		if result.Status == http.StatusTooManyRequests {
			limit := gate.Limit{RetryAfter: told, PerAddress: g.byAddress}
			if g.byAddress {
				limit.RetryAfter = 0 // of the next address, which is free
			}
			waits = v.Limited(ctx, limit)
		} else if again {
			waits = v.Failed(ctx, gate.Failure{RetryAfter: told})
		}
		if !again {
			return nil
		}
		if !waits {
			r.sleep(delay)
		}
	}
}

// free returns an address, or another one if the request was told to keep that one alone. If it was told so of all, it
// waits for the first.
func (r *request) free(address int) int {
	best := address
	for i := range proxies {
		a := (address + i) % proxies
		if r.told[a] <= r.now() {
			return a
		}
		if r.told[a] < r.told[best] {
			best = a
		}
	}
	r.sleep(r.told[best] - r.now())
	return best
}

func tenantScope(k kind) string { return fmt.Sprint("tenant", k.tenant) }
func routeScope(k kind) string  { return fmt.Sprint("route", k.route) }
