package idempotency

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"
)

// A Clock tells the time and passes it.
type Clock interface {
	Now() time.Time

	// Sleep waits for d, or until ctx is done, and returns ctx's error then.
	Sleep(ctx context.Context, d time.Duration) error
}

// SystemClock is the time as it passes. It is what [Config.Clock] is by default.
func SystemClock() Clock { return systemClock{} }

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func randomOwner() string {
	var token [16]byte
	rand.Read(token[:]) // never fails
	return hex.EncodeToString(token[:])
}
