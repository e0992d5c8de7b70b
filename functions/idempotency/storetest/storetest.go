package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
)

// now is the time of the tests that do not let it pass: stores have no clock of their own, and take the time as an
// argument.
var now = time.UnixMilli(1_700_000_000_250)

// Run tests the stores that newStore makes. Each is to be empty, and is used by one test only; two stores may share a
// table, for each test uses record IDs of its own.
func Run(t *testing.T, newStore func(t *testing.T) idempotency.Store) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, suite)
	}{
		{"A record is written where there is none", testInsertIntoNothing},
		{"A completed record bars another run through the second of its expiration", testCompletedBars},
		{"A lease bars another run through the millisecond of its end", testLeaseBars},
		{"A lease that has not ended bars another run though the record has expired", testLeaseOutlivesExpiration},
		{"A record in progress without a lease bars another run until it expires", testNoLease},
		{"A lease of zero remaining time is a lease", testLeaseThatEndsAtOnce},
		{"A conflict leaves the record as it is and brings all of it", testConflictBringsRecord},
		{"Taking over brings the record that was there", testTakeOverBringsRecord},
		{"Taking over leaves nothing of the record that was there", testTakeOverReplacesAll},
		{"Completing stores any JSON text, falsy ones too", testCompleteStoresData},
		{"Completing without data differs from completing with null", testCompleteWithoutData},
		{"Completing keeps owner, lease, fingerprint and reference", testCompleteKeepsTheRest},
		{"Completing twice is no error", testCompleteTwice},
		{"Only the owner completes", testOnlyOwnerCompletes},
		{"A record that has gone cannot be completed", testCompleteNothing},
		{"Releasing frees the key", testRelease},
		{"Releasing twice is no error", testReleaseTwice},
		{"Only the owner releases", testOnlyOwnerReleases},
		{"A completed record cannot be released", testReleaseCompleted},
		{"Renewing moves the lease and the expiration and nothing else", testRenew},
		{"Only the owner of a record in progress renews", testOnlyOwnerRenews},
		{"Forgetting removes what is completed or dead, and leaves what is live", testForget},
		{"A record without an owner belongs to nobody", testNoOwner},
		{"Of many inserts at once one succeeds", testManyInserts},
		{"Of many takeovers at once one succeeds", testManyTakeOvers},
		{"A result of 380 KB fits or is refused as too large", testLargeResult},
		{"A context that is over is an error and writes nothing", testContextOver},
		{"Random operations have the results of the model", testModel},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, suite{newStore(t), t.Name()}) })
	}
}

// A suite is a store, and the IDs of one test.
type suite struct {
	store idempotency.Store
	name  string
}

func (s suite) id() string { return s.name + "#1" }

// record is one in progress.
func (s suite) record(owner string) idempotency.Record {
	return idempotency.Record{
		ID:          s.id(),
		Status:      idempotency.InProgress,
		Owner:       owner,
		LeaseEnd:    now.Add(30 * time.Second),
		Expiration:  time.Unix(now.Unix()+3600, 0),
		Fingerprint: "f1",
		Reference:   "job-1",
	}
}

func completed(r idempotency.Record, data string) idempotency.Record {
	r.Status, r.Data = idempotency.Completed, json.RawMessage(data)
	return r
}

func (s suite) inserts(t *testing.T, r idempotency.Record, at time.Time) {
	t.Helper()
	inserted, existing, err := s.store.Insert(context.Background(), r, at)
	if err != nil || !inserted {
		t.Fatalf("Insert at %s: %v, %+v, %v; want it to be written", at.UTC().Format(time.RFC3339Nano), inserted, existing, err)
	}
}

func (s suite) conflicts(t *testing.T, r idempotency.Record, at time.Time) idempotency.Record {
	t.Helper()
	inserted, existing, err := s.store.Insert(context.Background(), r, at)
	if err != nil || inserted || existing == nil {
		t.Fatalf("Insert at %s: %v, %+v, %v; want a conflict with the record", at.UTC().Format(time.RFC3339Nano), inserted, existing, err)
	}
	return *existing
}

