package asl

import (
	"math"
	"time"
)

// Defaults and bounds of a retrier, from the language.
const (
	DefaultInterval    = time.Second
	DefaultMaxAttempts = 3
	DefaultBackoffRate = 2.0

	// maxDelay bounds every delay: MaxDelaySeconds must be below it, and without MaxDelaySeconds a delay stops growing
	// there. It is 366 days, the longest that an execution can live.
	maxDelay = 31622400 * time.Second
)

// A jitter is a value of JitterStrategy.
type jitter string

const (
	noJitter   jitter = "NONE"
	fullJitter jitter = "FULL"
)

// A retrier is an element of Retry.
type retrier struct {
	errorEquals []string
	interval    time.Duration
	maxAttempts int
	backoffRate float64
	maxDelay    time.Duration
	jitter      jitter
}

// delay is how long to wait before the retry that follows n earlier ones of this retrier.
func (r retrier) delay(n int, random func() float64) time.Duration {
	d := float64(r.interval) * math.Pow(r.backoffRate, float64(n))
	d = min(d, float64(r.maxDelay))
	if r.jitter == fullJitter {
		d *= random()
	}
	return time.Duration(d)
}

// retries counts, for one visit of a state, how often each of its retriers has been used.
type retries struct {
	retriers []retrier
	used     []int
}

func newRetries(s *state) *retries {
	return &retries{retriers: s.retriers, used: make([]int, len(s.retriers))}
}

// total is how often the call has been repeated.
func (r *retries) total() (n int) {
	for _, used := range r.used {
		n += used
	}
	return n
}

// next looks for the first retrier that matches an error. Once that one's attempts are used up, no other is asked.
func (r *retries) next(f *Failure, random func() float64) (time.Duration, bool) {
	for i, retrier := range r.retriers {
		if !matches(retrier.errorEquals, f.Name) {
			continue
		}
		if r.used[i] >= retrier.maxAttempts {
			return 0, false
		}
		r.used[i]++
		return retrier.delay(r.used[i]-1, random), true
	}
	return 0, false
}

// A catcher is an element of Catch.
type catcher struct {
	errorEquals []string
	resultPath  *path // nil: the error output is dropped
	next        string
}
