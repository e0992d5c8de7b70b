package idempotency_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
)

// This file lets many callers work on few keys while requests and answers get lost, arrive late or twice, callers
// crash, and the clock jumps. One caller moves at a time, from one point to the next, and rapid chooses which, and what
// happens to it there. A world watches every change of the store and every run, and holds them against what package
// idempotency promises.

// A fault is what happens to a caller at a point.
type fault int

const (
	noFault        fault = iota
	requestLost          // the store does not get the request
	answerLost           // the store carries the request out, and the caller is told of an error
	repeated             // the answer is lost, and the client sends the request again, later
	carriedOutLate       // the caller is told of an error, and the store carries the request out some time afterwards
	crash                // the process ends
)

var errNetwork = errors.New("network failed")

// A world is a store, a clock, and the callers.
type world struct {
	memory    *idempotency.MemoryStore
	now       time.Time
	wentBack  bool // the clock has, so that leases cannot be compared with the present
	callers   []*caller
	arrived   chan *caller
	late      []func()
	runs      map[string]*run
	completed map[string]time.Time // until when data was kept in a completed record, by ID and data
	seen      map[string]int       // how often something happened
	problems  []string
}

// A caller is a process that calls once or more.
type caller struct {
	w        *world
	name     string
	id       string
	payload  string // what the fingerprint is made of
	manager  *idempotency.Manager
	resume   chan fault
	point    string
	wake     time.Time // of a sleeper
	finished bool
	crashed  bool
	owner    string
	current  *run
	runs     int
	ran      int // in this call
}

// A run is one of the function.
type run struct {
	id, payload, result string
	lease               time.Time
	active              bool
	succeeded           bool
}

func (w *world) fail(format string, a ...any) {
	w.problems = append(w.problems, fmt.Sprintf(format, a...))
}

// park hands control to the world, which decides when the caller goes on, and how.
func (c *caller) park(point string) fault {
	if c.crashed {
		return crash
	}
	c.point = point
	c.w.arrived <- c
	f := <-c.resume
	if f == crash {
		c.w.seen["crashes"]++
		c.crashed = true
		if c.current != nil {
			c.current.active = false
		}
	}
	return f
}

// request is how a caller asks the store: apply carries the request out and keeps the answer.
func (c *caller) request(name string, apply func()) error {
	switch c.park(name) {
	case crash, requestLost:
		return errNetwork
	case answerLost:
		apply()
		return errNetwork
	case carriedOutLate:
		c.w.late = append(c.w.late, apply)
		return errNetwork
	case repeated:
		apply()
		if c.park(name+" again") == crash {
			return errNetwork
		}
	}
	apply()
	if c.park(name+" answered") == crash {
		return errNetwork
	}
	return nil
}

// A callerStore is the store as one caller sees it.
type callerStore struct{ *caller }

func (s callerStore) Insert(_ context.Context, r idempotency.Record, now time.Time) (inserted bool, existing *idempotency.Record, err error) {
	networkErr := s.request("insert", func() {
		s.w.change(r.ID, func(before *idempotency.Record) {
			inserted, existing, err = s.w.memory.Insert(context.Background(), r, now)
			if inserted && before != nil {
				s.w.checkTakeOver(*before, now)
			}
		})
	})
	if networkErr != nil {
		return false, nil, networkErr
	}
	return inserted, existing, err
}

func (s callerStore) Get(_ context.Context, id string) (r *idempotency.Record, err error) {
	if networkErr := s.request("get", func() { r, err = s.w.memory.Get(context.Background(), id) }); networkErr != nil {
		return nil, networkErr
	}
	return r, err
}

func (s callerStore) Complete(_ context.Context, r idempotency.Record) (err error) {
	if networkErr := s.request("complete", func() {
		s.w.change(r.ID, func(before *idempotency.Record) {
			err = s.w.memory.Complete(context.Background(), r)
			s.w.checkOwner("complete", before, r.Owner, err)
			if err == nil && before.Status == idempotency.Completed && string(before.Data) != string(r.Data) {
				s.w.fail("%s: the result %s was replaced by %s", r.ID, before.Data, r.Data)
			}
			if err == nil {
				s.w.completed[r.ID+string(r.Data)] = r.Expiration
			}
		})
	}); networkErr != nil {
		return networkErr
	}
	return err
}