func (s suite) completes(t *testing.T, r idempotency.Record) {
	t.Helper()
	if err := s.store.Complete(context.Background(), r); err != nil {
		t.Fatalf("Complete: %v", err)
	}
}

func (s suite) holds(t *testing.T, want idempotency.Record) {
	t.Helper()
	got, err := s.store.Get(context.Background(), want.ID)
	if err != nil || got == nil {
		t.Fatalf("Get: %+v, %v; want the record", got, err)
	}
	equal(t, *got, want)
}

func (s suite) holdsNothing(t *testing.T) {
	t.Helper()
	if got, err := s.store.Get(context.Background(), s.id()); err != nil || got != nil {
		t.Fatalf("Get: %+v, %v; want nothing", got, err)
	}
}

func equal(t *testing.T, got, want idempotency.Record) {
	t.Helper()
	if g, w := describe(got), describe(want); g != w {
		t.Fatalf("record\n got %s\nwant %s", g, w)
	}
}

// describe writes a record down in the precision that stores keep, with Data as the document that it is.
func describe(r idempotency.Record) string {
	lease := "none"
	if !r.LeaseEnd.IsZero() {
		lease = fmt.Sprint(r.LeaseEnd.UnixMilli())
	}
	data := "none"
	if r.Data != nil {
		data = string(r.Data)
		if canonical, err := idempotency.CanonicalJSON(r.Data); err == nil {
			data = string(canonical)
		}
	}
	return fmt.Sprintf("%s %s owner=%q lease=%s expiration=%d fingerprint=%q reference=%q data=%s",
		r.ID, r.Status, r.Owner, lease, r.Expiration.Unix(), r.Fingerprint, r.Reference, data)
}

func wantLost(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, idempotency.ErrOwnershipLost) {
		t.Fatalf("error is %v; want ErrOwnershipLost", err)
	}
}

func testInsertIntoNothing(t *testing.T, s suite) {
	s.holdsNothing(t)
	r := s.record("a")
	s.inserts(t, r, now)
	s.holds(t, r)
}

func testCompletedBars(t *testing.T, s suite) {
	s.inserts(t, s.record("a"), now)
	done := completed(s.record("a"), `"result"`)
	s.completes(t, done)
	s.conflicts(t, s.record("b"), done.LeaseEnd.Add(time.Minute))
	s.conflicts(t, s.record("b"), done.Expiration)
	s.conflicts(t, s.record("b"), done.Expiration.Add(time.Second-time.Millisecond))
	s.holds(t, done)
	s.inserts(t, s.record("b"), done.Expiration.Add(time.Second))
	s.holds(t, s.record("b"))
}

func testLeaseBars(t *testing.T, s suite) {
	r := s.record("a")
	s.inserts(t, r, now)
	s.conflicts(t, s.record("b"), now)
	s.conflicts(t, s.record("b"), r.LeaseEnd)
	s.conflicts(t, s.record("b"), r.LeaseEnd.Add(time.Millisecond-time.Nanosecond))
	s.inserts(t, s.record("b"), r.LeaseEnd.Add(time.Millisecond))
	s.holds(t, s.record("b"))
}

func testLeaseOutlivesExpiration(t *testing.T, s suite) {
	r := s.record("a")
	r.Expiration = time.Unix(now.Unix()+5, 0)
	s.inserts(t, r, now)
	s.conflicts(t, s.record("b"), r.Expiration.Add(10*time.Second))
	s.inserts(t, s.record("b"), r.LeaseEnd.Add(time.Millisecond))
}

func testNoLease(t *testing.T, s suite) {
	r := s.record("a")
	r.LeaseEnd = time.Time{}
	s.inserts(t, r, now)
	s.holds(t, r)
	s.conflicts(t, s.record("b"), now.Add(30*time.Minute))
	s.conflicts(t, s.record("b"), r.Expiration)
	s.inserts(t, s.record("b"), r.Expiration.Add(time.Second))
}

