package idempotency_test

import (
	"context"
	"errors"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
)

func TestTheFirstCallRunsAndTheNextReplays(t *testing.T) {
	type receipt struct {
		ID    string
		Total float64
	}
	f := setUp(t, idempotency.Config{})
	runs := 0
	pay := idempotency.Handler(f.Manager, func(_ context.Context, in map[string]string) (receipt, error) {
		runs++
		return receipt{in["order"], 9.5}, nil
	})
	for range 3 {
		got, err := pay(context.Background(), raw(`{"order": "o"}`))
		if want := (receipt{"o", 9.5}); got != want || err != nil {
			t.Fatalf("got %+v, %v; want %+v", got, err, want)
		}
	}
	if _, err := pay(context.Background(), raw(`{"order": "p"}`)); err != nil {
		t.Fatal(err)
	}
	if runs != 2 {
		t.Errorf("%d runs for two keys", runs)
	}
	want := []idempotency.EventKind{"acquired", "no-lease", "stored", "replayed", "replayed", "acquired", "no-lease", "stored"}
	if !slices.Equal(f.events, want) {
		t.Errorf("events %v; want %v", f.events, want)
	}
}

func TestFiftyDuplicatesAtOnceRunOnceAndGetOneResult(t *testing.T) {
	const duplicates = 50
	manager := setUpOn(t, idempotency.NewMemoryStore(), idempotency.Config{Wait: 10_000 * time.Hour, TTL: 20_000 * time.Hour})
	var runs, waiting atomic.Int32
	results := make([]int32, duplicates)
	var all sync.WaitGroup
	for i := range duplicates {
		all.Go(func() {
			waiting.Add(1)
			got, err := idempotency.Do(context.Background(), manager, "k", func(context.Context) (int32, error) {
				for waiting.Load() < duplicates {
					runtime.Gosched()
				}
				return runs.Add(1), nil
			})
			if err != nil {
				t.Error(err)
			}
			results[i] = got
		})
	}
	all.Wait()
	if runs.Load() != 1 || slices.ContainsFunc(results, func(r int32) bool { return r != 1 }) {
		t.Errorf("%d runs, results %v; want one", runs.Load(), results)
	}
}

func TestStoreCallsPerOutcome(t *testing.T) {
	count := func(f *fixture, do func()) map[string]int {
		f.store.calls = map[string]int{}
		do()
		return f.store.calls
	}
	for _, test := range []struct {
		outcome string
		cfg     idempotency.Config
		before  error // what an earlier call returned; nil: it succeeded
		first   bool
		want    map[string]int
	}{
		{"first call", idempotency.Config{}, nil, true, map[string]int{"insert": 1, "complete": 1}},
		{"replay", idempotency.Config{}, nil, false, map[string]int{"insert": 1}},
		{"replay from the cache", idempotency.Config{CacheSize: 1}, nil, false, map[string]int{}},
	} {
		f := setUp(t, test.cfg)
		call := func() {
			if _, err := idempotency.Do(context.Background(), f.Manager, "k", func(context.Context) (int, error) { return 1, nil }); err != nil {
				t.Fatal(err)
			}
		}
		if !test.first {
			call()
		}
		if got := count(f, call); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %v; want %v", test.outcome, got, test.want)
		}
	}
}

func TestEachRowOfTheProtocol(t *testing.T) {
	now := newClock().now
	lease := func(d time.Duration) time.Time { return now.Add(d) }
	expires := func(seconds int64) time.Time { return time.Unix(now.Unix()+seconds, 0) }
	const replays, runs, busy = "replays", "runs", "in progress"
	for _, test := range []struct {
		name string
		r    *idempotency.Record
		want string
	}{
		{"none", nil, runs},
		{"completed, expires later", &idempotency.Record{Status: idempotency.Completed, Expiration: expires(1)}, replays},
		{"completed, expires this second", &idempotency.Record{Status: idempotency.Completed, Expiration: expires(0)}, replays},
		{"completed, expired", &idempotency.Record{Status: idempotency.Completed, Expiration: expires(-1), Fingerprint: "other"}, runs},
		{"lease ends later", &idempotency.Record{Status: idempotency.InProgress, LeaseEnd: lease(1), Expiration: expires(9)}, busy},
		{"lease ends now", &idempotency.Record{Status: idempotency.InProgress, LeaseEnd: lease(0), Expiration: expires(9)}, busy},
		{"lease has ended", &idempotency.Record{Status: idempotency.InProgress, LeaseEnd: lease(-time.Millisecond), Expiration: expires(9)}, runs},
		{"no lease, not expired", &idempotency.Record{Status: idempotency.InProgress, Expiration: expires(0)}, busy},
		{"no lease, expired", &idempotency.Record{Status: idempotency.InProgress, Expiration: expires(-1)}, runs},
		{"live lease, expired", &idempotency.Record{Status: idempotency.InProgress, LeaseEnd: lease(time.Hour), Expiration: expires(-1)}, busy},
	} {
		f := setUp(t, idempotency.Config{Key: "k", Validation: "v"})
		payload := raw(`{"k": 1, "v": 2}`)
		if test.r != nil {
			test.r.Data = raw(`"recorded"`)
			if test.r.Status == idempotency.InProgress {
				test.r.Data = nil
			}
			f.put(t, payload, *test.r)
		}
		before := f.record(t, payload)
		n := 0
		got, err := idempotency.Do(context.Background(), f.Manager, payload, returns(&n, "fresh", nil))
		switch test.want {
		case runs:
			if got != "fresh" || err != nil || n != 1 {
				t.Errorf("%s: %q, %v after %d runs; want a run", test.name, got, err, n)
			}
		case replays:
			if got != "recorded" || err != nil || n != 0 {
				t.Errorf("%s: %q, %v after %d runs; want a replay", test.name, got, err, n)
			}
		case busy:
			inProgress := (*idempotency.InProgressError)(nil)
			if !errors.As(err, &inProgress) || !errors.Is(err, idempotency.ErrInProgress) || n != 0 {
				t.Errorf("%s: %q, %v after %d runs; want ErrInProgress", test.name, got, err, n)
			} else if !inProgress.Record.LeaseEnd.Equal(before.LeaseEnd) {
				t.Errorf("%s: the error says the lease ends at %v; want %v", test.name, inProgress.Record.LeaseEnd, before.LeaseEnd)
			}
			if after := f.record(t, payload); !reflect.DeepEqual(before, after) {
				t.Errorf("%s: the record was %+v and is %+v", test.name, before, after)
			}
		}
	}
}

