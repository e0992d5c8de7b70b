package faults

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Defaults of [Settings] that are not given.
const (
	DefaultDelay = time.Second
	DefaultSeed  = 1
)

// Settings say how many calls fail, and how. The zero value has none fail.
type Settings struct {
	// Throttle, Lost, Slow, Failed and Cut are shares of all calls, from 0 to 1, and together not above 1: a call meets one
	// fault at most. One that is throttled is refused with the service's own error, and nothing is done; one that fails, with
	// the service's own 500. The reply of one that is lost is not sent, although the work has been done, and that of one that
	// is cut breaks off in the middle. One that is slow is held up for Delay before anything is done.
	Throttle, Lost, Slow, Failed, Cut float64

	Delay time.Duration
	Seed  uint64
}

// Any says whether calls fail at all.
func (s Settings) Any() bool {
	return s.Throttle > 0 || s.Lost > 0 || s.Slow > 0 || s.Failed > 0 || s.Cut > 0
}

// String writes the settings as [Parse] reads them.
func (s Settings) String() string {
	share := func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
	return fmt.Sprintf("throttle=%s,lost=%s,slow=%s,failed=%s,cut=%s,delay=%v,seed=%d",
		share(s.Throttle), share(s.Lost), share(s.Slow), share(s.Failed), share(s.Cut), s.Delay, s.Seed)
}

// Parse reads settings such as throttle=0.1,lost=0.1,slow=0.1,failed=0.1,cut=0.1,delay=1s,seed=7, in any order, where each
// may be left out. The error says all that is wrong.
func Parse(text string) (Settings, error) {
	s := Settings{Delay: DefaultDelay, Seed: DefaultSeed}
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	shares := map[string]*float64{"throttle": &s.Throttle, "lost": &s.Lost, "slow": &s.Slow, "failed": &s.Failed, "cut": &s.Cut}
	given := map[string]bool{}
	for _, part := range strings.Split(text, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		if given[name] {
			problem("%s is given twice; give it once", name)
		}
		given[name] = true
		switch share := shares[name]; {
		case share != nil:
			f, err := strconv.ParseFloat(value, 64)
			if err != nil || !(f >= 0 && f <= 1) {
				problem("%s is %q; give a share of the calls from 0 to 1, such as 0.1", name, value)
				continue
			}
			*share = f
		case name == "delay":
			d, err := time.ParseDuration(value)
			if err != nil || d < 0 {
				problem("delay is %q; give a duration, such as 1s or 250ms", value)
				continue
			}
			s.Delay = d
		case name == "seed":
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				problem("seed is %q; give a whole number from 0, such as 7", value)
				continue
			}
			s.Seed = n
		default:
			problem("%q is not known; throttle, lost, slow, failed, cut, delay and seed are, such as in throttle=0.1,lost=0.1,slow=0.1,delay=1s,seed=7", part)
		}
	}
	if sum := s.Throttle + s.Lost + s.Slow + s.Failed + s.Cut; sum > 1+1e-9 {
		problem("throttle, lost, slow, failed and cut are %g together; give at most 1, since a call meets one fault", sum)
	}
	return s, errors.Join(problems...)
}