func testLeaseThatEndsAtOnce(t *testing.T, s suite) {
	r := s.record("a")
	r.LeaseEnd = now
	s.inserts(t, r, now)
	s.holds(t, r)
	s.conflicts(t, s.record("b"), now)
	s.inserts(t, s.record("b"), now.Add(time.Millisecond))
}

func testConflictBringsRecord(t *testing.T, s suite) {
	r := s.record("a")
	s.inserts(t, r, now)
	equal(t, s.conflicts(t, s.record("b"), now), r)
	done := completed(r, `{"paid": true, "text": "Zoë 東京 😀 \u0000"}`)
	s.completes(t, done)
	equal(t, s.conflicts(t, s.record("b"), now), done)
	s.holds(t, done)
}

func testTakeOverReplacesAll(t *testing.T, s suite) {
	s.inserts(t, s.record("a"), now)
	s.completes(t, completed(s.record("a"), `1`))
	next := idempotency.Record{
		ID: s.id(), Status: idempotency.InProgress, Owner: "b", Expiration: time.Unix(now.Unix()+9000, 0),
	}
	s.inserts(t, next, now.Add(2*time.Hour))
	s.holds(t, next)
}

func testTakeOverBringsRecord(t *testing.T, s suite) {
	for i, dead := range []idempotency.Record{s.record("a"), completed(s.record("a"), `{"paid": true}`)} {
		dead.ID += fmt.Sprint("/", i)
		r := dead
		r.Status, r.Data = idempotency.InProgress, nil
		inserted, existing, err := s.store.Insert(context.Background(), r, now)
		if !inserted || existing != nil || err != nil {
			t.Fatalf("Insert where there is nothing: %v, %+v, %v; want it to be written in the place of nothing", inserted, existing, err)
		}
		if dead.Status == idempotency.Completed {
			s.completes(t, dead)
		}
		r.Owner = "b"
		inserted, existing, err = s.store.Insert(context.Background(), r, now.Add(2*time.Hour))
		if !inserted || existing == nil || err != nil {
			t.Fatalf("Insert in the place of a dead record: %v, %+v, %v; want it to be written, and the dead one", inserted, existing, err)
		}
		equal(t, *existing, dead)
	}
}

func testRenew(t *testing.T, s suite) {
	store := renewer(t, s)
	s.inserts(t, s.record("a"), now)
	for _, after := range []time.Duration{time.Hour, time.Second} { // a lease may also end sooner
		r := s.record("a")
		r.LeaseEnd, r.Expiration = now.Add(after), time.Unix(now.Unix()+7200, 0)
		change := r
		change.Fingerprint, change.Status = "other", idempotency.Completed
		if err := store.Renew(context.Background(), change); err != nil {
			t.Fatalf("Renew: %v", err)
		}
		s.holds(t, r)
		s.conflicts(t, s.record("b"), r.LeaseEnd)
	}
	// The lease has ended, and nobody has taken over.
	r := s.record("a")
	r.LeaseEnd = now.Add(time.Minute)
	if err := store.Renew(context.Background(), r); err != nil {
		t.Fatalf("Renew: %v", err)
	}
	s.conflicts(t, s.record("b"), r.LeaseEnd)
	s.inserts(t, s.record("b"), r.LeaseEnd.Add(time.Millisecond))
}

func testOnlyOwnerRenews(t *testing.T, s suite) {
	store := renewer(t, s)
	wantLost(t, store.Renew(context.Background(), s.record("a")))
	s.holdsNothing(t)
	s.inserts(t, s.record("b"), now)
	for _, owner := range []string{"a", ""} {
		other := s.record(owner)
		other.LeaseEnd = now.Add(time.Hour)
		wantLost(t, store.Renew(context.Background(), other))
	}
	s.holds(t, s.record("b"))
	done := completed(s.record("b"), `2`)
	s.completes(t, done)
	wantLost(t, store.Renew(context.Background(), s.record("b")))
	s.holds(t, done)

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := store.Renew(ctx, s.record("b")); err == nil || errors.Is(err, idempotency.ErrOwnershipLost) {
		t.Fatalf("Renew: %v; want the context's error", err)
	}
}

