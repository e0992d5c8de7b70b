package gate_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
)

func TestRandomInterleavingsKeepThePromises(t *testing.T) {
	t.Parallel()
	const rounds = 5 // of 100 worlds each, unless told otherwise by -rapid.checks
	seen := map[string]int{}
	for round := range rounds {
		if !t.Run(fmt.Sprint(round), func(t *testing.T) { rapid.Check(t, func(t *rapid.T) { interleaving(t, seen) }) }) {
			return
		}
	}
	t.Logf("%v", seen)
	for _, what := range []string{"calls", "successes", "refusals", "take", "open", "adapt", "park", "trip", "lease", "close", "probes", "items lost", "waits ended by a loss"} {
		if seen[what] < seen["schedules"]/20 {
			t.Errorf("%d %s: too few to show anything", seen[what], what)
		}
	}
}

func interleaving(t *rapid.T, seen map[string]int) {
	seen["schedules"]++
	w := &world{
		memory: &gate.MemoryStore{}, now: time.UnixMilli(1_790_000_000_250), seen: seen,
		random:  rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)),
		tickets: map[[2]int64]string{}, probes: map[int64]string{}, granted: map[string]time.Time{},
		rate:      float64(rapid.SampledFrom([]int{1, 3, 20}).Draw(t, "upstream's rate")),
		announces: rapid.SampledFrom([]time.Duration{0, 0, 5 * time.Second}).Draw(t, "announces"),
	}
	w.filled = w.now
	s := gate.Settings{
		Mode:       rapid.SampledFrom([]gate.Mode{gate.Adaptive, gate.Adaptive, gate.Fixed, gate.Observe, gate.Off}).Draw(t, "mode"),
		MaxWaiting: rapid.SampledFrom([]int{2, 10, gate.Unbounded}).Draw(t, "may wait"),
		Breaker:    gate.Breaker{MinimumFailures: 3, ProbeInterval: rapid.SampledFrom([]time.Duration{200 * time.Millisecond, time.Second}).Draw(t, "probe interval")},
	}
	if s.Mode == gate.Fixed {
		s.Rate, s.Burst = 5, 2
	}
	w.interval = s.Breaker.ProbeInterval
	sameClock := rapid.Bool().Draw(t, "same clock")
	for n := range rapid.IntRange(2, 12).Draw(t, "callers") {
		skew := time.Duration(0)
		if !sameClock {
			skew = time.Duration(rapid.IntRange(-3_000, 3_000).Draw(t, "skew in ms")) * time.Millisecond
		}
		w.add(fmt.Sprint("caller-", n), s, skew, 8)
	}
	for _, choice := range rapid.SliceOfN(rapid.IntRange(0, 1<<16-1), 100, 400).Draw(t, "schedule") {
		// rapid prefers small numbers; multiplying spreads them over all that can happen.
		mixed := int(uint32(choice) * 2654435761 >> 16)
		what, which := mixed&63, mixed>>6
		switch {
		case what < 3:
			w.now = w.now.Add(time.Duration(which%1000) * time.Millisecond)
		case what == 3 && len(w.late) > 0:
			apply := w.late[0]
			w.late = w.late[1:]
			apply()
		case what == 4:
			w.out = !w.out
		case what == 5 && which%8 == 0:
			w.lose(t)
		default:
			ready := w.ready()
			if len(ready) == 0 {
				continue
			}
			f := noFault
			if what >= 60 {
				f = fault(what - 59) // requestLost to repeated
			}
			w.step(ready[which%len(ready)], f)
		}
	}
	w.out = false
	w.lose(t)
	w.settle(t)
	if len(w.problems) > 0 {
		t.Fatal(strings.Join(w.problems[:min(3, len(w.problems))], "\n"))
	}
}

// lose removes the items, as time to live or somebody with a console does. A lost item never blocks: whoever waits is let
// through, or turned away, when they next look.
func (w *world) lose(t *rapid.T) {
	w.seen["items lost"]++
	for _, c := range w.callers {
		// A request that is carried out twice could make the same item twice, with its loss in between. Nobody repeats one.
		if !c.atGate || c.finished || slices.ContainsFunc(w.callers, func(c *caller) bool { return strings.HasSuffix(c.point, "again") }) {
			continue
		}
		w.late = nil // what comes in late could make a new item
		w.memory.Delete("gate##s#0")
		slept := c.point != "sleep"
		for steps := 0; c.atGate && !c.finished; steps++ {
			w.step(c, noFault)
			if c.atGate && c.point == "sleep" && c.clock().After(c.floor.Add(1500*time.Millisecond)) {
				// One that had just looked may sleep once, upon what it saw.
				if slept && steps < 20 {
					slept = false
					continue
				}
				// One whose clock is ahead makes the next item, and then finds out that it is.
				if c.wake.Sub(w.now) <= c.skew.Abs() {
					continue
				}
				w.fail("%s goes on waiting for an item that was lost, until %v", c.name, c.wake)
				return
			}
			if steps > 1000 {
				t.Fatalf("%s does not come to an end", c.name)
			}
		}
		w.seen["waits ended by a loss"]++
	}
}

// settle lets everybody come to an end, without further faults.
func (w *world) settle(t *rapid.T) {
	for steps := 0; ; steps++ {
		ready := w.ready()
		if len(ready) == 0 {
			return
		}
		w.step(ready[0], noFault)
		if steps > 200_000 {
			t.Fatal("callers do not come to an end")
		}
	}
}
