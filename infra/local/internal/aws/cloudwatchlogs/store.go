package cloudwatchlogs

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// DefaultMaxBytes is how much is kept of all groups together: 64 MB. What is older than that is forgotten.
const DefaultMaxBytes = 64 << 20

// pageLength is how many events are forgotten at once.
const pageLength = 256

// eventOverhead is what an event takes beside its text, in bytes, as CloudWatch Logs counts it.
const eventOverhead = 26

// Config says what a [Store] is like.
type Config struct {
	// Region and AccountID are parts of the ARNs of groups.
	Region, AccountID string

	// MaxBytes is how much is kept of all groups together, but for some hundred lines. Default: [DefaultMaxBytes].
	MaxBytes int
}

// A Store holds log groups. It is safe for concurrent use.
type Store struct {
	config Config

	mu     sync.Mutex
	groups map[string]time.Time // when they were made
	pages  [][]event            // events of all groups, as they came; all pages but the last one are full
	first  int                  // number of the first of them, counted from the start
	bytes  int

	filters []filter
}

// An event is a line.
type event struct {
	group, stream, message string
	time                   int64 // milliseconds since the Unix epoch
}

// New makes a store without groups.
func New(config Config) *Store {
	if config.MaxBytes == 0 {
		config.MaxBytes = DefaultMaxBytes
	}
	return &Store{config: config, groups: map[string]time.Time{}}
}

// CreateLogGroup makes a group, unless there is one of that name.
func (s *Store) CreateLogGroup(name string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.groups[name]; !there {
		s.groups[name] = now
	}
}

// Put adds a line to a stream of a group, which is made if it is not there.
func (s *Store) Put(groupName, stream string, at time.Time, message string) {
	s.CreateLogGroup(groupName, at)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pages) == 0 || len(s.pages[len(s.pages)-1]) == pageLength {
		s.pages = append(s.pages, make([]event, 0, pageLength))
	}
	last := &s.pages[len(s.pages)-1]
	*last = append(*last, event{groupName, stream, message, at.UnixMilli()})
	s.bytes += len(message) + eventOverhead
	for s.bytes > s.config.MaxBytes && len(s.pages) > 1 {
		for _, e := range s.pages[0] {
			s.bytes -= len(e.message) + eventOverhead
		}
		s.first += pageLength
		s.pages = slices.Delete(s.pages, 0, 1)
	}
	for _, f := range s.filters {
		if f.group == groupName && f.matches(message) {
			f.matched(at, message)
		}
	}
}

// A selection is of events.
type selection struct {
	group        string
	streams      []string // none is all
	streamPrefix string
	from, until  int64 // milliseconds since the Unix epoch; zero is no bound
	matches      func(string) bool
	after        int // number of an event; those before it have been seen
	most         int
}

// selected finds events in the order in which they came, with their numbers, and the number to go on from: zero if there are no more.
func (s *Store) selected(by selection) (found []event, numbers []int, next int) {
	s.mu.Lock()
	pages, first := slices.Clone(s.pages), s.first // events are only added behind these, and never changed
	s.mu.Unlock()
	for i := max(0, by.after-first); i/pageLength < len(pages) && i%pageLength < len(pages[i/pageLength]); i++ {
		e := pages[i/pageLength][i%pageLength]
		switch {
		case e.group != by.group, by.from != 0 && e.time < by.from, by.until != 0 && e.time > by.until:
			continue
		case len(by.streams) > 0 && !slices.Contains(by.streams, e.stream), !strings.HasPrefix(e.stream, by.streamPrefix):
			continue
		case by.matches != nil && !by.matches(e.message):
			continue
		case len(found) == by.most:
			return found, numbers, first + i
		}
		found, numbers = append(found, e), append(numbers, first+i)
	}
	return found, numbers, 0
}