// renewer skips the tests of a store that is none.
func renewer(t *testing.T, s suite) idempotency.Renewer {
	t.Helper()
	store, ok := s.store.(idempotency.Renewer)
	if !ok {
		t.Skipf("a %T is no idempotency.Renewer", s.store)
	}
	return store
}

func testForget(t *testing.T, s suite) {
	store, ok := s.store.(idempotency.Forgetter)
	if !ok {
		t.Skipf("a %T is no idempotency.Forgetter", s.store)
	}
	forgets := func(at time.Time) {
		t.Helper()
		if running, err := store.Forget(context.Background(), s.id(), at); running != nil || err != nil {
			t.Fatalf("Forget: %+v, %v; want it to be done", running, err)
		}
		s.holdsNothing(t)
	}
	stays := func(r idempotency.Record, at time.Time) {
		t.Helper()
		running, err := store.Forget(context.Background(), s.id(), at)
		if running == nil || err != nil {
			t.Fatalf("Forget: %+v, %v; want the record in progress", running, err)
		}
		equal(t, *running, r)
		s.holds(t, r)
	}
	forgets(now)

	s.inserts(t, s.record("a"), now)
	s.completes(t, completed(s.record("a"), `1`))
	forgets(now)

	r := s.record("a")
	s.inserts(t, r, now)
	stays(r, now)
	stays(r, r.LeaseEnd)
	forgets(r.LeaseEnd.Add(time.Millisecond))

	r.LeaseEnd = time.Time{}
	s.inserts(t, r, now)
	stays(r, r.Expiration)
	forgets(r.Expiration.Add(time.Second))

	s.inserts(t, s.record(""), now)
	stays(s.record(""), now)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := store.Forget(ctx, s.id(), now.Add(time.Hour)); err == nil {
		t.Fatal("Forget: no error; want the context's")
	}
	s.holds(t, s.record(""))
}

func testCompleteStoresData(t *testing.T, s suite) {
	for i, data := range []string{`null`, `0`, `false`, `""`, `[]`, `{}`, `"text"`, `{"a": [1, 2.50, null]}`, ` 1 `, `"\ud83d\ude00 é"`} {
		r := s.record("a")
		r.ID += fmt.Sprint("/", i)
		s.inserts(t, r, now)
		done := completed(r, data)
		done.Expiration = time.Unix(now.Unix()+7200, 0)
		s.completes(t, done)
		s.holds(t, done)
	}
}

func testCompleteWithoutData(t *testing.T, s suite) {
	s.inserts(t, s.record("a"), now)
	done := completed(s.record("a"), "")
	done.Data = nil
	s.completes(t, done)
	s.holds(t, done)
	equal(t, s.conflicts(t, s.record("b"), now), done)
}

func testCompleteKeepsTheRest(t *testing.T, s suite) {
	r := s.record("a")
	s.inserts(t, r, now)
	change := completed(r, `1`)
	change.LeaseEnd, change.Fingerprint, change.Reference = time.Time{}, "", ""
	s.completes(t, change)
	s.holds(t, completed(r, `1`))
}

func testCompleteTwice(t *testing.T, s suite) {
	s.inserts(t, s.record("a"), now)
	done := completed(s.record("a"), `1`)
	s.completes(t, done)
	s.completes(t, done)
	s.holds(t, done)
}

func testOnlyOwnerCompletes(t *testing.T, s suite) {
	s.inserts(t, s.record("b"), now)
	wantLost(t, s.store.Complete(context.Background(), completed(s.record("a"), `1`)))
	s.holds(t, s.record("b"))
	done := completed(s.record("b"), `2`)
	s.completes(t, done)
	wantLost(t, s.store.Complete(context.Background(), completed(s.record("a"), `1`)))
	s.holds(t, done)
}

func testCompleteNothing(t *testing.T, s suite) {
	wantLost(t, s.store.Complete(context.Background(), completed(s.record("a"), `1`)))
	s.holdsNothing(t)
}

