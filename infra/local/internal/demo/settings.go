package demo

import (
	"errors"
	"fmt"
	"time"
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

// Settings is how the upstream behaves. Seconds are those of the time in which its limits are counted, see [New].
type Settings struct {
	// Requests is how many requests may be made in an interval, at least 1: by each address, or with each key.
	Requests uint64 `json:"requests"`

	// IntervalSeconds is the interval of the rate limit, in seconds.
	IntervalSeconds float64 `json:"intervalSeconds"`

	// By is what the limit is counted by. Empty: by address.
	By Partition `json:"by,omitempty"`

	// Burst makes the limit a token bucket that holds so many requests, and that is filled again by Requests in each
	// interval. Zero: the limit is a window, which begins with the first request; all that an interval allows may be made at
	// once, and then none until its end.
	Burst int `json:"burst,omitempty"`

	// OmitRateLimit leaves out RateLimit-Policy and RateLimit. When to come again is then said by Retry-After alone, in
	// whole seconds, and only with a 429.
	OmitRateLimit bool `json:"omitRateLimit,omitempty"`

	// FailureShare is the share of the requests within the limit that are answered with 503, from 0 to 1. The failures
	// are spread evenly, so that a share of 0.25 is every fourth request, the second one first.
	FailureShare float64 `json:"failureShare"`

	// DelayMilliseconds is how long each answer within the limit takes.
	DelayMilliseconds int64 `json:"delayMilliseconds"`

	// Outage is an outage that begins when the settings are made. Nil: there is none.
	Outage *Outage `json:"outage,omitempty"`
}

// A Partition is what a limit is counted by.
type Partition string

// What a limit can be counted by.
const (
	// ByAddress counts by the address that a request comes from, without its port.
	ByAddress Partition = "address"

	// ByKey counts by the credential of a request: Authorization, or X-Api-Key where there is none. Requests without one
	// share one limit.
	ByKey Partition = "key"
)

// An Outage is a time in which the upstream does nothing for anybody. What comes in then counts against no limit.
type Outage struct {
	// Answer is what becomes of requests.
	Answer OutageAnswer `json:"answer"`

	// Seconds is how long it lasts, up to a day. Zero: until the settings are changed.
	Seconds float64 `json:"seconds,omitempty"`

	// RetryAfterSeconds announces it: each 503 has this in Retry-After, however long the outage goes on. Zero: it is not
	// announced.
	RetryAfterSeconds int `json:"retryAfterSeconds,omitempty"`
}

// An OutageAnswer is what becomes of requests in an outage.
type OutageAnswer string

// What can become of requests in an outage.
const (
	// Unavailable answers them with 503.
	Unavailable OutageAnswer = "503"

	// Cut closes their connections without an answer.
	Cut OutageAnswer = "cut"
)

// The bounds of settings.
const (
	maxIntervalSeconds   = 3600
	maxBurst             = 1_000_000
	maxDelayMilliseconds = 600_000
	maxOutageSeconds     = 86_400
)

// DefaultSettings is the behaviour before anybody changes it.
func DefaultSettings() Settings {
	return Settings{Requests: DefaultRequests, IntervalSeconds: DefaultInterval.Seconds(), FailureShare: DefaultFailureShare}
}

// Validate says all that is wrong with the settings, a line for each.
func (s Settings) Validate() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf("demo: "+format, args...)) }
	if s.Requests < 1 {
		problem("requests is %d; give at least 1", s.Requests)
	}
	if !(s.IntervalSeconds > 0 && s.IntervalSeconds <= maxIntervalSeconds) {
		problem("intervalSeconds is %v; give more than 0 and at most %d", s.IntervalSeconds, maxIntervalSeconds)
	}
	if s.By != "" && s.By != ByAddress && s.By != ByKey {
		problem("by is %q; give %s or %s, or leave it out, which is %[2]s", s.By, ByAddress, ByKey)
	}
	if s.Burst < 0 || s.Burst > maxBurst {
		problem("burst is %d; give 1 to %d for a token bucket, or 0 for a window", s.Burst, maxBurst)
	}
	if !(s.FailureShare >= 0 && s.FailureShare <= 1) {
		problem("failureShare is %v; give 0 to 1", s.FailureShare)
	}
	if s.DelayMilliseconds < 0 || s.DelayMilliseconds > maxDelayMilliseconds {
		problem("delayMilliseconds is %d; give 0 to %d", s.DelayMilliseconds, maxDelayMilliseconds)
	}
	if o := s.Outage; o != nil {
		if o.Answer != Unavailable && o.Answer != Cut {
			problem("outage.answer is %q; give %s or %s, or leave the outage out", o.Answer, Unavailable, Cut)
		}
		if !(o.Seconds >= 0 && o.Seconds <= maxOutageSeconds) {
			problem("outage.seconds is %v; give 0, for an outage without an end, to %d", o.Seconds, maxOutageSeconds)
		}
		if o.RetryAfterSeconds < 0 || o.RetryAfterSeconds > maxOutageSeconds {
			problem("outage.retryAfterSeconds is %d; give 0, for an outage that is not announced, to %d", o.RetryAfterSeconds, maxOutageSeconds)
		}
		if o.Answer == Cut && o.RetryAfterSeconds != 0 {
			problem("outage.retryAfterSeconds is %d, and outage.answer is %s; without an answer nothing is announced, so give one of them", o.RetryAfterSeconds, Cut)
		}
	}
	return errors.Join(problems...)
}

// partition is what the limit is counted by.
func (s Settings) partition() Partition {
	if s.By == "" {
		return ByAddress
	}
	return s.By
}
