package cloudwatch

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"sync"
	"time"
)

// How much is kept. Of more metrics, those that come later are left out; of more minutes, the oldest are forgotten.
const (
	MaxMetrics = 2000
	MaxMinutes = 24 * 60 // of each metric and unit in which something was measured
)

// noUnit is the unit of what has none.
const noUnit = "None"

// A Metric is what was measured of one metric at one moment.
type Metric struct {
	// Unit is one of CloudWatch's units, such as Milliseconds. Empty stands for None.
	Namespace, Name, Unit string

	// Dimensions are the names and values that tell it from other metrics of the name.
	Dimensions map[string]string

	// Values are what was measured, one or more.
	Values []float64

	// Time is when.
	Time time.Time
}

// A Store keeps metrics. It is safe for concurrent use.
type Store struct {
	mu  sync.Mutex
	all map[string]*series
}

// New makes an empty store.
func New() *Store { return &Store{all: map[string]*series{}} }

// A series is all that was measured of a metric.
type series struct {
	namespace, name string
	dimensions      map[string]string
	units           map[string]minutes
}

// minutes are the values by the minute, which is counted from 1970.
type minutes map[int64]*values

// Put takes in what was measured. It does not keep the metric's map.
func (s *Store) Put(m Metric) {
	if len(m.Values) == 0 || m.Namespace == "" || m.Name == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := keyOf(m.Namespace, m.Name, m.Dimensions)
	kept := s.all[key]
	if kept == nil {
		if len(s.all) == MaxMetrics {
			return
		}
		kept = &series{namespace: m.Namespace, name: m.Name, dimensions: maps.Clone(m.Dimensions), units: map[string]minutes{}}
		s.all[key] = kept
	}
	unit := m.Unit
	if unit == "" {
		unit = noUnit
	}
	if kept.units[unit] == nil {
		kept.units[unit] = minutes{}
	}
	of := kept.units[unit]
	minute := m.Time.Unix() / 60
	if of[minute] == nil {
		if len(of) == MaxMinutes {
			delete(of, slices.Min(slices.Collect(maps.Keys(of))))
		}
		of[minute] = &values{minimum: math.Inf(1), maximum: math.Inf(-1), counts: map[float64]int{}}
	}
	for _, value := range m.Values {
		of[minute].add(value)
	}
}

// keyOf is one text for each metric. Maps are written as JSON in the order of their keys.
func keyOf(namespace, name string, dimensions map[string]string) string {
	if dimensions == nil {
		dimensions = map[string]string{}
	}
	key, _ := json.Marshal([]any{namespace, name, dimensions}) // strings can be written
	return string(key)
}

// values are what was measured in a time.
type values struct {
	count, sum, minimum, maximum float64

	// counts are how often each value was measured, rounded to significantDigits, so that there are few.
	counts map[float64]int
}

// significantDigits is how exact a percentile is.
const significantDigits = 3

func (v *values) add(value float64) {
	v.count++
	v.sum += value
	v.minimum, v.maximum = min(v.minimum, value), max(v.maximum, value)
	v.counts[rounded(value)]++
}

func rounded(value float64) float64 {
	if value == 0 || math.IsInf(value, 0) || math.IsNaN(value) {
		return 0
	}
	scale := math.Pow(10, significantDigits-1-math.Floor(math.Log10(math.Abs(value))))
	return math.Round(value*scale) / scale
}

// and are all values of both.
func (v *values) and(other *values) *values {
	both := &values{
		count: v.count + other.count, sum: v.sum + other.sum, minimum: min(v.minimum, other.minimum), maximum: max(v.maximum, other.maximum),
		counts: maps.Clone(v.counts),
	}
	for value, n := range other.counts {
		both.counts[value] += n
	}
	return both
}

// percentile is the least value that so many percent of all do not exceed.
func (v *values) percentile(percent float64) float64 {
	left := int(math.Ceil(percent / 100 * v.count))
	for _, value := range slices.Sorted(maps.Keys(v.counts)) {
		if left -= v.counts[value]; left <= 0 {
			return min(max(value, v.minimum), v.maximum)
		}
	}
	return v.maximum
}

// in puts the minutes from start, up to and without end, together by periods that begin at start.
func (m minutes) in(start, end time.Time, period time.Duration) map[time.Time]*values {
	periods := map[time.Time]*values{}
	for minute, measured := range m {
		at := time.Unix(minute*60, 0).UTC()
		if at.Before(start) || !at.Before(end) {
			continue
		}
		begin := start.Add(at.Sub(start) / period * period)
		if before := periods[begin]; before != nil {
			measured = before.and(measured)
		}
		periods[begin] = measured
	}
	return periods
}
