package simulation

import (
	"container/heap"
	"iter"
	"math/rand/v2"
	"time"
)

// A World is one upstream, and the requests that one strategy makes to it. Its time is virtual: the clock goes from one
// event to the next.
type World struct {
	Upstream Upstream
	Measures Measures
	Random   *rand.Rand // what strategies draw

	credential bool // requests carry one
	now        time.Duration
	events     events
	sequence   int
}

// Epoch is when virtual time begins. Moments are counted from it.
var Epoch = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// An event is something that happens at a moment. Events of one moment happen in the order in which they were planned.
type event struct {
	at       time.Duration
	sequence int
	happen   func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].sequence < e[j].sequence
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	*e = (*e)[:last]
	return x
}

// Now is the present moment.
func (w *World) Now() time.Duration { return w.now }

func (w *World) plan(at time.Duration, happen func()) {
	w.sequence++
	heap.Push(&w.events, event{at, w.sequence, happen})
}

// Run has everything happen that was started, and what follows from it.
func (w *World) Run() {
	for w.events.Len() > 0 {
		e := heap.Pop(&w.events).(event)
		w.now = e.at
		e.happen()
	}
	w.events = nil
}

// A Process is a sequence of steps in virtual time.
type Process struct {
	world *World
	yield func(time.Duration) bool
}

// Start starts a process at a moment.
func (w *World) Start(at time.Duration, body func(*Process)) {
	w.plan(at, func() {
		next, _ := iter.Pull(func(yield func(time.Duration) bool) { body(&Process{w, yield}) })
		var step func()
		step = func() {
			if d, again := next(); again {
				w.plan(w.now+d, step)
			}
		}
		step()
	})
}

// Now is the present moment.
func (p *Process) Now() time.Duration { return p.world.now }

// Sleep lets time pass for the process. A time of zero or less lets everything else of this moment happen first.
func (p *Process) Sleep(d time.Duration) { p.yield(max(0, d)) }
