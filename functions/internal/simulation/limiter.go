package simulation

import "time"

// A Limiter lets a number of calls through. Moments never go back.
type Limiter interface {
	// Take says whether a call is let through.
	Take(at time.Duration) bool

	// wait returns how long to wait until a single call is let through.
	wait(at time.Duration) time.Duration

	// book takes the next free place, and returns how long to wait for it.
	book(at time.Duration) time.Duration
}

// Each makes each limiter in the same way.
func Each[L Limiter](make func() L) func(Counted) Limiter {
	return func(Counted) Limiter { return make() }
}

// A Bucket is a token bucket.
type Bucket struct {
	rate, burst float64 // tokens per second, and the most of them
	tokens      float64 // negative if places were booked ahead
	last        time.Duration
	changes     []Change
}

// A Change is a rate of tokens per second that a bucket has from a moment on, and as its depth, too.
type Change struct {
	From time.Duration
	Rate float64
}

// NewBucket returns what makes full buckets of a rate per second and a depth.
func NewBucket(rate, burst float64, changes ...Change) func() *Bucket {
	return func() *Bucket { return &Bucket{rate: rate, burst: burst, tokens: burst, changes: changes} }
}

func (b *Bucket) fill(at time.Duration) {
	for len(b.changes) > 0 && at >= b.changes[0].From {
		b.rate, b.burst = b.changes[0].Rate, b.changes[0].Rate
		b.changes = b.changes[1:]
	}
	// The conversion keeps the compiler from fusing the two operations, which would round differently elsewhere.
	b.tokens = min(b.burst, b.tokens+float64((at-b.last).Seconds()*b.rate))
	b.last = at
}

// Take implements [Limiter].
func (b *Bucket) Take(at time.Duration) bool {
	b.fill(at)
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

func (b *Bucket) wait(at time.Duration) time.Duration {
	b.fill(at)
	return time.Duration(max(0, 1-b.tokens) / b.rate * float64(time.Second))
}

func (b *Bucket) book(at time.Duration) time.Duration {
	wait := b.wait(at)
	b.tokens--
	return wait
}

// A window lets a quota through in each stretch of time.
type window struct {
	length time.Duration
	quota  int
	number int64 // of the window that used counts in
	used   int
}

// NewWindow returns what makes limiters that let a quota of calls through in each stretch of time.
func NewWindow(length time.Duration, quota int) func() Limiter {
	return func() Limiter { return &window{length: length, quota: quota} }
}

func (w *window) turn(at time.Duration) {
	if number := int64(at / w.length); number > w.number {
		w.number, w.used = number, 0
	}
}

func (w *window) Take(at time.Duration) bool {
	w.turn(at)
	if w.used >= w.quota {
		return false
	}
	w.used++
	return true
}

func (w *window) wait(at time.Duration) time.Duration {
	w.turn(at)
	number := w.number
	if w.used >= w.quota {
		number++
	}
	return max(0, time.Duration(number)*w.length-at)
}

func (w *window) book(at time.Duration) time.Duration {
	wait := w.wait(at)
	if w.used >= w.quota {
		w.number, w.used = w.number+1, 0
	}
	w.used++
	return wait
}