func TestTheSameKeyWithAnotherPayloadIsRefused(t *testing.T) {
	f := setUp(t, idempotency.Config{Key: "k", Validation: "amount", CacheSize: 4})
	call := func(payload string) (int, error) {
		return idempotency.Do(context.Background(), f.Manager, raw(payload), func(context.Context) (int, error) {
			_, err := idempotency.Do(context.Background(), f.Manager, raw(`{"k": 1, "amount": 3}`), func(context.Context) (int, error) { return 0, nil })
			if !errors.Is(err, idempotency.ErrPayloadMismatch) {
				t.Errorf("while the first call runs: %v; want ErrPayloadMismatch", err)
			}
			return 7, nil
		})
	}
	if got, err := call(`{"k": 1, "amount": 2}`); got != 7 || err != nil {
		t.Fatal(got, err)
	}
	for name, m := range map[string]*idempotency.Manager{"cache": f.Manager, "store": setUpOn(t, f.memory, idempotency.Config{Key: "k", Validation: "amount"})} {
		_, err := idempotency.Do(context.Background(), m, raw(`{"k": 1, "amount": 3}`), func(context.Context) (int, error) { return 0, nil })
		mismatch := (*idempotency.PayloadMismatchError)(nil)
		if !errors.As(err, &mismatch) || mismatch.Record.Status != idempotency.Completed || mismatch.Fingerprint == mismatch.Record.Fingerprint {
			t.Errorf("from the %s: %v; want ErrPayloadMismatch with the record", name, err)
		}
	}
	if got, err := call(`{"k": 1, "amount": 2, "noise": 1}`); got != 7 || err != nil {
		t.Errorf("the same payload: %v, %v; want a replay", got, err)
	}
}

// setUpOn is setUp for a store that exists.
func setUpOn(t testing.TB, store idempotency.Store, cfg idempotency.Config) *idempotency.Manager {
	t.Helper()
	cfg.Prefix = "test"
	cfg.Clock = newClock()
	m, err := idempotency.New(store, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAFailedCallFreesTheKeyAndItsErrorArrivesAsItIs(t *testing.T) {
	f := setUp(t, idempotency.Config{})
	declined := errors.New("declined")
	runs := 0
	for range 2 {
		if _, err := idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, 0, declined)); err != declined {
			t.Fatalf("error is %v; want the function's own", err)
		}
	}
	if runs != 2 || f.record(t, "k") != nil {
		t.Errorf("%d runs, record %+v; want 2 and none", runs, f.record(t, "k"))
	}
}

func TestTheStoreIsAskedBeforeTheFunctionRuns(t *testing.T) {
	f := setUp(t, idempotency.Config{})
	outage := errors.New("outage")
	f.store.insert = func(context.Context, idempotency.Record, time.Time) (bool, *idempotency.Record, error) {
		return false, nil, outage
	}
	runs := 0
	_, err := idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, 0, nil))
	failed := (*idempotency.StoreError)(nil)
	if !errors.As(err, &failed) || failed.Operation != "insert" || !errors.Is(err, idempotency.ErrStoreFailed) || !errors.Is(err, outage) || runs != 0 {
		t.Errorf("%v after %d runs; want ErrStoreFailed and none", err, runs)
	}
}

