package simulation

import (
	"slices"
	"time"
)

// Measures are what is measured of one strategy in one scenario.
type Measures struct {
	Requests int
	Calls    int
	Limited  int           // answers that were 429
	Early    int           // calls before the moment that their address, or everybody, was told
	Refused  int           // requests that were told to come again later, without a call for them
	Held     time.Duration // for how long all requests together were there

	MostEarly int // the most of the calls that were early that one request made

	times []time.Duration // to success, of each request that had it in time

	// Of the requests that were answered with 429: their calls after it, and how many of them succeeded.
	callsAfterLimit     int
	successesAfterLimit int

	perSecond map[int64]int // calls in each second
}

func (m *Measures) call(at time.Duration, afterLimit bool) {
	m.Calls++
	if afterLimit {
		m.callsAfterLimit++
	}
	if m.perSecond == nil {
		m.perSecond = map[int64]int{}
	}
	m.perSecond[int64(at/time.Second)]++
}

func (m *Measures) success(took time.Duration, afterLimit bool) {
	m.times = append(m.times, took)
	if afterLimit {
		m.successesAfterLimit++
	}
}

// CallsPerSuccess is the calls that were made for each request that succeeded in time. Not a number or infinite without one.
func (m *Measures) CallsPerSuccess() float64 { return float64(m.Calls) / float64(len(m.times)) }

// CallsPerSuccessAfterLimit is the same of requests that were answered with 429, from there on.
func (m *Measures) CallsPerSuccessAfterLimit() float64 {
	return float64(m.callsAfterLimit) / float64(m.successesAfterLimit)
}

// ShareLimited is the share of answers that were 429.
func (m *Measures) ShareLimited() float64 { return float64(m.Limited) / float64(m.Calls) }

// ShareSuccessful is the share of requests that succeeded in time.
func (m *Measures) ShareSuccessful() float64 { return float64(len(m.times)) / float64(m.Requests) }

// Percentile returns the time to success that a share of the successes did not exceed. Zero without one.
func (m *Measures) Percentile(share float64) time.Duration {
	if len(m.times) == 0 {
		return 0
	}
	slices.Sort(m.times)
	return m.times[int(share*float64(len(m.times)-1))]
}

// Unfairness is the longest time to success of the requests that had to wait, as a multiple of the median of those. Zero if
// there are not enough of them.
func (m *Measures) Unfairness() float64 {
	slices.Sort(m.times)
	first, _ := slices.BinarySearch(m.times, 250*time.Millisecond)
	waited := m.times[first:]
	if len(waited) < 10 {
		return 0
	}
	return float64(waited[len(waited)-1]) / float64(waited[len(waited)/2])
}

// peak returns the most calls in any second of an interval.
func (m *Measures) peak(in Interval) int {
	most := 0
	for second := int64(in.Begin / time.Second); second < int64(in.End/time.Second); second++ {
		most = max(most, m.perSecond[second])
	}
	return most
}
