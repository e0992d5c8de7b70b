package main

import (
	"slices"
	"time"
)

// measures are what is measured of one strategy in one scenario.
type measures struct {
	requests int
	calls    int
	limited  int // answers that were 429
	early    int // calls before the moment that their address, or everybody, was told

	mostEarly int // the most of them that one request made

	times []time.Duration // to success, of each request that had it in time

	// Of the requests that were answered with 429: their calls after it, and how many of them succeeded.
	callsAfterLimit     int
	successesAfterLimit int

	perSecond map[int64]int // calls in each second
}

func (m *measures) call(at time.Duration, afterLimit bool) {
	m.calls++
	if afterLimit {
		m.callsAfterLimit++
	}
	if m.perSecond == nil {
		m.perSecond = map[int64]int{}
	}
	m.perSecond[int64(at/time.Second)]++
}

func (m *measures) success(took time.Duration, afterLimit bool) {
	m.times = append(m.times, took)
	if afterLimit {
		m.successesAfterLimit++
	}
}

func (m *measures) callsPerSuccess() float64 { return float64(m.calls) / float64(len(m.times)) }

func (m *measures) callsPerSuccessAfterLimit() float64 {
	return float64(m.callsAfterLimit) / float64(m.successesAfterLimit)
}

func (m *measures) shareLimited() float64 { return float64(m.limited) / float64(m.calls) }

func (m *measures) shareSuccessful() float64 { return float64(len(m.times)) / float64(m.requests) }

// percentile returns the time to success that a share of the successes did not exceed.
func (m *measures) percentile(share float64) time.Duration {
	if len(m.times) == 0 {
		return 0
	}
	slices.Sort(m.times)
	return m.times[int(share*float64(len(m.times)-1))]
}

// peak returns the most calls in any second of an interval.
func (m *measures) peak(in interval) int {
	most := 0
	for second := int64(in.begin / time.Second); second < int64(in.end/time.Second); second++ {
		most = max(most, m.perSecond[second])
	}
	return most
}
