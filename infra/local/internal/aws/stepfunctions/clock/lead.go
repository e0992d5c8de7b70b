package clock

import (
	"context"
	"time"
)

// leadKey is the key of an execution's lead in its context.
type leadKey struct{}

// WithLead gives an execution a lead: how much longer its waits were than they took for those whom it calls, and whose time
// is another. A clock that brings the two together adds to it; the others leave it alone. It belongs to the goroutine that
// runs the execution.
func WithLead(ctx context.Context, lead *time.Duration) context.Context {
	return context.WithValue(ctx, leadKey{}, lead)
}

// LeadOf is the lead of the execution with a context. It is nil if the context is no execution's.
func LeadOf(ctx context.Context) *time.Duration {
	lead, _ := ctx.Value(leadKey{}).(*time.Duration)
	return lead
}
