package simulation

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTheSameSeedGivesTheSameMeasures(t *testing.T) {
	t.Parallel()
	times := func(seed uint64) []time.Duration { return RandomErrors.Play(seed, ThisPolicy.Open).Measures.times }
	first := times(7)
	if len(first) < 10_000 || !slices.Equal(first, times(7)) {
		t.Error("one seed has two results")
	}
	if slices.Equal(first, times(8)) {
		t.Error("two seeds have one result")
	}
}

func TestARequestThatWaitsBeyondItsDeadlineEndsThereWithoutACall(t *testing.T) {
	t.Parallel()
	s := Scenario{Rate: 10, End: 10 * time.Second, Upstream: Upstream{Exhausted: time.Second}} // asks for six hours
	m := s.Play(1, RetryableHTTP.Open).Measures
	if m.Calls != m.Requests {
		t.Errorf("%d calls of %d requests, want one each", m.Calls, m.Requests)
	}
	if most := time.Duration(m.Requests) * Patience; m.Held > most || m.Held < most/2 {
		t.Errorf("%d requests are there for %v in all, want up to %v each", m.Requests, m.Held, Patience)
	}
}

func TestACallBeforeTheMomentThatOneAddressWasToldIsEarlyFromAnotherUnlessTheyAreToldApart(t *testing.T) {
	t.Parallel()
	for byAddress, want := range map[bool]int{false: 1, true: 0} {
		s := Scenario{BurstEvery: time.Second, BurstSize: 1, End: 2 * time.Second, Upstream: Upstream{
			ByAddress: byAddress, Limit: Each(NewWindow(10*time.Second, 0)),
		}}
		m := s.Play(1, func(*World) func(*Request) {
			return func(r *Request) {
				r.Call(1)
				r.Call(2)
			}
		}).Measures
		if m.Calls != 2 || m.Limited != 2 || m.Early != want || m.MostEarly != want {
			t.Errorf("told apart %v: %d calls, %d limited, %d early, want 2, 2, %d", byAddress, m.Calls, m.Limited, m.Early, want)
		}
	}
}

func TestTwoCallsOfOneRequestThatSucceedAreOneSuccess(t *testing.T) {
	t.Parallel()
	s := Scenario{BurstEvery: time.Second, BurstSize: 1, End: 2 * time.Second}
	m := s.Play(1, func(*World) func(*Request) {
		return func(r *Request) {
			r.Beside(time.Millisecond, func(r *Request) { r.Call(1) })
			r.Call(0)
		}
	}).Measures
	if m.Calls != 2 || len(m.times) != 1 {
		t.Errorf("%d calls, %d successes, want 2 and 1", m.Calls, len(m.times))
	}
}

func TestAChartHasABarOfEachStrategyInEachPanel(t *testing.T) {
	t.Parallel()
	s := KeyWithBursts
	s.End = 40 * time.Second
	p := Played{Scenario: s, Names: []string{ThisPolicy.Name, Failsafe.Name}, Measures: []*Measures{
		&s.Play(1, ThisPolicy.Open).Measures, &s.Play(1, Failsafe.Open).Measures,
	}}
	got := p.Chart("this")
	if bars := strings.Count(got, `height="12"`); bars != 6 {
		t.Errorf("%d bars, want 6", bars)
	}
	for _, want := range []string{">this policy<", fmt.Sprintf("%.2f", p.Measures[1].CallsPerSuccess()), "</svg>"} {
		if !strings.Contains(got, want) {
			t.Errorf("the chart does not hold %q", want)
		}
	}
}

func TestAReportIsWrittenBetweenTheMarkersOfItsName(t *testing.T) {
	t.Parallel()
	const other = "<!-- other: begin -->\nkept\n<!-- other: end -->\n"
	text, err := replace([]byte(other+"<!-- it: begin -->\nold\n<!-- it: end -->\nb\n"), "it", "new\n")
	if want := other + "<!-- it: begin -->\nnew\n<!-- it: end -->\nb\n"; err != nil || string(text) != want {
		t.Errorf("got %q, %v", text, err)
	}
	if _, err := replace([]byte("a\n<!-- it: begin -->\n"), "it", "new\n"); err == nil {
		t.Error("a text without the second marker is written")
	}
}
