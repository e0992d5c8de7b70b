package gate

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// A Mode says what a gate does about rates.
type Mode string

// The modes.
const (
	// Off knows of no rates. The breaker, if it is not disabled, works all the same.
	Off Mode = "off"

	// Fixed lets through what Settings say, from the first request on: each takes a ticket. It is better than anything
	// learned as long as the numbers are right.
	Fixed Mode = "fixed"

	// Adaptive learns the rate. Nobody takes a ticket, and nothing is written, until the upstream has limited somebody.
	Adaptive Mode = "adaptive"

	// Observe does what Adaptive does, breaker included, but nobody waits and nobody is turned away: it is for seeing what
	// a gate would make of an upstream. Rates are measured, and not tried out.
	Observe Mode = "observe"
)

// Settings say how a gate works. All of its callers need the same; a change of the rate takes hold with the first caller
// that has it.
type Settings struct {
	// Mode is Off by default.
	Mode Mode

	// Rate, Period and Burst are for Fixed: Rate calls per Period, and at most Burst at once after a time without any. Take
	// a rate of 2% and a burst of a fifth below what the upstream says, since calls take their time to arrive. Period is a
	// second by default, and Burst is 1.
	Rate   int
	Period time.Duration
	Burst  int

	// MaxWaiting is how many requests of one scope may wait at the same time. Those that come when all places are taken are
	// turned away. DefaultMaxWaiting by default; [Unbounded]: as many as come.
	MaxWaiting int

	// Breaker says when calls are stopped altogether.
	Breaker Breaker

	// Patience is how long a request waits at most, of those that wait the longest: what was taken longer ago than that
	// counts as gone. DefaultPatience by default.
	Patience time.Duration
}

// A Breaker stops the queue when nearly every call fails. Zero fields have defaults.
type Breaker struct {
	Disabled bool

	// MinimumFailures is how many calls have to fail within two seconds. DefaultMinimumFailures by default.
	MinimumFailures int

	// FailureRate is the share of calls that has to fail, between 0 and 1. DefaultFailureRate by default.
	FailureRate float64

	// ProbeInterval is how often one call is let through to see whether the outage is over. DefaultProbeInterval by default.
	ProbeInterval time.Duration

	// RampUp is at what multiple of the rate at which requests came, those that wait are let go after an outage. At 1 or
	// below, a queue would never end. DefaultRampUp by default.
	RampUp float64
}

// Defaults of Settings and Breaker.
const (
	DefaultMaxWaiting      = 500
	DefaultPatience        = time.Minute
	DefaultMinimumFailures = 10
	DefaultFailureRate     = 0.8
	DefaultProbeInterval   = time.Second
	DefaultRampUp          = 1.5
)

// Unbounded is a MaxWaiting that lets as many wait as come.
const Unbounded = -1

// WithDefaults returns the settings with the defaults in place of zero fields.
func (s Settings) WithDefaults() Settings {
	s.Mode = or(s.Mode, Off)
	s.Period = or(s.Period, time.Second)
	s.Burst = or(s.Burst, 1)
	s.MaxWaiting = or(s.MaxWaiting, DefaultMaxWaiting)
	s.Patience = or(s.Patience, DefaultPatience)
	b := &s.Breaker
	b.MinimumFailures = or(b.MinimumFailures, DefaultMinimumFailures)
	b.FailureRate = or(b.FailureRate, DefaultFailureRate)
	b.ProbeInterval = or(b.ProbeInterval, DefaultProbeInterval)
	b.RampUp = or(b.RampUp, DefaultRampUp)
	return s
}