func (s callerStore) Release(_ context.Context, id, owner string) (err error) {
	if networkErr := s.request("release", func() {
		s.w.change(id, func(before *idempotency.Record) {
			err = s.w.memory.Release(context.Background(), id, owner)
			if before != nil {
				s.w.checkOwner("release", before, owner, err)
				if err == nil && before.Status == idempotency.Completed {
					s.w.fail("%s: the result %s was removed", id, before.Data)
				}
			}
		})
	}); networkErr != nil {
		return networkErr
	}
	return err
}

func (w *world) change(id string, apply func(before *idempotency.Record)) {
	before, err := w.memory.Get(context.Background(), id)
	if err != nil {
		w.fail("%v", err)
	}
	apply(before)
}

// checkTakeOver: no record is overwritten that bars another run. This is the table of the protocol, written down once
// more.
func (w *world) checkTakeOver(before idempotency.Record, now time.Time) {
	w.seen["dead or expired records taken over"]++
	expired := before.Expiration.Unix() < now.Unix()
	switch {
	case before.Status == idempotency.Completed && !expired:
		w.fail("%s: the result %s was overwritten before it expired", before.ID, before.Data)
	case before.Status == idempotency.InProgress && before.LeaseEnd.UnixMilli() >= now.UnixMilli():
		w.fail("%s: a lease was taken over before it ended", before.ID)
	}
}

func (w *world) checkOwner(operation string, before *idempotency.Record, owner string, err error) {
	if err == nil && (before == nil || before.Owner != owner) {
		w.fail("%s of %+v by %s", operation, before, owner)
	}
}

// A callerClock is the world's clock, on which to sleep is to park.
type callerClock struct{ *caller }

func (c callerClock) Now() time.Time { return c.w.now }

func (c callerClock) Sleep(_ context.Context, d time.Duration) error {
	c.wake = c.w.now.Add(d)
	defer func() { c.wake = time.Time{} }()
	if c.park("sleep") == crash {
		return errNetwork
	}
	return nil
}

// function is what callers run. It takes some steps, and then succeeds, fails or panics.
func (c *caller) function(steps int, end string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		w := c.w
		c.ran++
		c.runs++
		w.seen["runs"]++
		name := fmt.Sprintf("run %d of %s", c.runs, c.name)
		r := &run{id: c.id, payload: c.payload, result: fmt.Sprintf("result of %s for %s with %s", name, c.id, c.payload)}
		record, _ := w.memory.Get(context.Background(), c.id)
		if record != nil && record.Owner == c.owner {
			r.lease = record.LeaseEnd
		}
		within := func(r *run) bool { return r.active && r.lease.UnixMilli() >= w.now.UnixMilli() }
		r.active = true
		if !w.wentBack && within(r) {
			for _, other := range w.runs {
				if other.id == r.id && within(other) {
					w.fail("%s runs while another run goes on: %s", c.name, other.result)
				}
			}
		}
		w.runs[name] = r
		c.current = r
		for range steps {
			if c.park("run") == crash {
				runtime.Goexit()
			}
		}
		r.active = false
		switch end {
		case "panic":
			panic(end)
		case "fail":
			return "", errFunction
		}
		r.succeeded = true
		return r.result, nil
	}
}

var errFunction = errors.New("function failed")

// live is the life of a caller.
func (c *caller) live(calls, steps int, end string) {
	defer func() {
		c.finished = true
		c.w.arrived <- c
	}()
	for range calls {
		if c.park("start") == crash {
			return
		}
		c.call(steps, end)
	}
}

func (c *caller) call(steps int, end string) {
	start := c.w.now
	c.ran, c.current = 0, nil
	defer func() {
		if p := recover(); p != nil && p != "panic" {
			c.w.fail("%s panics: %v", c.name, p)
		}
	}()
	claim := idempotency.Claim{ID: c.id, Fingerprint: c.payload}
	result, err := idempotency.DoClaim(context.Background(), c.manager, claim, c.function(steps, end))
	if !c.crashed {
		c.check(result.Value, err, end, start)
	}
}