func TestAKeyThatWasAcquiredThoughTheStoreFailedIsReleased(t *testing.T) {
	f := setUp(t, idempotency.Config{})
	f.store.insert = func(ctx context.Context, r idempotency.Record, now time.Time) (bool, *idempotency.Record, error) {
		f.store.insert = nil
		if _, _, err := f.memory.Insert(ctx, r, now); err != nil {
			t.Fatal(err)
		}
		return false, nil, errors.New("answer lost")
	}
	if _, err := idempotency.Do(context.Background(), f.Manager, "k", func(context.Context) (int, error) { return 1, nil }); err == nil {
		t.Fatal("no error")
	}
	if r := f.record(t, "k"); r != nil {
		t.Errorf("the key is locked by %+v", r)
	}
}

func TestTheLeaseEndsWithTheContextOrAsConfigured(t *testing.T) {
	ctxEnd := 30 * time.Second
	for _, test := range []struct {
		name        string
		cfg         idempotency.Config
		noDeadline  bool
		ctxEnd      time.Duration
		want        time.Duration // -1: no lease
		wantExpires int64         // seconds after now
	}{
		{"the context's deadline", idempotency.Config{}, false, ctxEnd, ctxEnd, 3600},
		{"with a margin", idempotency.Config{LeaseMargin: 2 * time.Second}, false, ctxEnd, ctxEnd + 2*time.Second, 3600},
		{"fixed", idempotency.Config{Lease: time.Minute}, false, ctxEnd, time.Minute, 3600},
		{"fixed, without deadline", idempotency.Config{Lease: time.Minute}, true, 0, time.Minute, 3600},
		{"none", idempotency.Config{}, true, 0, -1, 3600},
		{"no time left", idempotency.Config{}, false, 0, 0, 3600},
		{"longer than the TTL", idempotency.Config{TTL: time.Second, Lease: time.Minute}, true, 0, time.Minute, 61},
	} {
		f := setUp(t, test.cfg)
		ctx := context.Background()
		if !test.noDeadline {
			ctx = within(f.clock, test.ctxEnd)
		}
		_, err := idempotency.Do(ctx, f.Manager, "k", func(context.Context) (int, error) {
			r := f.record(t, "k")
			if test.want < 0 && !r.LeaseEnd.IsZero() || test.want >= 0 && !r.LeaseEnd.Equal(f.clock.Now().Add(test.want)) {
				t.Errorf("%s: the lease ends at %v, now is %v", test.name, r.LeaseEnd, f.clock.Now())
			}
			if got := r.Expiration.Unix() - f.clock.Now().Unix(); got != test.wantExpires {
				t.Errorf("%s: the record in progress expires after %d s; want %d", test.name, got, test.wantExpires)
			}
			return 0, nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestResultsLiveForTheTTLFromTheEndOfTheRun(t *testing.T) {
	f := setUp(t, idempotency.Config{TTL: time.Minute})
	runs := 0
	slow := func(context.Context) (int, error) {
		runs++
		f.clock.advance(10 * time.Second)
		return runs, nil
	}
	for _, step := range []struct{ after, want int }{{0, 1}, {60, 1}, {1, 2}} {
		f.clock.advance(time.Duration(step.after) * time.Second)
		if got, err := idempotency.Do(context.Background(), f.Manager, "k", slow); got != step.want || err != nil {
			t.Errorf("%d s later: result of run %d, %v; want that of run %d", step.after, got, err, step.want)
		}
	}
	if _, err := idempotency.Do(context.Background(), f.WithTTL(24*time.Hour), "long", slow); err != nil {
		t.Fatal(err)
	}
	if got := f.record(t, "long").Expiration.Sub(f.clock.Now()).Round(time.Second); got != 24*time.Hour {
		t.Errorf("a call with a TTL of its own is kept for %v; want 24h", got)
	}
}

func TestAClaimOfACallersOwnShowsRecordAndReplay(t *testing.T) {
	f := setUp(t, idempotency.Config{Lease: time.Minute})
	lease := f.clock.Now().Add(time.Hour).Truncate(time.Millisecond)
	claim := idempotency.Claim{ID: "tenant#k", Fingerprint: "f1", LeaseEnd: lease}
	a, err := f.Acquire(context.Background(), claim)
	if err != nil || a.Replay || a.Record.ID != claim.ID || a.Record.Owner == "" || !a.Record.LeaseEnd.Equal(lease) || a.Record.Fingerprint != "f1" {
		t.Fatalf("got %+v, %v", a, err)
	}
	if err := f.Complete(context.Background(), a.Record, raw(`{"statusCode":200}`)); err != nil {
		t.Fatal(err)
	}
	runs := 0
	got, err := idempotency.DoClaim(context.Background(), f.Manager, claim, returns(&runs, map[string]int{}, nil))
	if err != nil || !got.Replayed || got.Value["statusCode"] != 200 || got.Record.Owner != a.Record.Owner || runs != 0 {
		t.Errorf("got %+v, %v after %d runs", got, err, runs)
	}
	if err := f.Release(context.Background(), a.Record); !errors.Is(err, idempotency.ErrOwnershipLost) {
		t.Errorf("releasing what is completed: %v; want ErrOwnershipLost", err)
	}
}
