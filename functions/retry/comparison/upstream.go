package comparison

import (
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// latency is how long after a call an upstream decides on it.
const latency = 50 * time.Millisecond

// programField says which program makes a call.
const programField = "Program"

// An upstream is a handler that answers as a script has it, and that keeps books.
type upstream struct {
	answer script

	mu    sync.Mutex
	calls int
	early int
	told  map[string]time.Time // until when each program has been asked to stay away
}

// A script answers a call at a moment: it sets header fields and returns the status, and until when the caller is asked to
// stay away, if that is said.
type script func(now time.Time, header http.Header) (status int, until time.Time)

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	program := r.Header.Get(programField)
	u.mu.Lock()
	u.calls++
	if time.Now().Before(u.told[program]) {
		u.early++
	}
	u.mu.Unlock()

	time.Sleep(latency)
	u.mu.Lock()
	defer u.mu.Unlock()
	status, until := u.answer(time.Now(), w.Header())
	if until.After(u.told[program]) {
		u.told[program] = until
	}
	w.WriteHeader(status)
}

// limited sets a Retry-After in whole seconds, rounded up, and at least one.
func limited(now time.Time, wait time.Duration, header http.Header) (int, time.Time) {
	seconds := max(1, int(math.Ceil(wait.Seconds())))
	header.Set("Retry-After", strconv.Itoa(seconds))
	return http.StatusTooManyRequests, now.Add(time.Duration(seconds) * time.Second)
}

// windows lets a number of calls through in each window. The first window begins with the first call.
func windows(quota int, length time.Duration) script {
	var begin time.Time
	used := 0
	return func(now time.Time, header http.Header) (int, time.Time) {
		if now.Sub(begin) >= length {
			begin, used = now, 0
		}
		if used == quota {
			return limited(now, begin.Add(length).Sub(now), header)
		}
		used++
		return http.StatusOK, time.Time{}
	}
}

// bucket lets through what a token bucket holds.
func bucket(perSecond, deep float64) script {
	tokens := deep
	var last time.Time
	return func(now time.Time, header http.Header) (int, time.Time) {
		// The conversion keeps the compiler from fusing the two operations, which would round differently elsewhere.
		tokens, last = min(deep, tokens+float64(now.Sub(last).Seconds()*perSecond)), now
		if tokens < 1 {
			return limited(now, time.Duration((1-tokens)/perSecond*float64(time.Second)), header)
		}
		tokens--
		return http.StatusOK, time.Time{}
	}
}

// usedUp is a quota that is used up, and says when it is renewed only in fields for quotas.
func usedUp(renewed time.Duration) script {
	var until time.Time
	return func(now time.Time, header http.Header) (int, time.Time) {
		if until.IsZero() {
			until = now.Add(renewed).Truncate(time.Second)
		}
		header.Set("X-RateLimit-Limit", "1000")
		header.Set("X-RateLimit-Remaining", "0")
		header.Set("X-RateLimit-Reset", strconv.FormatInt(until.Unix(), 10))
		return http.StatusTooManyRequests, until
	}
}

// outage is out for a time, from the first call on.
func outage(length time.Duration) script {
	var begin time.Time
	return func(now time.Time, _ http.Header) (int, time.Time) {
		if begin.IsZero() {
			begin = now
		}
		if now.Sub(begin) < length {
			return http.StatusServiceUnavailable, time.Time{}
		}
		return http.StatusOK, time.Time{}
	}
}
