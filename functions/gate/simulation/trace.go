package main

import (
	"fmt"
	"os"
	"time"
)

// trace prints the item once a second, if GATESIM_TRACE is set.
func (w *world) trace(end time.Duration) {
	if os.Getenv("GATESIM_TRACE") == "" {
		return
	}
	for t := time.Second; t < end; t += time.Second {
		w.plan(t, func() {
			i := w.store.peek("gate##upstream#0")
			now := epoch.Add(w.now)
			if w.now%(5*time.Second) == 0 {
				fmt.Fprintln(os.Stderr, w.now, "items", len(w.store.items), "throttled", w.store.throttled, "writes", w.store.writes, "429s", w.measures.limited, "calls", w.measures.calls)
			}
			fmt.Fprintf(os.Stderr, "%v active=%v waiting=%d calls=%d %+v\n", w.now, i.Active(now), i.Waiting(now), w.measures.perSecond[int64(w.now/time.Second)-1], i)
		})
	}
}
