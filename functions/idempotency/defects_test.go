package idempotency_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
)

// The tests of this file are named after the defects of existing libraries that this one must not have.

func TestDefect1ALateRunRemovesOrOverwritesTheRecordOfWhoeverTookOver(t *testing.T) {
	for _, failure := range []error{nil, errors.New("failed late")} {
		f := setUp(t, idempotency.Config{Lease: time.Second})
		runs := 0
		_, err := idempotency.Do(context.Background(), f.Manager, "k", func(ctx context.Context) (string, error) {
			runs++
			f.clock.advance(2 * time.Second)
			if got, err := idempotency.Do(ctx, f.Manager, "k", returns(&runs, "second", nil)); got != "second" || err != nil {
				t.Errorf("taking over: %q, %v", got, err)
			}
			return "first", failure
		})
		lost := (*idempotency.OwnershipLostError)(nil)
		if !errors.As(err, &lost) || !errors.Is(err, idempotency.ErrOwnershipLost) {
			t.Fatalf("the late run gets %v; want ErrOwnershipLost", err)
		}
		if failure == nil && lost.Result != "first" || failure != nil && !errors.Is(err, failure) {
			t.Errorf("the late run gets %v with %v; want what it returned", err, lost.Result)
		}
		if got, err := idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, "third", nil)); got != "second" || err != nil || runs != 2 {
			t.Errorf("afterwards: %q, %v after %d runs; want the second one's result", got, err, runs)
		}
	}
}

func TestDefect2ARepeatedPutConflictsWithItsOwnRecord(t *testing.T) {
	f := setUp(t, idempotency.Config{Lease: time.Minute})
	f.store.insert = func(ctx context.Context, r idempotency.Record, now time.Time) (bool, *idempotency.Record, error) {
		f.store.insert = nil
		if _, _, err := f.memory.Insert(ctx, r, now); err != nil { // the answer to this one is lost
			t.Fatal(err)
		}
		return f.memory.Insert(ctx, r, now)
	}
	runs := 0
	if got, err := idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, 7, nil)); got != 7 || err != nil || runs != 1 {
		t.Errorf("got %d, %v after %d runs; want a run", got, err, runs)
	}
}

func TestDefect3ATTLShorterThanTheRunVoidsItsLease(t *testing.T) {
	f := setUp(t, idempotency.Config{TTL: time.Second, Lease: time.Minute})
	runs := 0
	_, err := idempotency.Do(context.Background(), f.Manager, "k", func(ctx context.Context) (int, error) {
		f.clock.advance(30 * time.Second)
		if _, err := idempotency.Do(ctx, f.Manager, "k", returns(&runs, 0, nil)); !errors.Is(err, idempotency.ErrInProgress) {
			t.Errorf("a second call after the TTL, within the lease: %v; want ErrInProgress", err)
		}
		return 0, nil
	})
	if err != nil || runs != 0 {
		t.Errorf("%v, %d more runs", err, runs)
	}
}

