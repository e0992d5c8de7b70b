package stack

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// clocksAhead tells how far the clock of a function is ahead of the gateway's, by the name that it is invoked by.
//
// Moments travel between the gateway and the proxies only, and are moved there. So a gateway whose clock is ahead is one
// whose proxies' clocks are all behind.
func (s *Stack) clocksAhead(clocks map[string]time.Duration) (func(invoked string) time.Duration, error) {
	unknown := maps.Clone(clocks)
	of := func(name string) (ahead time.Duration) {
		for _, name := range []string{name, s.ShortName(name)} {
			if given, found := clocks[name]; found {
				ahead = given
				delete(unknown, name)
			}
		}
		return ahead
	}
	var gateway time.Duration
	byARN := map[string]time.Duration{}
	var names []string
	for _, f := range s.Template.Functions {
		_, calls := f.Environment[message.UpstreamVariable]
		_, starts := f.Environment[message.StateMachineVariable]
		switch {
		case calls:
			byARN[f.ARN] = of(f.Name)
		case starts:
			gateway = of(f.Name)
		default:
			continue
		}
		names = append(names, s.ShortName(f.Name))
	}
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(unknown)) {
		problems = append(problems, fmt.Errorf("stack: Config.ClocksAhead names %q; the functions with a clock are %s",
			name, strings.Join(names, ", ")))
	}
	return func(invoked string) time.Duration {
		for arn, ahead := range byARN {
			if invoked == arn || strings.HasPrefix(invoked, arn+":") { // with an alias or a version
				return ahead - gateway
			}
		}
		return 0
	}, errors.Join(problems...)
}
