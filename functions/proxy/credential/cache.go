package credential

import (
	"context"
	"sync/atomic"
	"time"
)

// renewalPause is how long a value is not read again after a renewal was of no use. An upstream that answers 401 for reasons of
// its own would otherwise have a secret read, or a token made, with every request.
const renewalPause = 5 * time.Second

// A cache keeps one value for a time. One caller at a time reads it; the others wait for what that one brings. It is safe for
// concurrent use.
type cache[T any] struct {
	now func() time.Time

	// read brings the value, and says until when it can be used.
	read func(context.Context) (T, time.Time, error)

	// turn is held by whoever looks at kept, and while they read.
	turn chan struct{}
	kept *entry[T]

	// pause is until when nothing is renewed, in nanoseconds since the Unix epoch.
	pause atomic.Int64
}

// An entry is a value that was read. Two of them are two reads, whatever they brought.
type entry[T any] struct {
	value T
	until time.Time
}

func newCache[T any](now func() time.Time, read func(context.Context) (T, time.Time, error)) *cache[T] {
	return &cache[T]{now: now, read: read, turn: make(chan struct{}, 1)}
}

// get gives the value that is kept, or reads it.
func (c *cache[T]) get(ctx context.Context) (*entry[T], error) {
	return c.unless(ctx, func(kept *entry[T]) bool { return c.now().Before(kept.until) })
}

// renew reads the value again, unless that was done since old was read, or was of no use a moment ago.
func (c *cache[T]) renew(ctx context.Context, old *entry[T]) (*entry[T], error) {
	return c.unless(ctx, func(kept *entry[T]) bool {
		if kept == old {
			return c.now().UnixNano() < c.pause.Load()
		}
		return c.now().Before(kept.until)
	})
}

// renewedInVain says that a renewal was of no use.
func (c *cache[T]) renewedInVain() {
	if c != nil {
		c.pause.Store(c.now().Add(renewalPause).UnixNano())
	}
}

// unless reads the value, unless the one that is kept will do.
func (c *cache[T]) unless(ctx context.Context, willDo func(*entry[T]) bool) (*entry[T], error) {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return nil, unavailable("", "there was no time left to read the secret", ctx.Err())
	}
	if c.kept != nil && willDo(c.kept) {
		return c.kept, nil
	}
	value, until, err := c.read(ctx)
	if err != nil {
		return nil, err
	}
	c.kept = &entry[T]{value, until}
	return c.kept, nil
}