func TestDefect4TwoFunctionsWithOneStoreCompleteEachOthersRecords(t *testing.T) {
	memory := idempotency.NewMemoryStore()
	manager := func(prefix string) *idempotency.Manager {
		m, err := idempotency.New(memory, idempotency.Config{Prefix: prefix, Clock: newClock()})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	outer, inner := manager("outer"), manager("inner")
	for range 2 {
		got, err := idempotency.Do(context.Background(), outer, "k", func(ctx context.Context) (string, error) {
			_, err := idempotency.Do(ctx, inner, "k", func(context.Context) (string, error) { return "of inner", nil })
			return "of outer", err
		})
		if got != "of outer" || err != nil {
			t.Errorf("outer: %q, %v", got, err)
		}
		if got, err := idempotency.Do(context.Background(), inner, "k", func(context.Context) (string, error) { return "again", nil }); got != "of inner" || err != nil {
			t.Errorf("inner: %q, %v", got, err)
		}
	}

	// The key is taken from the payload before the function runs, and the function may change the payload.
	payload := map[string]string{"order": "o"}
	runs := 0
	for range 2 {
		_, err := idempotency.Do(context.Background(), outer, payload, func(context.Context) (int, error) {
			runs++
			payload["order"] = "changed"
			return 0, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		payload = map[string]string{"order": "o"}
	}
	if runs != 1 {
		t.Errorf("%d runs", runs)
	}
}

func TestDefect5CallersWithoutAKeyShareOneResult(t *testing.T) {
	for _, test := range []struct{ expression, payload string }{
		{`[user, order]`, `{"noise": 1}`},
		{`{u: user, o: order}`, `{"noise": 1}`},
		{`headers."idempotency-key"`, `{"headers": {"idempotency-key": ""}}`},
	} {
		f := setUp(t, idempotency.Config{Key: test.expression})
		for _, caller := range []string{"alice", "bob"} {
			got, err := idempotency.Do(context.Background(), f.Manager, raw(test.payload), func(context.Context) (string, error) { return caller, nil })
			if got != caller || err != nil {
				t.Errorf("%s of %s: %s got %q, %v", test.expression, test.payload, caller, got, err)
			}
		}
	}
}

func TestDefect6AFailedReleaseMasksTheErrorAndADeadContextPreventsIt(t *testing.T) {
	declined, outage := errors.New("declined"), errors.New("outage")
	f := setUp(t, idempotency.Config{})
	f.store.release = func(context.Context, string, string) error { return outage }
	_, err := idempotency.Do(context.Background(), f.Manager, "k", func(context.Context) (int, error) { return 0, declined })
	failed := (*idempotency.StoreError)(nil)
	if !errors.Is(err, declined) || !errors.Is(err, outage) || !errors.As(err, &failed) || failed.Operation != "release" {
		t.Errorf("error is %v; want both", err)
	}

	for _, failure := range []error{nil, declined} {
		f = setUp(t, idempotency.Config{})
		ctx, cancel := context.WithCancel(context.Background())
		_, err = idempotency.Do(ctx, f.Manager, "k", func(context.Context) (int, error) {
			cancel()
			return 0, failure
		})
		if err != failure {
			t.Errorf("with a context that is over: %v; want %v", err, failure)
		}
		if r := f.record(t, "k"); failure == nil && r.Status != idempotency.Completed || failure != nil && r != nil {
			t.Errorf("with a context that is over, the record stays %+v", r)
		}
	}
}

func TestDefect7AResultThatCannotBeStoredIsProducedAgain(t *testing.T) {
	for _, test := range []struct {
		name   string
		result any
	}{
		{"it cannot be encoded", math.Inf(1)},
		{"it is too large", incompressible(5000)},
	} {
		f := setUp(t, idempotency.Config{Lease: time.Second, CacheSize: 1})
		f.memory.MaxDataBytes = 1000
		runs := 0
		got, err := idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, test.result, nil))
		notStored := (*idempotency.ResultNotStoredError)(nil)
		if !errors.As(err, &notStored) || notStored.Result != test.result || got != test.result || notStored.Err == nil {
			t.Errorf("%s: %v; want ErrResultNotStored with the result", test.name, err)
		}
		f.clock.advance(time.Minute)
		for name, m := range map[string]*idempotency.Manager{"cache": f.Manager, "store": setUpOn(t, f.memory, idempotency.Config{})} {
			_, err := idempotency.Do(context.Background(), m, "k", returns(&runs, test.result, nil))
			if !errors.As(err, &notStored) || notStored.Result != nil || notStored.Err != nil || runs != 1 {
				t.Errorf("%s: a later call, by the %s: %v after %d runs; want ErrResultNotStored, no result, and no run", test.name, name, err, runs)
			}
		}
	}

	f := setUp(t, idempotency.Config{Lease: time.Hour})
	f.store.complete = func(context.Context, idempotency.Record) error { return errors.New("outage") }
	runs := 0
	got, err := idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, 7, nil))
	if got != 7 || !errors.Is(err, idempotency.ErrResultNotStored) || !errors.Is(err, idempotency.ErrStoreFailed) {
		t.Errorf("the store failed: %v, %v; want ErrResultNotStored with the result", got, err)
	}
	if _, err := idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, 7, nil)); !errors.Is(err, idempotency.ErrInProgress) || runs != 1 {
		t.Errorf("a later call: %v after %d runs; want the key to stay locked until the lease ends", err, runs)
	}
}

// incompressible is a text that gzip does not shorten much.
func incompressible(n int) string {
	var b strings.Builder
	x := uint32(1)
	for range n {
		x = x*1664525 + 1013904223
		b.WriteByte("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/"[x>>26])
	}
	return b.String()
}

func TestDefect8FalsyResultsAreReplayedAsNull(t *testing.T) {
	for _, size := range []int{0, 10} {
		replays(t, size, 0)
		replays(t, size, false)
		replays(t, size, "")
		replays(t, size, 0.0)
		replaysJSON(t, size, []int{}, `[]`)
		replaysJSON(t, size, map[string]int{}, `{}`)
		replaysJSON(t, size, []int(nil), `null`)
	}
}

