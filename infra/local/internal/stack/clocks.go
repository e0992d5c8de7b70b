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
	byARN := map[string]time.Duration{} // ahead of the gateway's of the instance
	var names []string
	for _, instance := range s.instances {
		gateway := of(instance.Gateway)
		names = append(names, s.ShortName(instance.Gateway))
		for _, f := range s.Template.Functions {
			if _, calls := f.Environment[message.UpstreamVariable]; calls && slices.Contains(instance.Proxies, f.Name) {
				byARN[f.ARN] = of(f.Name) - gateway
				names = append(names, s.ShortName(f.Name))
			}
		}
	}
	slices.Sort(names)
	names = slices.Compact(names) // instances share them
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(unknown)) {
		problems = append(problems, fmt.Errorf("stack: Config.ClocksAhead names %q; the functions with a clock are %s",
			name, strings.Join(names, ", ")))
	}
	return func(invoked string) time.Duration {
		for arn, ahead := range byARN {
			if invoked == arn || strings.HasPrefix(invoked, arn+":") { // with an alias or a version
				return ahead
			}
		}
		return 0
	}, errors.Join(problems...)
}
