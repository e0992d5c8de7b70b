package demo

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/sethvargo/go-limiter"
	"github.com/sethvargo/go-limiter/memorystore"
	"golang.org/x/time/rate"
)

// A limit says which requests may be made. It is used by one goroutine at a time.
type limit interface {
	// take makes a request of somebody, if it may be made.
	take(who string) (verdict, error)

	close()
}

// A verdict is what a limit says of a request.
type verdict struct {
	ok bool

	// remaining is how many requests may follow at once.
	remaining uint64

	// renewed is in how long there will be more of them: at the end of the window, or with the next token.
	renewed time.Duration
}

// newLimit makes the limit of some settings, in time that runs faster.
func newLimit(s Settings, speed float64) (limit, error) {
	if s.Burst > 0 {
		return &bucketLimit{
			perSecond: float64(s.Requests) / s.IntervalSeconds, burst: s.Burst, speed: speed, buckets: map[string]*rate.Limiter{},
		}, nil
	}
	windows, err := memorystore.New(&memorystore.Config{
		Tokens:   s.Requests,
		Interval: max(time.Nanosecond, time.Duration(s.IntervalSeconds/speed*float64(time.Second))),
	})
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	return &windowLimit{windows, speed}, nil
}

// A windowLimit lets everybody make so many requests in each window.
type windowLimit struct {
	windows limiter.Store
	speed   float64
}

func (l *windowLimit) take(who string) (verdict, error) {
	_, remaining, reset, ok, err := l.windows.Take(context.Background(), who)
	left := float64(time.Until(time.Unix(0, int64(reset)))) * l.speed
	return verdict{ok: ok, remaining: remaining, renewed: time.Duration(left)}, err
}

func (l *windowLimit) close() { _ = l.windows.Close(context.Background()) }

// maxBuckets is for how many there are buckets at once: with a key for each request there would be one for each.
const maxBuckets = 1_000

// A bucketLimit gives everybody a bucket of tokens.
type bucketLimit struct {
	perSecond float64
	burst     int
	speed     float64
	buckets   map[string]*rate.Limiter
}

func (l *bucketLimit) take(who string) (verdict, error) {
	now := time.Now()
	bucket := l.buckets[who]
	if bucket == nil {
		l.makeRoom(now)
		bucket = rate.NewLimiter(rate.Limit(l.perSecond*l.speed), l.burst)
		l.buckets[who] = bucket
	}
	ok := bucket.AllowN(now, 1)
	// What little a token lacks by rounding is not waited for.
	tokens := max(0, bucket.TokensAt(now)+1e-9)
	lacking := (math.Floor(tokens) + 1 - tokens) / l.perSecond
	return verdict{ok: ok, remaining: uint64(tokens), renewed: time.Duration(lacking * float64(time.Second))}, nil
}

// makeRoom forgets buckets, if there are as many as there may be: the full ones, which are as new, and without any some other one.
func (l *bucketLimit) makeRoom(now time.Time) {
	if len(l.buckets) < maxBuckets {
		return
	}
	for who, bucket := range l.buckets {
		if bucket.TokensAt(now) >= float64(l.burst) {
			delete(l.buckets, who)
		}
	}
	for who := range l.buckets {
		if len(l.buckets) < maxBuckets {
			return
		}
		delete(l.buckets, who)
	}
}

func (l *bucketLimit) close() {}
