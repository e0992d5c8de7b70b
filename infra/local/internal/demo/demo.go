package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/mccutchen/go-httpbin/v2/httpbin"
)

// An Upstream is the demo upstream. It is safe for concurrent use.
type Upstream struct {
	httpbin http.Handler
	speed   float64

	mu       sync.Mutex
	settings Settings
	limit    limit
	restored time.Time // when the outage is over; zero if the settings end it
	debt     float64   // of failures not yet given
	calls    int64
	admits   func(*http.Request) bool // nil for everybody
}

// maxBodyBytes is the largest body that the demo takes: more than a function URL carries, so that what is tried with large
// bodies does not end here. That of httpbin is a megabyte.
const maxBodyBytes = 8 << 20

// New makes a demo upstream. With a speed other than 1 its limits and outages are counted in time that runs so much faster; what
// it says in Retry-After stays in the seconds of that time.
func New(settings Settings, speed float64) (*Upstream, error) {
	u := &Upstream{httpbin: httpbin.New(httpbin.WithMaxBodySize(maxBodyBytes)), speed: speed}
	return u, u.Change(settings)
}

// Settings is how the upstream behaves at present. An outage that is over is not among them.
func (u *Upstream) Settings() Settings {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.present()
}

// present is the settings without an outage that is over. The lock must be held.
func (u *Upstream) present() Settings {
	if !u.restored.IsZero() && !time.Now().Before(u.restored) {
		u.settings.Outage = nil
	}
	settings := u.settings
	if settings.Outage != nil {
		outage := *settings.Outage
		settings.Outage = &outage
	}
	return settings
}

// Calls is how many requests have come in.
func (u *Upstream) Calls() int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.calls
}

// Change makes the upstream behave differently from now on. All limits start anew, and so does an outage.
func (u *Upstream) Change(settings Settings) error {
	if err := settings.Validate(); err != nil {
		return err
	}
	limit, err := newLimit(settings, u.speed)
	if err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.limit != nil {
		u.limit.close()
	}
	if settings.Outage != nil {
		outage := *settings.Outage // which the caller may go on to change
		settings.Outage = &outage
	}
	u.settings, u.limit, u.restored = settings, limit, time.Time{}
	if o := settings.Outage; o != nil && o.Seconds > 0 {
		u.restored = time.Now().Add(time.Duration(o.Seconds / u.speed * float64(time.Second)))
	}
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

// ServeHTTP answers as httpbin does, unless there is an outage, somebody is over their limit, or a failure is due.
func (u *Upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	from := callerOf(r) // before the credential is taken away
	admitted := u.admitted(r)
	u.mu.Lock()
	u.calls++
	settings := u.present()
	if settings.Outage != nil {
		u.mu.Unlock()
		u.fail(w, *settings.Outage)
		return
	}
	if !admitted {
		u.mu.Unlock()
		w.Header().Set("WWW-Authenticate", `Bearer realm="demo"`)
		u.refuse(w, http.StatusUnauthorized, "The credential is missing, or it is not the one of the secret.")
		return
	}
	// With the lock held, because Change closes the limit that it replaces.
	v, err := u.limit.take(from.identity(settings.partition()))
	u.mu.Unlock()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	seconds := strconv.FormatInt(max(1, int64(math.Ceil(v.renewed.Seconds()))), 10)
	if !settings.OmitRateLimit {
		w.Header().Set("RateLimit-Policy", fmt.Sprintf(`"%s";q=%d;w=%d`, settings.partition(), settings.Requests, int64(math.Ceil(settings.IntervalSeconds))))
		w.Header().Set("RateLimit", fmt.Sprintf(`"%s";r=%d;t=%s`, settings.partition(), v.remaining, seconds))
	}
	if !v.ok {
		w.Header().Set("Retry-After", seconds)
		u.refuse(w, http.StatusTooManyRequests, from.complaint(settings.partition()))
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

// fail does what becomes of requests in an outage.
func (u *Upstream) fail(w http.ResponseWriter, outage Outage) {
	if outage.Answer == Cut {
		panic(http.ErrAbortHandler) // closes the connection
	}
	if outage.RetryAfterSeconds > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(outage.RetryAfterSeconds))
	}
	u.refuse(w, http.StatusServiceUnavailable, "There is an outage.")
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
