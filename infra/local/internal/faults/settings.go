package faults

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Defaults of [Settings] that are not given.
const (
	DefaultDelay = time.Second
	DefaultSeed  = 1
)

// Shares say how many calls meet which fault: shares of all calls, from 0 to 1, and together not above 1, since a call meets one
// fault at most. One that is throttled is refused with the service's own error, and nothing is done; one that fails, with the
// service's own 500. The reply of one that is lost is not sent, although the work has been done, and that of one that is cut
// breaks off in the middle. One that is slow is held up by a delay before anything is done.
type Shares struct {
	Throttle, Lost, Slow, Failed, Cut float64
}

func (s Shares) any() bool { return s != Shares{} }

// each lists the shares by their names, in the order in which they are written.
func (s *Shares) each() []share {
	return []share{{"throttle", &s.Throttle}, {"lost", &s.Lost}, {"slow", &s.Slow}, {"failed", &s.Failed}, {"cut", &s.Cut}}
}

// A share is one of Shares, with its name.
type share struct {
	name string
	of   *float64
}

// Settings say how many calls fail, and how. The zero value has none fail.
type Settings struct {
	// Throttle, Lost, Slow, Failed and Cut are the [Shares] of the calls to services that are not among Services.
	Throttle, Lost, Slow, Failed, Cut float64

	// Services has services with shares of their own, in the place of those above, by the names that [Parse] reads, such as
	// dynamodb.
	Services map[string]Shares

	// Delay is by how much a slow call is held up.
	Delay time.Duration

	// Seed determines which calls meet the faults.
	Seed uint64
}

// of is the shares of the calls to a service.
func (s Settings) of(service Service) Shares {
	if own, found := s.Services[service.key()]; found {
		return own
	}
	return s.others()
}

// others is the shares of services that have none of their own.
func (s Settings) others() Shares { return Shares{s.Throttle, s.Lost, s.Slow, s.Failed, s.Cut} }

// Any says whether calls fail at all.
func (s Settings) Any() bool {
	for _, own := range s.Services {
		if own.any() {
			return true
		}
	}
	return s.others().any()
}

// String writes the settings as [Parse] reads them.
func (s Settings) String() string {
	var parts []string
	write := func(name string, of float64) { parts = append(parts, name+"="+strconv.FormatFloat(of, 'g', -1, 64)) }
	others := s.others()
	for _, share := range others.each() {
		write(share.name, *share.of)
	}
	for _, service := range slices.Sorted(maps.Keys(s.Services)) {
		own := s.Services[service]
		for i, share := range own.each() {
			if *share.of > 0 || i == 0 { // one at least, so that the service is named
				write(service+"."+share.name, *share.of)
			}
		}
	}
	return strings.Join(parts, ",") + fmt.Sprintf(",delay=%v,seed=%d", s.Delay, s.Seed)
}

// Parse reads settings such as throttle=0.1,lost=0.1,slow=0.1,failed=0.1,cut=0.1,delay=1s,seed=7, in any order, where each
// may be left out. A share with the name of a service before it, such as dynamodb.throttle=0.5, is one of the calls to that
// service alone; a service that is named so has the shares that are named for it, and no others. The error says all that is
// wrong.
func Parse(text string) (Settings, error) {
	s := Settings{Delay: DefaultDelay, Seed: DefaultSeed}
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	var others Shares
	services := map[string]*Shares{}
	given := map[string]bool{}
	for _, part := range strings.Split(text, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		if given[name] {
			problem("%s is given twice; give it once", name)
		}
		given[name] = true
		shares, shareName := &others, name
		if service, rest, found := strings.Cut(name, "."); found {
			if !slices.Contains(keys(), service) {
				problem("%q begins with a service that is not known; %s are, such as in dynamodb.throttle=0.5", part, strings.Join(keys(), ", "))
				continue
			}
			if services[service] == nil {
				services[service] = new(Shares)
			}
			shares, shareName = services[service], rest
		}
		at := slices.IndexFunc(shares.each(), func(of share) bool { return of.name == shareName })
		switch {
		case at >= 0:
			f, err := strconv.ParseFloat(value, 64)
			if err != nil || !(f >= 0 && f <= 1) {
				problem("%s is %q; give a share of the calls from 0 to 1, such as 0.1", name, value)
				continue
			}
			*shares.each()[at].of = f
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
		case shares != &others:
			problem("%q is not known; throttle, lost, slow, failed and cut are shares of a service, such as in dynamodb.throttle=0.5", part)
		default:
			problem("%q is not known; throttle, lost, slow, failed, cut, delay and seed are, such as in throttle=0.1,lost=0.1,slow=0.1,delay=1s,seed=7", part)
		}
	}
	check := func(prefix string, shares Shares) {
		if sum := shares.Throttle + shares.Lost + shares.Slow + shares.Failed + shares.Cut; sum > 1+1e-9 {
			problem("%[1]sthrottle, %[1]slost, %[1]sslow, %[1]sfailed and %[1]scut are %[2]g together; give at most 1, since a call meets one fault", prefix, sum)
		}
	}
	check("", others)
	s.Throttle, s.Lost, s.Slow, s.Failed, s.Cut = others.Throttle, others.Lost, others.Slow, others.Failed, others.Cut
	for _, service := range slices.Sorted(maps.Keys(services)) {
		check(service+".", *services[service])
		if s.Services == nil {
			s.Services = map[string]Shares{}
		}
		s.Services[service] = *services[service]
	}
	return s, errors.Join(problems...)
}