func or[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

// Limits of Settings.
const (
	// MaxRate is the highest Rate per second that can be typed in, and MaxBurst the highest Burst.
	MaxRate  = 100_000
	MaxBurst = 1_000_000
)

// Validate returns an error that names everything that is wrong with the settings, or nil. Zero fields have their defaults.
func (s Settings) Validate() error {
	var problems []error
	problem := func(format string, a ...any) { problems = append(problems, fmt.Errorf("gate: "+format, a...)) }
	s = s.WithDefaults()
	switch s.Mode {
	case Off, Fixed, Adaptive, Observe:
	default:
		problem("Mode is %q, want %q, %q, %q or %q", s.Mode, Off, Fixed, Adaptive, Observe)
	}
	if s.Mode == Fixed {
		if s.Rate < 1 {
			problem("Rate is %d; Mode %q needs the calls per Period that the upstream allows, 1 or more", s.Rate, Fixed)
		}
		if s.Period < time.Second || s.Period > 24*time.Hour {
			problem("Period is %s, want from 1s to 24h", s.Period)
		} else if per := float64(s.Rate) / s.Period.Seconds(); s.Rate >= 1 && (per > MaxRate || per < 1./perSecond) {
			problem("Rate %d per Period %s is %g calls per second, want from %g to %d", s.Rate, s.Period, per, 1./perSecond, MaxRate)
		}
		if s.Burst < 1 || s.Burst > MaxBurst {
			problem("Burst is %d, want from 1 to %d", s.Burst, MaxBurst)
		}
	} else if s.Rate != 0 {
		problem("Rate is %d, and only Mode %q reads it; Mode is %q", s.Rate, Fixed, s.Mode)
	}
	if s.MaxWaiting < 1 && s.MaxWaiting != Unbounded {
		problem("MaxWaiting is %d, want 1 or more, or %d for no bound", s.MaxWaiting, Unbounded)
	}
	if s.Patience < time.Second {
		problem("Patience is %s, want 1s or more", s.Patience)
	}
	b := s.Breaker
	if b.MinimumFailures < 1 {
		problem("Breaker.MinimumFailures is %d, want 1 or more", b.MinimumFailures)
	}
	if !(b.FailureRate > 0 && b.FailureRate <= 1) {
		problem("Breaker.FailureRate is %g, want more than 0, and at most 1", b.FailureRate)
	}
	if b.ProbeInterval < 100*time.Millisecond {
		problem("Breaker.ProbeInterval is %s, want 100ms or more", b.ProbeInterval)
	}
	if !(b.RampUp > 1 && b.RampUp <= 10) {
		problem("Breaker.RampUp is %g, want more than 1, and at most 10; at 1 and below, those who waited would never be through", b.RampUp)
	}
	return errors.Join(problems...)
}

// idle says that the settings ask for nothing.
func (s Settings) idle() bool { return s.Mode == Off && s.Breaker.Disabled }

// shards is over how many items a scope is spread at the least: as many as the rate that was typed in needs.
func (s Settings) shards() int64 {
	if s.Mode != Fixed {
		return 1
	}
	return shardsFor(float64(s.Rate) / s.Period.Seconds())
}

// ticketsPerShard is how many tickets per second are taken from one item. DynamoDB writes an item a thousand times a second
// at most, and there are other writes than those of tickets.
const ticketsPerShard = 400

func shardsFor(perSecond float64) int64 { return max(1, int64(math.Ceil(perSecond/ticketsPerShard))) }

// fixedRate is the rate of one item, in thousandths per second, and zero if none is typed in.
func (s Settings) fixedRate() int64 {
	if s.Mode != Fixed {
		return 0
	}
	return max(1, int64(float64(s.Rate)/s.Period.Seconds()*perSecond)/s.shards())
}

// credit is for how long nobody has to have called for the next ones to call at once, in milliseconds: no more of them than
// that time has room for.
func (s Settings) credit() int64 {
	if s.Mode != Fixed {
		return learnedCredit
	}
	// The first ticket of a burst is due at once without any credit.
	burst := max(0, float64(s.Burst)/float64(s.shards())-1)
	return int64(burst / (float64(s.fixedRate()) / perSecond) * second)
}

// keptCredit is what is left of the credit when the time in which nobody waited is forgotten. Of a credit that was typed in
// it is most, so that this is not done again by the next ticket.
func (s Settings) keptCredit() int64 {
	if s.Mode != Fixed {
		return 0
	}
	return int64(keptShare * float64(s.credit()))
}