// check judges what a caller was told.
func (c *caller) check(got string, err error, end string, start time.Time) {
	w := c.w
	if c.ran > 1 {
		w.fail("%s ran %d times in one call", c.name, c.ran)
	}
	store := (*idempotency.StoreError)(nil)
	beforeRun := errors.Is(err, idempotency.ErrInProgress) || errors.Is(err, idempotency.ErrPayloadMismatch) || errors.Is(err, idempotency.ErrInconsistentState) ||
		errors.As(err, &store) && (store.Operation == "insert" || store.Operation == "get")
	switch {
	case errors.Is(err, idempotency.ErrOwnershipLost):
		w.seen["owners lost"]++
	case errors.Is(err, idempotency.ErrPayloadMismatch):
		w.seen["mismatches"]++
	case errors.Is(err, idempotency.ErrInProgress):
		w.seen["conflicts"]++
	}
	switch {
	case beforeRun && c.ran > 0:
		w.fail("%s ran and is told %v", c.name, err)
	case beforeRun:
	case c.ran > 0 && end == "fail":
		if !errors.Is(err, errFunction) {
			w.fail("%s failed and is told %v", c.name, err)
		}
	case c.ran > 0:
		if got != c.current.result {
			w.fail("%s ran and got %q", c.name, got)
		}
		if _, stored := w.completed[c.id+fmt.Sprintf("%q", got)]; err == nil && !stored {
			w.fail("%s is told that its result is stored, and it never was", c.name)
		}
		if err != nil && !errors.Is(err, idempotency.ErrOwnershipLost) && !errors.Is(err, idempotency.ErrResultNotStored) {
			w.fail("%s succeeded and is told %v", c.name, err)
		}
	case errors.Is(err, idempotency.ErrResultNotStored):
		if _, stored := w.completed[c.id]; !stored {
			w.fail("%s is told that a result was not kept, and there was none", c.name)
		}
	case err != nil:
		w.fail("%s is told %v without having run", c.name, err)
	default:
		w.seen["replays"]++
		expiration, stored := w.completed[c.id+fmt.Sprintf("%q", got)]
		if !w.wentBack && expiration.Unix() < start.Unix() {
			w.fail("%s got %q after it had expired", c.name, got)
		}
		if !stored || !slices.ContainsFunc(w.all(), func(r *run) bool {
			return r.succeeded && r.result == got && r.id == c.id && r.payload == c.payload
		}) {
			w.fail("%s (%s, %s) got %q, which is not the stored result of a run of its key and payload", c.name, c.id, c.payload, got)
		}
	}
}

func (w *world) all() []*run {
	var all []*run
	for _, r := range w.runs {
		all = append(all, r)
	}
	return all
}

// add brings a caller into the world, parked at its start.
func (w *world) add(name, id, payload string, cfg idempotency.Config, calls, steps int, end string) *caller {
	c := &caller{w: w, name: name, id: id, payload: payload, resume: make(chan fault)}
	cfg.Prefix, cfg.Clock = "model", callerClock{c}
	cfg.Random = func() float64 { return 0.5 }
	owners := 0
	cfg.NewOwner = func() string {
		owners++
		c.owner = fmt.Sprint(name, "-", owners)
		return c.owner
	}
	manager, err := idempotency.New(callerStore{c}, cfg)
	if err != nil {
		panic(err)
	}
	c.manager = manager
	w.callers = append(w.callers, c)
	go c.live(calls, steps, end)
	<-w.arrived
	return c
}

// step lets a caller go on to its next point.
func (w *world) step(c *caller, f fault) {
	if c.wake.After(w.now) {
		w.now = c.wake
	}
	c.resume <- f
	<-w.arrived
}

func (w *world) waiting() []*caller {
	return slices.DeleteFunc(slices.Clone(w.callers), func(c *caller) bool { return c.finished })
}

// settle lets everything that is under way come to its end, without further faults.
// checkAftermath: whatever happened, a result that is stored is replayed, and after leases have ended every other key
// can be used.
