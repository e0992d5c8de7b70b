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
	refused  int // requests that were told to come again later, without a call for them
	held     time.Duration

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

func (m *measures) shareSuccessful() float64 { return float64(len(m.times)) / float64(m.requests) }

// percentile returns the time to success that a share of the successes did not exceed.
func (m *measures) percentile(share float64) time.Duration {
	if len(m.times) == 0 {
		return 0
	}
	slices.Sort(m.times)
	return m.times[int(share*float64(len(m.times)-1))]
}

// unfairness is the longest time to success of the requests that had to wait, as a multiple of the median of those.
func (m *measures) unfairness() float64 {
	slices.Sort(m.times)
	first, _ := slices.BinarySearch(m.times, 250*time.Millisecond)
	waited := m.times[first:]
	if len(waited) < 10 {
		return 0
	}
	return float64(waited[len(waited)-1]) / float64(waited[len(waited)/2])
}

// peak returns the most calls in any second of an interval.
func (m *measures) peak(in interval) int {
	most := 0
	for second := int64(in.begin / time.Second); second < int64(in.end/time.Second); second++ {
		most = max(most, m.perSecond[second])
	}
	return most
}

// dollars is what the engine costs, as in package retry: functions of 256 MB on arm64 and an Express execution for as
// long as the request is held, and an attempt's function for each call.
func (m *measures) dollars() float64 {
	const gb, attempt = 0.25, 0.1
	held := m.held.Seconds()
	n, calls := float64(m.requests), float64(m.calls)
	return n*(0.2e-6+1e-6) + held*(gb*0.0000133334+0.0625*0.00001667) + calls*(0.2e-6+attempt*gb*0.0000133334)
}
