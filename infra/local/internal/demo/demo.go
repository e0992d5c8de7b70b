package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/mccutchen/go-httpbin/v2/httpbin"
	"github.com/sethvargo/go-limiter"
	"github.com/sethvargo/go-limiter/memorystore"
)

// The behaviour of the upstream before anybody changes it.
const (
	// DefaultRequests is how many requests an address may make in an interval.
	DefaultRequests = 1

	// DefaultInterval is the interval of the rate limit.
	DefaultInterval = 3 * time.Second

	// DefaultFailureShare is the share of requests within the limit that are answered with 503.
	DefaultFailureShare = 0.25
)

// Settings is how the upstream behaves.
type Settings struct {
	// Requests is how many requests an address may make in an interval, at least 1.
	Requests uint64 `json:"requests"`

	// IntervalSeconds is the interval of the rate limit, in seconds.
	IntervalSeconds float64 `json:"intervalSeconds"`

	// FailureShare is the share of the requests within the limit that are answered with 503, from 0 to 1. The failures
	// are spread evenly, so that a share of 0.25 is every fourth request, the second one first.
	FailureShare float64 `json:"failureShare"`

	// DelayMilliseconds is how long each answer within the limit takes.
	DelayMilliseconds int64 `json:"delayMilliseconds"`
}

// DefaultSettings is the behaviour before anybody changes it.
func DefaultSettings() Settings {
	return Settings{Requests: DefaultRequests, IntervalSeconds: DefaultInterval.Seconds(), FailureShare: DefaultFailureShare}
}

// Validate says what is wrong with the settings.
func (s Settings) Validate() error {
	switch {
	case s.Requests < 1:
		return fmt.Errorf("demo: requests is %d; give at least 1", s.Requests)
	case !(s.IntervalSeconds > 0 && s.IntervalSeconds <= 3600):
		return fmt.Errorf("demo: intervalSeconds is %v; give more than 0 and at most 3600", s.IntervalSeconds)
	case !(s.FailureShare >= 0 && s.FailureShare <= 1):
		return fmt.Errorf("demo: failureShare is %v; give 0 to 1", s.FailureShare)
	case s.DelayMilliseconds < 0 || s.DelayMilliseconds > 600_000:
		return fmt.Errorf("demo: delayMilliseconds is %d; give 0 to 600000", s.DelayMilliseconds)
	}
	return nil
}

// An Upstream is the demo upstream. It is safe for concurrent use.
type Upstream struct {
	httpbin http.Handler
	speed   float64

	mu       sync.Mutex
	settings Settings
	limits   limiter.Store
	debt     float64 // of failures not yet given
	calls    int64
	admits   func(*http.Request) bool // nil for everybody
}

// maxBodyBytes is the largest body that the demo takes: more than a function URL carries, so that what is tried with large
// bodies does not end here. That of httpbin is a megabyte.
const maxBodyBytes = 8 << 20

// New makes a demo upstream. With a speed other than 1 its limit is counted in time that runs so much faster; what it
// says in Retry-After stays in the seconds of that time.
func New(settings Settings, speed float64) (*Upstream, error) {
	u := &Upstream{httpbin: httpbin.New(httpbin.WithMaxBodySize(maxBodyBytes)), speed: speed}
	return u, u.Change(settings)
}

// Settings is how the upstream behaves at present.
func (u *Upstream) Settings() Settings {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.settings
}

// Calls is how many requests have come in.
func (u *Upstream) Calls() int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.calls
}

// Change makes the upstream behave differently from now on. All limits start anew.
func (u *Upstream) Change(settings Settings) error {
	if err := settings.Validate(); err != nil {
		return err
	}
	limits, err := memorystore.New(&memorystore.Config{
		Tokens:   settings.Requests,
		Interval: max(time.Nanosecond, time.Duration(settings.IntervalSeconds/u.speed*float64(time.Second))),
	})
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.limits != nil {
		_ = u.limits.Close(context.Background())
	}
	u.settings, u.limits = settings, limits
	// Half a failure is owed at the start, so that one is seen soon.
	u.debt = 0.5
	return nil
}

// Demand has the upstream answer with 401 whatever admits does not let in. Such a request counts against no limit. What admits
// changes in a request is not shown to who sent it.
func (u *Upstream) Demand(admits func(*http.Request) bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.admits = admits
}

// admitted says whether a request is let in.
func (u *Upstream) admitted(r *http.Request) bool {
	u.mu.Lock()
	admits := u.admits
	u.mu.Unlock()
	return admits == nil || admits(r)
}

// ServeHTTP answers as httpbin does, unless the address is over its limit or a failure is due.
func (u *Upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		address = r.RemoteAddr
	}
	admitted := u.admitted(r)
	u.mu.Lock()
	u.calls++
	if !admitted {
		u.mu.Unlock()
		w.Header().Set("WWW-Authenticate", `Bearer realm="demo"`)
		u.refuse(w, http.StatusUnauthorized, "The credential is missing, or it is not the one of the secret.")
		return
	}
	settings := u.settings
	// With the lock held, because Change closes the limits that it replaces.
	_, remaining, reset, ok, err := u.limits.Take(r.Context(), address)
	u.mu.Unlock()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	until := time.Duration(float64(time.Until(time.Unix(0, int64(reset)))) * u.speed)
	seconds := strconv.FormatInt(max(1, int64(math.Ceil(until.Seconds()))), 10)
	w.Header().Set("RateLimit-Policy", fmt.Sprintf(`"address";q=%d;w=%d`, settings.Requests, int64(math.Ceil(settings.IntervalSeconds))))
	w.Header().Set("RateLimit", fmt.Sprintf(`"address";r=%d;t=%s`, remaining, seconds))
	if !ok {
		w.Header().Set("Retry-After", seconds)
		u.refuse(w, http.StatusTooManyRequests, "The address "+address+" is over its limit.")
		return
	}
	if u.failureDue() {
		u.refuse(w, http.StatusServiceUnavailable, "This one was to fail.")
		return
	}
	if !pause(r.Context(), time.Duration(settings.DelayMilliseconds)*time.Millisecond) {
		return
	}
	u.httpbin.ServeHTTP(w, r)
}

func (u *Upstream) refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": message})
}

// failureDue spreads failures evenly over the requests.
func (u *Upstream) failureDue() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.debt += u.settings.FailureShare
	if u.debt < 1 {
		return false
	}
	u.debt--
	return true
}

// pause waits, and is false if the caller went away meanwhile.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