func testRelease(t *testing.T, s suite) {
	s.inserts(t, s.record("a"), now)
	if err := s.store.Release(context.Background(), s.id(), "a"); err != nil {
		t.Fatal(err)
	}
	s.holdsNothing(t)
	s.inserts(t, s.record("b"), now)
}

func testReleaseTwice(t *testing.T, s suite) {
	s.inserts(t, s.record("a"), now)
	for range 2 {
		if err := s.store.Release(context.Background(), s.id(), "a"); err != nil {
			t.Fatal(err)
		}
	}
}

func testOnlyOwnerReleases(t *testing.T, s suite) {
	s.inserts(t, s.record("b"), now)
	wantLost(t, s.store.Release(context.Background(), s.id(), "a"))
	s.holds(t, s.record("b"))
}

func testReleaseCompleted(t *testing.T, s suite) {
	s.inserts(t, s.record("a"), now)
	done := completed(s.record("a"), `1`)
	s.completes(t, done)
	wantLost(t, s.store.Release(context.Background(), s.id(), "a"))
	s.holds(t, done)
}

func testNoOwner(t *testing.T, s suite) {
	s.inserts(t, s.record(""), now)
	for _, owner := range []string{"a", ""} {
		wantLost(t, s.store.Complete(context.Background(), completed(s.record(owner), `1`)))
		wantLost(t, s.store.Release(context.Background(), s.id(), owner))
	}
	s.holds(t, s.record(""))
}

func testManyInserts(t *testing.T, s suite) { atOnce(t, s, now) }

func testManyTakeOvers(t *testing.T, s suite) {
	r := s.record("dead")
	s.inserts(t, r, now)
	atOnce(t, s, r.LeaseEnd.Add(time.Millisecond))
}

// atOnce lets 20 callers insert, and wants one to succeed and all others to be shown its record.
func atOnce(t *testing.T, s suite, at time.Time) {
	const callers = 20
	var inserted [callers]bool
	var existing [callers]*idempotency.Record
	var errs [callers]error
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			r := s.record(fmt.Sprint("owner-", i))
			r.LeaseEnd = at.Add(time.Minute)
			inserted[i], existing[i], errs[i] = s.store.Insert(context.Background(), r, at)
		})
	}
	all.Wait()
	winner := ""
	for i := range callers {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		if inserted[i] {
			if winner != "" {
				t.Fatalf("%s and owner-%d were both written", winner, i)
			}
			winner = fmt.Sprint("owner-", i)
		}
	}
	if winner == "" {
		t.Fatal("none was written")
	}
	for i := range callers {
		if !inserted[i] && (existing[i] == nil || existing[i].Owner != winner) {
			t.Fatalf("owner-%d was shown %+v; want the record of %s", i, existing[i], winner)
		}
	}
}

func testLargeResult(t *testing.T, s suite) {
	s.inserts(t, s.record("a"), now)
	done := completed(s.record("a"), `"`+strings.Repeat("x", 380_000)+`"`)
	switch err := s.store.Complete(context.Background(), done); {
	case err == nil:
		s.holds(t, done)
	case errors.Is(err, idempotency.ErrTooLarge):
		s.holds(t, s.record("a"))
	default:
		t.Fatalf("error is %v; want none, or ErrTooLarge", err)
	}
}

func testContextOver(t *testing.T, s suite) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if inserted, _, err := s.store.Insert(ctx, s.record("a"), now); err == nil || inserted {
		t.Fatalf("Insert: %v, %v; want an error", inserted, err)
	}
	s.holdsNothing(t)
	s.inserts(t, s.record("a"), now)
	if err := s.store.Complete(ctx, completed(s.record("a"), `1`)); err == nil || errors.Is(err, idempotency.ErrOwnershipLost) {
		t.Fatalf("Complete: %v; want the context's error", err)
	}
	if err := s.store.Release(ctx, s.id(), "a"); err == nil || errors.Is(err, idempotency.ErrOwnershipLost) {
		t.Fatalf("Release: %v; want the context's error", err)
	}
	if _, err := s.store.Get(ctx, s.id()); err == nil {
		t.Fatal("Get: no error; want the context's")
	}
	s.holds(t, s.record("a"))
}