func replays[T comparable](t *testing.T, cacheSize int, want T) {
	t.Helper()
	f := setUp(t, idempotency.Config{CacheSize: cacheSize})
	runs := 0
	for range 2 {
		if got, err := idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, want, nil)); got != want || err != nil {
			t.Errorf("got %#v, %v; want %#v", got, err, want)
		}
	}
	if runs != 1 {
		t.Errorf("%#v: %d runs", want, runs)
	}
}

func replaysJSON[T any](t *testing.T, cacheSize int, result T, want string) {
	t.Helper()
	f := setUp(t, idempotency.Config{CacheSize: cacheSize})
	runs := 0
	_, _ = idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, result, nil))
	got, err := idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, raw("1"), nil))
	if string(got) != want || err != nil || runs != 1 {
		t.Errorf("got %s, %v after %d runs; want %s", got, err, runs, want)
	}
}

func TestDefect8TheCacheHandsOutTheCallersOwnObject(t *testing.T) {
	f := setUp(t, idempotency.Config{CacheSize: 10})
	result := map[string]int{"a": 1}
	for range 3 {
		got, err := idempotency.Do(context.Background(), f.Manager, "k", func(context.Context) (map[string]int, error) { return result, nil })
		if err != nil || got["a"] != 1 {
			t.Fatalf("got %v, %v", got, err)
		}
		got["a"] = 2
	}
	// Nor do two callers share bytes.
	call := func() []byte {
		a, err := f.Acquire(context.Background(), idempotency.Claim{ID: f.record(t, "k").ID})
		if err != nil || !a.Replay {
			t.Fatal(a, err)
		}
		return a.Record.Data
	}
	copy(call(), "spoilt")
	if got := string(call()); got != `{"a":1}` {
		t.Errorf("got %s", got)
	}
}

func TestDefect9APanicLeavesTheKeyLocked(t *testing.T) {
	f := setUp(t, idempotency.Config{Lease: time.Hour})
	func() {
		defer func() {
			if p := recover(); p != "broken" {
				t.Errorf("recovered %v; want the function's own panic", p)
			}
		}()
		_, _ = idempotency.Do(context.Background(), f.Manager, "k", func(context.Context) (int, error) { panic("broken") })
	}()
	if r := f.record(t, "k"); r != nil {
		t.Errorf("after a panic the key is locked by %+v", r)
	}

	var ended sync.WaitGroup
	ended.Go(func() {
		_, _ = idempotency.Do(context.Background(), f.Manager, "k", func(context.Context) (int, error) {
			runtime.Goexit()
			return 0, nil
		})
	})
	ended.Wait()
	if r := f.record(t, "k"); r != nil {
		t.Errorf("after Goexit the key is locked by %+v", r)
	}
}

func TestDefect10ANestedCallsInconsistentStateRunsTheOuterFunctionAgain(t *testing.T) {
	outer := setUp(t, idempotency.Config{Prefix: "outer"})
	inner := setUp(t, idempotency.Config{Prefix: "inner"})
	inner.store.insert = func(context.Context, idempotency.Record, time.Time) (bool, *idempotency.Record, error) {
		return false, nil, nil
	}
	outerRuns, innerRuns := 0, 0
	_, err := idempotency.Do(context.Background(), outer.Manager, "k", func(ctx context.Context) (int, error) {
		outerRuns++
		return idempotency.Do(ctx, inner.Manager, "k", returns(&innerRuns, 0, nil))
	})
	if !errors.Is(err, idempotency.ErrInconsistentState) || outerRuns != 1 || innerRuns != 0 {
		t.Errorf("%v after %d and %d runs; want ErrInconsistentState after 1 and none", err, outerRuns, innerRuns)
	}
}

func TestDefect11ALiveRecordWithoutALeaseIsStolenAndTheFingerprintDropped(t *testing.T) {
	f := setUp(t, idempotency.Config{Key: "k", Validation: "v"})
	payload := raw(`{"k": 1, "v": 2}`)
	runs := 0
	_, err := idempotency.Do(context.Background(), f.Manager, payload, func(ctx context.Context) (int, error) {
		f.clock.advance(30 * time.Minute)
		if _, err := idempotency.Do(ctx, f.Manager, payload, returns(&runs, 0, nil)); !errors.Is(err, idempotency.ErrInProgress) {
			t.Errorf("a second call: %v; want ErrInProgress", err)
		}
		return 0, nil
	})
	if err != nil || runs != 0 {
		t.Fatalf("%v, %d more runs", err, runs)
	}
	if _, fingerprint, _ := f.Key(payload); f.record(t, payload).Fingerprint != fingerprint {
		t.Errorf("the completed record has fingerprint %q; want %q", f.record(t, payload).Fingerprint, fingerprint)
	}
}
