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

// clocksAhead tells how far the clock of a function is ahead, by the name that it is invoked by.
func (s *Stack) clocksAhead(clocks map[string]time.Duration) (func(invoked string) time.Duration, error) {
	byARN := map[string]time.Duration{}
	unknown := maps.Clone(clocks)
	var proxies []string
	for _, f := range s.Template.Functions {
		if _, calls := f.Environment[message.UpstreamVariable]; !calls {
			continue
		}
		proxies = append(proxies, s.ShortName(f.Name))
		for _, name := range []string{f.Name, s.ShortName(f.Name)} {
			if ahead, given := clocks[name]; given {
				byARN[f.ARN] = ahead
				delete(unknown, name)
			}
		}
	}
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(unknown)) {
		problems = append(problems, fmt.Errorf("stack: Config.ClocksAhead names %q; the functions that call the upstream are %s",
			name, strings.Join(proxies, ", ")))
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
