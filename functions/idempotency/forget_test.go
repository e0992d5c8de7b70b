package idempotency_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
)

func TestAForgottenKeyRunsAgain(t *testing.T) {
	f := setUp(t, idempotency.Config{CacheSize: 4, Lease: time.Minute})
	runs := 0
	call := func() {
		t.Helper()
		if _, err := idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, 1, nil)); err != nil {
			t.Fatal(err)
		}
	}
	call()
	call()
	if err := f.Forget(context.Background(), key(t, f, "k")); err != nil {
		t.Fatal(err)
	}
	if f.record(t, "k") != nil {
		t.Errorf("the record is still there: %+v", f.record(t, "k"))
	}
	call()
	if want := []idempotency.EventKind{"acquired", "stored", "cache-hit", "forgotten", "acquired", "stored"}; runs != 2 || !slices.Equal(f.events, want) {
		t.Errorf("%d runs, events %v; want 2 and %v", runs, f.events, want)
	}
	if err := f.Forget(context.Background(), "never seen"); err != nil {
		t.Errorf("a key that nobody has used: %v", err)
	}
}

func TestARunInProgressIsNotForgottenAndItsRecordCanBeReleased(t *testing.T) {
	f := setUp(t, idempotency.Config{Lease: time.Minute})
	id := key(t, f, "k")
	runs := 0
	_, err := idempotency.Do(context.Background(), f.Manager, "k", func(ctx context.Context) (string, error) {
		inProgress := (*idempotency.InProgressError)(nil)
		if err := f.Forget(ctx, id); !errors.As(err, &inProgress) || inProgress.Record.Owner != "owner-1" {
			t.Fatalf("Forget: %v; want ErrInProgress with the record", err)
		}
		if r := f.record(t, "k"); r == nil || r.Owner != "owner-1" {
			t.Errorf("the record is %+v; want it as it was", r)
		}
		if err := f.Release(ctx, inProgress.Record); err != nil {
			t.Errorf("Release: %v", err)
		}
		return idempotency.Do(ctx, f.Manager, "k", returns(&runs, "second", nil))
	})
	if !errors.Is(err, idempotency.ErrOwnershipLost) || runs != 1 {
		t.Errorf("the first run gets %v, and there were %d others; want ErrOwnershipLost and one", err, runs)
	}
}

func TestWhatAStoreCannotForgetStaysInTheCache(t *testing.T) {
	f := setUp(t, idempotency.Config{CacheSize: 4, Lease: time.Minute})
	runs := 0
	if _, err := idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, 1, nil)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	failed := (*idempotency.StoreError)(nil)
	if err := f.Forget(ctx, key(t, f, "k")); !errors.As(err, &failed) || failed.Operation != "forget" {
		t.Errorf("Forget: %v; want a StoreError", err)
	}
	if _, err := idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, 1, nil)); err != nil || runs != 1 {
		t.Errorf("%v after %d runs; want a replay", err, runs)
	}
}

func TestAResultThatIsForgottenWhileItIsReadIsNotCached(t *testing.T) {
	f := setUp(t, idempotency.Config{CacheSize: 4, Lease: time.Minute})
	other := setUpOn(t, f.memory, idempotency.Config{})
	runs := 0
	if _, err := idempotency.Do(context.Background(), other, "k", returns(&runs, 1, nil)); err != nil {
		t.Fatal(err)
	}
	id := key(t, f, "k")
	f.store.insert = func(ctx context.Context, r idempotency.Record, now time.Time) (bool, *idempotency.Record, error) {
		f.store.insert = nil
		inserted, existing, err := f.memory.Insert(ctx, r, now)
		if err := f.Forget(ctx, id); err != nil { // by another call, between the store's answer and the cache
			t.Error(err)
		}
		return inserted, existing, err
	}
	for want := 1; want <= 2; want++ {
		if _, err := idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, 1, nil)); err != nil || runs != want {
			t.Errorf("%v after %d runs; want %d", err, runs, want)
		}
	}
}
