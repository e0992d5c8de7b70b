package gate_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
)

// exampleClock goes on when somebody sleeps, so that the examples take no time.
type exampleClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *exampleClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *exampleClock) Sleep(_ context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return nil
}

// A rate that is typed in: two calls at once, and then ten a second. Whoever could not call before their deadline is told
// when to come again, and nothing is sent for them.
func Example() {
	clock := &exampleClock{now: time.Date(2026, time.November, 28, 12, 0, 0, 0, time.UTC)}
	g, err := gate.New(&gate.MemoryStore{}, gate.Settings{Mode: gate.Fixed, Rate: 10, Burst: 2}, gate.WithClock(clock))
	if err != nil {
		fmt.Println(err)
		return
	}
	scope := gate.Scope(gate.DefaultKey, "Bearer …", gate.FirstSegment("/orders/7"))
	began := clock.Now()
	for range 4 {
		v := g.Visit(scope, clock.Now().Add(time.Second))
		if err := v.Wait(context.Background()); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("ticket %d calls after %v\n", v.Ticket(), clock.Now().Sub(began))
	}
	err = g.Visit(scope, clock.Now()).Wait(context.Background())
	if refusal := (*gate.Refusal)(nil); errors.As(err, &refusal) {
		fmt.Printf("%s: come again in %v\n", refusal.Reason, refusal.RetryAfter)
	}
	// Output:
	// ticket 1 calls after 0s
	// ticket 2 calls after 0s
	// ticket 3 calls after 100ms
	// ticket 4 calls after 200ms
	// flow-control-queue-full: come again in 100ms
}

// A caller that repeats what was limited or failed. The gate takes over the waiting where it knows more than the caller.
func ExampleVisit() {
	clock := &exampleClock{now: time.Date(2026, time.November, 28, 12, 0, 0, 0, time.UTC)}
	g, err := gate.New(&gate.MemoryStore{}, gate.Settings{Mode: gate.Adaptive}, gate.WithClock(clock))
	if err != nil {
		fmt.Println(err)
		return
	}
	answers := []int{429, 200} // of the upstream, the first with Retry-After: 1
	ctx, began := context.Background(), clock.Now()
	v := g.Visit("upstream", clock.Now().Add(time.Minute))
	for _, status := range answers {
		if err := v.Wait(ctx); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(status, "no earlier than was asked for:", clock.Now().Sub(began) >= 0 && (status == 429 || clock.Now().Sub(began) >= time.Second))
		switch {
		case status == 429:
			if !v.Limited(ctx, gate.Limit{RetryAfter: time.Second}) {
				clock.Sleep(ctx, time.Second) // as if there were no gate
			}
		case status >= 500:
			if !v.Failed(ctx, gate.Failure{}) {
				clock.Sleep(ctx, time.Second)
			}
		default:
			v.Succeeded(ctx)
		}
	}
	g.Settle()
	// Output:
	// 429 no earlier than was asked for: true
	// 200 no earlier than was asked for: true
}
