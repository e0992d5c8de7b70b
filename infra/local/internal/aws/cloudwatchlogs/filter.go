package cloudwatchlogs

import "time"

// A filter is told of lines as they come.
type filter struct {
	group   string
	matches func(line string) bool
	matched func(at time.Time, line string)
}

// Filter has matched told of each line that comes to a group and matches a pattern, as a metric filter of AWS looks at them. An empty
// pattern matches all lines. Lines that are there already are not looked at. Matched is not to call the store. The error is an
// [*Error] that says what is wrong with the pattern.
func (s *Store) Filter(group, pattern string, matched func(at time.Time, line string)) error {
	matches, err := matcherOf(pattern)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.filters = append(s.filters, filter{group, matches, matched})
	return nil
}
