package clock

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// Virtual is a clock that stands still while anybody works and jumps to the next moment that somebody waits for as soon
// as everybody waits. Work takes no time on it, and waiting takes no real time. It is for tests and simulations.
//
// Where several goroutines share the clock, each of them must have called [Virtual.Enter], once, before it works or waits;
// a goroutine that is alone on its clock need not. A goroutine that has entered must not block on another one that waits
// on the same clock, except through [Virtual.Wait]: time would stand still.
type Virtual struct {
	mu      sync.Mutex
	now     time.Time
	working int
	timers  timerHeap
	waiters map[*waiter]struct{}
	created uint64
}

// A timer is a moment that somebody waits for. Timers of the same moment fire in the order in which they were made.
type timer struct {
	at    time.Time
	order uint64
	index int
	fire  func() // called with the clock's lock held
}

// A waiter is a goroutine blocked in Wait.
type waiter struct {
	ctx   context.Context
	timer *timer
	woken chan error
}

// NewVirtual returns a virtual clock that shows the time start.
func NewVirtual(start time.Time) *Virtual {
	return &Virtual{now: start, waiters: map[*waiter]struct{}{}}
}

// Now is the time that the clock shows.
func (v *Virtual) Now() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now
}

// Enter counts the calling goroutine among those that work.
func (v *Virtual) Enter() func() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.working++
	return sync.OnceFunc(func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.working--
		v.advance()
	})
}

// Wait blocks until d has passed on the clock or ctx is done.
func (v *Virtual) Wait(ctx context.Context, d time.Duration) error {
	if d <= 0 || ctx.Err() != nil {
		return ctx.Err()
	}
	w := &waiter{ctx: ctx, woken: make(chan error, 1)}
	v.mu.Lock()
	w.timer = v.add(d, func() { v.wake(w, nil) })
	v.waiters[w] = struct{}{}
	v.working--
	v.advance()
	v.mu.Unlock()

	select {
	case err := <-w.woken:
		return err
	case <-ctx.Done():
		v.mu.Lock()
		defer v.mu.Unlock()
		if _, waiting := v.waiters[w]; waiting {
			v.wake(w, ctx.Err())
		}
		return <-w.woken
	}
}

// After is the time that the clock shows, and d.
func (v *Virtual) After(d time.Duration) time.Time { return v.Now().Add(max(d, 0)) }

// WaitUntil blocks until the clock shows the moment or ctx is done.
func (v *Virtual) WaitUntil(ctx context.Context, moment time.Time) error {
	return v.Wait(ctx, moment.Sub(v.Now()))
}

// WithTimeout returns a context that fails once d has passed on the clock.
func (v *Virtual) WithTimeout(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	timed := &timeoutContext{Context: ctx}
	v.mu.Lock()
	defer v.mu.Unlock()
	timed.deadline = v.now.Add(d)
	t := v.add(d, func() {
		cancel(context.DeadlineExceeded)
		// The clock must not move on before everybody that this ends has been counted as working again.
		for w := range v.waiters {
			if w.ctx.Err() != nil {
				v.wake(w, w.ctx.Err())
			}
		}
	})
	return timed, func() {
		v.mu.Lock()
		v.remove(t)
		v.mu.Unlock()
		cancel(context.Canceled)
	}
}

// timeoutContext reports the end of its time as [context.DeadlineExceeded], as contexts of the standard library do.
type timeoutContext struct {
	context.Context
	deadline time.Time
}

func (c *timeoutContext) Deadline() (time.Time, bool) { return c.deadline, true }

func (c *timeoutContext) Err() error {
	err := c.Context.Err()
	if err != nil && context.Cause(c.Context) == context.DeadlineExceeded {
		return context.DeadlineExceeded
	}
	return err
}

// advance moves the time on for as long as nobody works and somebody waits. The lock must be held.
func (v *Virtual) advance() {
	for v.working <= 0 && len(v.waiters) > 0 && len(v.timers) > 0 {
		next := heap.Pop(&v.timers).(*timer)
		v.now = next.at
		next.fire()
	}
}

func (v *Virtual) wake(w *waiter, err error) {
	delete(v.waiters, w)
	v.remove(w.timer)
	v.working++
	w.woken <- err
}

func (v *Virtual) add(d time.Duration, fire func()) *timer {
	v.created++
	t := &timer{at: v.now.Add(max(d, 0)), order: v.created, fire: fire}
	heap.Push(&v.timers, t)
	return t
}

func (v *Virtual) remove(t *timer) {
	if t.index >= 0 {
		heap.Remove(&v.timers, t.index)
	}
}

type timerHeap []*timer

func (h timerHeap) Len() int { return len(h) }

func (h timerHeap) Less(i, j int) bool {
	if !h[i].at.Equal(h[j].at) {
		return h[i].at.Before(h[j].at)
	}
	return h[i].order < h[j].order
}

func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timerHeap) Push(x any) {
	t := x.(*timer)
	t.index = len(*h)
	*h = append(*h, t)
}

func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	t.index = -1
	*h = old[:len(old)-1]
	return t
}
