package idempotency_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
)

// rounds is how many checks rapid makes, of 100 worlds each unless told otherwise by -rapid.checks.
const rounds = 20

func TestRandomInterleavingsKeepThePromises(t *testing.T) {
	seen := map[string]int{}
	for round := range rounds {
		if !t.Run(fmt.Sprint(round), func(t *testing.T) { rapid.Check(t, func(t *rapid.T) { interleaving(t, seen) }) }) {
			return
		}
	}
	t.Logf("%v", seen)
	for _, what := range []string{"runs", "replays", "conflicts", "mismatches", "owners lost", "dead or expired records taken over", "crashes"} {
		if seen[what] < seen["schedules"]/10 {
			t.Errorf("%d %s: too few to show anything", seen[what], what)
		}
	}
}

func interleaving(t *rapid.T, seen map[string]int) {
	seen["schedules"]++
	w := &world{
		seen:      seen,
		memory:    &idempotency.MemoryStore{},
		now:       time.UnixMilli(1_700_000_000_250),
		arrived:   make(chan *caller),
		runs:      map[string]*run{},
		completed: map[string]time.Time{},
	}
	if rapid.IntRange(0, 4).Draw(t, "small records") == 0 {
		w.memory.MaxDataBytes = 10 // no result fits
	}
	cfg := idempotency.Config{
		Lease:     time.Duration(rapid.IntRange(1, 4000).Draw(t, "lease in ms")) * time.Millisecond,
		TTL:       time.Duration(rapid.IntRange(1, 6).Draw(t, "TTL in s")) * time.Second,
		Wait:      time.Duration(rapid.SampledFrom([]int{0, 0, 700, 5000}).Draw(t, "wait in ms")) * time.Millisecond,
		CacheSize: rapid.IntRange(0, 1).Draw(t, "cache"),
	}
	mayGoBack := rapid.Bool().Draw(t, "clock may go back")
	callers := rapid.IntRange(2, 8).Draw(t, "callers")
	for i := range callers {
		w.add(
			fmt.Sprint("caller-", i),
			rapid.SampledFrom([]string{"k1", "k1", "k2"}).Draw(t, "key"),
			rapid.SampledFrom([]string{"p1", "p1", "p1", "p2"}).Draw(t, "payload"),
			cfg,
			rapid.SampledFrom([]int{1, 1, 2, 3}).Draw(t, "calls"),
			rapid.IntRange(0, 3).Draw(t, "steps"),
			rapid.SampledFrom([]string{"succeed", "succeed", "succeed", "fail", "panic"}).Draw(t, "end"),
		)
	}
	for _, choice := range rapid.SliceOfN(rapid.IntRange(0, 1<<16-1), 40, 150).Draw(t, "schedule") {
		// rapid prefers small numbers; multiplying spreads them over all that can happen.
		mixed := int(uint32(choice) * 2654435761 >> 16)
		what, which, amount := mixed&15, mixed>>4&7, mixed>>7
		switch {
		case what < 2: // time passes
			d := time.Duration(amount) * 10 * time.Millisecond
			if mayGoBack && which == 0 {
				d, w.wentBack = -d, true
			}
			w.now = w.now.Add(d)
		case what == 2 && len(w.late) > 0:
			apply := w.late[0]
			w.late = w.late[1:]
			apply()
		default:
			waiting := w.waiting()
			if len(waiting) == 0 {
				continue
			}
			f := noFault
			if what >= 11 {
				f = fault(what - 10) // requestLost to crash
			}
			w.step(waiting[which%len(waiting)], f)
		}
	}
	w.settle(t)
	w.checkAftermath(t, cfg)
	if len(w.problems) > 0 {
		t.Fatal(strings.Join(w.problems, "\n"))
	}
}

func (w *world) settle(t *rapid.T) {
	for steps := 0; len(w.waiting()) > 0; steps++ {
		w.step(w.waiting()[0], noFault)
		if steps > 10_000 {
			t.Fatal("callers do not come to an end")
		}
	}
	for _, apply := range w.late {
		apply()
	}
	w.late = nil
}

func (w *world) checkAftermath(t *rapid.T, cfg idempotency.Config) {
	for _, id := range []string{"k1", "k2"} {
		r, _ := w.memory.Get(context.Background(), id)
		stored := r != nil && r.Status == idempotency.Completed
		if stored {
			w.now = r.Expiration // the last second
		} else {
			w.now = w.now.Add(time.Hour)
		}
		payload := "p1"
		if r != nil {
			payload = r.Fingerprint
		}
		c := w.add("last-"+id, id, payload, cfg, 1, 0, "succeed")
		w.settle(t)
		if stored && c.ran > 0 {
			w.fail("%s: the stored result %s was lost", id, r.Data)
		}
		if !stored && c.ran == 0 {
			w.fail("%s: the key stays locked by %+v", id, r)
		}
		w.now = w.now.Add(2 * time.Hour)
		c = w.add("afterwards-"+id, id, payload, cfg, 1, 0, "succeed")
		w.settle(t)
		if c.ran == 0 {
			w.fail("%s: the key stays locked after all has expired", id)
		}
	}
}
