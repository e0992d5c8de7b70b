package idempotency_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
)

// busy sets a fixture up in which another call holds the key "k".
func busy(t *testing.T, cfg idempotency.Config, lease time.Duration) (*fixture, idempotency.Record) {
	t.Helper()
	f := setUp(t, cfg)
	r := idempotency.Record{Status: idempotency.InProgress, Owner: "other", Expiration: f.clock.Now().Add(time.Hour).Truncate(time.Second)}
	if lease > 0 {
		r.LeaseEnd = f.clock.Now().Add(lease)
	}
	return f, f.put(t, "k", r)
}

func TestAWaitingCallReturnsTheResultOfTheOther(t *testing.T) {
	f, r := busy(t, idempotency.Config{Wait: 10 * time.Second}, time.Minute)
	polls := 0
	f.clock.onSleep = func() {
		if polls++; polls == 5 {
			r.Data = raw(`"theirs"`)
			if err := f.memory.Complete(context.Background(), r); err != nil {
				t.Error(err)
			}
		}
	}
	runs := 0
	got, err := idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, "ours", nil))
	if got != "theirs" || err != nil || runs != 0 {
		t.Errorf("got %q, %v after %d runs; want the other call's result", got, err, runs)
	}
	if f.store.calls["insert"] != 1 || f.store.calls["get"] != 5 {
		t.Errorf("store calls %v; want one insert and a get for each look", f.store.calls)
	}
}

func TestAWaitingCallRunsWhenTheOtherFails(t *testing.T) {
	f, r := busy(t, idempotency.Config{Wait: 10 * time.Second}, time.Minute)
	f.clock.onSleep = func() {
		if err := f.memory.Release(context.Background(), r.ID, r.Owner); err != nil {
			t.Error(err)
		}
	}
	runs := 0
	if got, err := idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, "ours", nil)); got != "ours" || err != nil || runs != 1 {
		t.Errorf("got %q, %v after %d runs; want a run", got, err, runs)
	}
}

func TestAWaitingCallRunsAsSoonAsTheLeaseOfADeadOneEnds(t *testing.T) {
	f, r := busy(t, idempotency.Config{Wait: 10 * time.Second}, 3*time.Second)
	runs := 0
	got, err := idempotency.Do(context.Background(), f.Manager, "k", func(context.Context) (string, error) {
		runs++
		if late := f.clock.Now().Sub(r.LeaseEnd); late <= 0 || late > 2*time.Millisecond {
			t.Errorf("it runs %v after the lease ended", late)
		}
		return "ours", nil
	})
	if got != "ours" || err != nil || runs != 1 {
		t.Errorf("got %q, %v after %d runs", got, err, runs)
	}
}

func TestAWaitEndsAfterItsTime(t *testing.T) {
	for _, test := range []struct {
		name     string
		deadline time.Duration
		want     time.Duration
	}{
		{"as configured", 0, 10 * time.Second},
		{"before the context's deadline", 4 * time.Second, 4*time.Second - idempotency.WaitReserve},
		{"at once if the deadline is near", 300 * time.Millisecond, 0},
	} {
		f, r := busy(t, idempotency.Config{Wait: 10 * time.Second}, 0)
		ctx := context.Background()
		if test.deadline > 0 {
			ctx = within(f.clock, test.deadline)
		}
		start := f.clock.Now()
		runs := 0
		_, err := idempotency.Do(ctx, f.Manager, "k", returns(&runs, 1, nil))
		inProgress := (*idempotency.InProgressError)(nil)
		if !errors.As(err, &inProgress) || inProgress.Record.Owner != r.Owner || inProgress.Err != nil || runs != 0 {
			t.Errorf("%s: %v after %d runs; want ErrInProgress", test.name, err, runs)
		}
		if got := f.clock.Now().Sub(start); got != test.want {
			t.Errorf("%s: it waited %v; want %v", test.name, got, test.want)
		}
	}
}

func TestPausesGrowAndAreJittered(t *testing.T) {
	pauses := func(random float64) []time.Duration {
		f, _ := busy(t, idempotency.Config{Wait: time.Minute, Random: func() float64 { return random }}, 0)
		_, _ = idempotency.Do(context.Background(), f.Manager, "k", func(context.Context) (int, error) { return 0, nil })
		return f.clock.sleeps[:7]
	}
	ms := func(ms ...time.Duration) []time.Duration {
		for i := range ms {
			ms[i] *= time.Millisecond
		}
		return ms
	}
	if got, want := pauses(0), ms(25, 50, 100, 200, 400, 500, 500); !slices.Equal(got, want) {
		t.Errorf("shortest pauses %v; want %v", got, want)
	}
	if got, want := pauses(1), ms(50, 100, 200, 400, 800, 1000, 1000); !slices.Equal(got, want) {
		t.Errorf("longest pauses %v; want %v", got, want)
	}
}

func TestAWaitStopsWithItsContext(t *testing.T) {
	f, _ := busy(t, idempotency.Config{Wait: 10 * time.Second}, time.Minute)
	ctx, cancel := context.WithCancel(context.Background())
	f.clock.onSleep = cancel
	_, err := idempotency.Do(ctx, f.Manager, "k", func(context.Context) (int, error) { return 0, nil })
	if !errors.Is(err, idempotency.ErrInProgress) || !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v; want ErrInProgress and context.Canceled", err)
	}
}

func TestAStoreThatFailsDuringAWaitIsAStoreError(t *testing.T) {
	f, _ := busy(t, idempotency.Config{Wait: 10 * time.Second}, time.Minute)
	outage := errors.New("outage")
	f.store.get = func(context.Context, string) (*idempotency.Record, error) { return nil, outage }
	_, err := idempotency.Do(context.Background(), f.Manager, "k", func(context.Context) (int, error) { return 0, nil })
	failed := (*idempotency.StoreError)(nil)
	if !errors.As(err, &failed) || failed.Operation != "get" || !errors.Is(err, outage) {
		t.Errorf("error is %v; want ErrStoreFailed for get", err)
	}
	if want := []idempotency.EventKind{"store-failed"}; !slices.Equal(f.events, want) {
		t.Errorf("events %v; want %v", f.events, want)
	}
}

func TestARecordThatKeepsChangingIsAnInconsistentStateAfterThreeAttempts(t *testing.T) {
	f := setUp(t, idempotency.Config{})
	f.store.insert = func(context.Context, idempotency.Record, time.Time) (bool, *idempotency.Record, error) {
		return false, nil, nil
	}
	runs := 0
	_, err := idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, 0, nil))
	inconsistent := (*idempotency.InconsistentStateError)(nil)
	if !errors.As(err, &inconsistent) || inconsistent.Attempts != 3 || !errors.Is(err, idempotency.ErrInconsistentState) || runs != 0 {
		t.Errorf("%v after %d runs", err, runs)
	}
	if f.store.calls["insert"] != 3 || len(f.clock.sleeps) != 2 {
		t.Errorf("%d inserts with %d pauses; want 3 and 2", f.store.calls["insert"], len(f.clock.sleeps))
	}

	f = setUp(t, idempotency.Config{})
	f.store.insert = func(ctx context.Context, r idempotency.Record, now time.Time) (bool, *idempotency.Record, error) {
		f.store.insert = nil
		return false, nil, nil
	}
	if got, err := idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, 5, nil)); got != 5 || err != nil || runs != 1 {
		t.Errorf("when the record is gone at the second attempt: %v, %v after %d runs", got, err, runs)
	}
}
