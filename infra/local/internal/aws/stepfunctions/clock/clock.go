package clock

import (
	"context"
	"time"
)

// A Clock tells the time and lets it pass. All clocks may be used by many goroutines at once.
type Clock interface {
	// Now is the current time.
	Now() time.Time

	// Wait blocks until d has passed, or until ctx is done; in the latter case it returns ctx's error. A d of zero or
	// less returns at once.
	Wait(ctx context.Context, d time.Duration) error

	// After is the moment that Now shows when a Wait of d that begins now has passed. A d of zero or less is none.
	After(d time.Duration) time.Time

	// WaitUntil is Wait for the rest of one that has begun, such as in an earlier process: it blocks until Now shows the
	// moment.
	WaitUntil(ctx context.Context, moment time.Time) error

	// WithTimeout is like [context.WithTimeout], with the time measured on this clock: the context it returns fails
	// with [context.DeadlineExceeded] after d.
	WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc)

	// Enter tells the clock that one more goroutine works by it, until it calls leave. A virtual clock needs this to
	// know when everybody waits; the others ignore it. It may be called for a goroutine that is about to be started.
	Enter() (leave func())
}

// Real is the clock of this machine.
var Real Clock = Faster(1)

// Faster returns the clock of this machine with waits that pass speed times faster. Only waits are shortened: Now stays
// the real time and a timeout its real duration, because the work that they measure takes real time. A speed of zero or
// less is taken as 1.
func Faster(speed float64) Clock {
	if speed <= 0 {
		speed = 1
	}
	return realClock{speed: speed}
}

type realClock struct{ speed float64 }

func (c realClock) Now() time.Time { return time.Now() }

func (c realClock) Wait(ctx context.Context, d time.Duration) error {
	return c.pause(ctx, c.shortened(d))
}

func (c realClock) After(d time.Duration) time.Time { return time.Now().Add(max(c.shortened(d), 0)) }

func (c realClock) WaitUntil(ctx context.Context, moment time.Time) error {
	return c.pause(ctx, time.Until(moment))
}

func (c realClock) shortened(d time.Duration) time.Duration {
	return time.Duration(float64(d) / c.speed)
}

// pause waits for d of real time.
func (c realClock) pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c realClock) WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, d)
}

func (c realClock) Enter() func() { return func() {} }
