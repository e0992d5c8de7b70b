package idempotency_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
)

func TestTheFunctionSeesItsOwnRecord(t *testing.T) {
	f := setUp(t, idempotency.Config{})
	_, err := idempotency.Do(within(f.clock, 30*time.Second), f.Manager, "k", func(ctx context.Context) (int, error) {
		r, ok := idempotency.RecordFrom(ctx)
		stored := f.record(t, "k")
		if !ok || r.ID != stored.ID || r.Owner != "owner-1" || !r.LeaseEnd.Equal(f.clock.Now().Add(30*time.Second).Truncate(time.Millisecond)) || r.TakenOver {
			t.Errorf("got %+v, %v; want the record in the store, %+v", r, ok, stored)
		}
		return 1, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if r, ok := idempotency.RecordFrom(context.Background()); ok {
		t.Errorf("outside of a function: %+v", r)
	}
}

func TestANestedFunctionSeesItsOwnRecordAndAnUnprotectedOneNone(t *testing.T) {
	outer := setUp(t, idempotency.Config{Prefix: "outer"})
	inner := setUp(t, idempotency.Config{Prefix: "inner", Key: "k"})
	_, err := idempotency.Do(context.Background(), outer.Manager, "k", func(ctx context.Context) (int, error) {
		_, err := idempotency.Do(ctx, inner.Manager, raw(`{"k":1}`), func(ctx context.Context) (int, error) {
			if r, ok := idempotency.RecordFrom(ctx); !ok || r.ID != inner.record(t, raw(`{"k":1}`)).ID {
				t.Errorf("the inner function sees %+v, %v", r, ok)
			}
			return 0, nil
		})
		if err != nil {
			return 0, err
		}
		if r, ok := idempotency.RecordFrom(ctx); !ok || r.ID != outer.record(t, "k").ID {
			t.Errorf("the outer function sees %+v, %v", r, ok)
		}
		return idempotency.Do(ctx, inner.Manager, raw(`{}`), func(ctx context.Context) (int, error) {
			if r, ok := idempotency.RecordFrom(ctx); ok {
				t.Errorf("a function without protection sees %+v", r)
			}
			return 0, nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTakingOverADeadRunIsAnEventAndTheFunctionIsTold(t *testing.T) {
	past := func(f *fixture) time.Time { return f.clock.Now().Add(-time.Millisecond) }
	for _, test := range []struct {
		name  string
		there func(f *fixture) idempotency.Record
		want  idempotency.EventKind
	}{
		{"its lease has ended", func(f *fixture) idempotency.Record {
			return idempotency.Record{Status: idempotency.InProgress, Owner: "dead", LeaseEnd: past(f), Expiration: f.clock.Now().Add(time.Hour)}
		}, "taken-over"},
		{"it has expired without a lease", func(f *fixture) idempotency.Record {
			return idempotency.Record{Status: idempotency.InProgress, Owner: "dead", Expiration: f.clock.Now().Add(-2 * time.Second)}
		}, "taken-over"},
		{"it was released by a state machine", func(f *fixture) idempotency.Record {
			return idempotency.Record{Status: idempotency.InProgress, Owner: "dead", LeaseEnd: time.UnixMilli(0), Expiration: f.clock.Now().Add(time.Hour)}
		}, "acquired"},
		{"it completed and has expired", func(f *fixture) idempotency.Record {
			return idempotency.Record{Status: idempotency.Completed, Owner: "done", Data: raw(`1`), Expiration: f.clock.Now().Add(-2 * time.Second)}
		}, "acquired"},
	} {
		f := setUp(t, idempotency.Config{Lease: time.Minute})
		f.put(t, "k", test.there(f))
		var seen idempotency.Record
		got, err := idempotency.DoClaim(context.Background(), f.Manager, idempotency.Claim{ID: key(t, f, "k")}, func(ctx context.Context) (int, error) {
			seen, _ = idempotency.RecordFrom(ctx)
			return 1, nil
		})
		if err != nil || len(f.events) != 2 || f.events[0] != test.want || f.events[1] != "stored" {
			t.Errorf("%s: %v, events %v; want %s and stored", test.name, err, f.events, test.want)
		}
		if want := test.want == "taken-over"; seen.TakenOver != want || got.Record.TakenOver != want {
			t.Errorf("%s: TakenOver is %v for the function and %v in the result; want %v", test.name, seen.TakenOver, got.Record.TakenOver, want)
		}
		if f.record(t, "k").TakenOver {
			t.Errorf("%s: TakenOver was stored", test.name)
		}
	}
}

func TestAKeyThatIsFreedIsNotTakenOver(t *testing.T) {
	f := setUp(t, idempotency.Config{Lease: time.Minute})
	runs := 0
	_, _ = idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, 0, errors.New("declined")))
	if _, err := idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, 0, nil)); err != nil {
		t.Fatal(err)
	}
	if want := []idempotency.EventKind{"acquired", "released", "acquired", "stored"}; !slices.Equal(f.events, want) {
		t.Errorf("events %v; want %v", f.events, want)
	}
}

func key(t testing.TB, f *fixture, payload any) string {
	t.Helper()
	id, _, err := f.Key(payload)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestNeitherDeadlineNorLeaseIsAnEventOfEachSuchRun(t *testing.T) {
	for _, test := range []struct {
		name  string
		cfg   idempotency.Config
		ctx   func(*fixture) context.Context
		wants bool
	}{
		{"neither", idempotency.Config{}, func(*fixture) context.Context { return context.Background() }, true},
		{"a lease", idempotency.Config{Lease: time.Minute}, func(*fixture) context.Context { return context.Background() }, false},
		{"a deadline", idempotency.Config{}, func(f *fixture) context.Context { return within(f.clock, time.Minute) }, false},
	} {
		f := setUp(t, test.cfg)
		for range 2 { // the second is a replay, and locks nothing
			if _, err := idempotency.Do(test.ctx(f), f.Manager, "k", func(context.Context) (int, error) { return 0, nil }); err != nil {
				t.Fatal(err)
			}
		}
		want := []idempotency.EventKind{"acquired", "no-lease", "stored", "replayed"}
		if !test.wants {
			want = []idempotency.EventKind{"acquired", "stored", "replayed"}
		}
		if !slices.Equal(f.events, want) {
			t.Errorf("%s: events %v; want %v", test.name, f.events, want)
		}
	}
}

func TestFinishingMayTakeAsLongAsConfigured(t *testing.T) {
	for _, test := range []struct{ configured, want time.Duration }{{0, 5 * time.Second}, {time.Minute, time.Minute}} {
		f := setUp(t, idempotency.Config{FinishTimeout: test.configured})
		check := func(ctx context.Context) {
			deadline, ok := ctx.Deadline()
			if left := time.Until(deadline); !ok || left > test.want || left < test.want-2*time.Second {
				t.Errorf("configured %v: %v are left; want %v", test.configured, left, test.want)
			}
		}
		f.store.complete = func(ctx context.Context, r idempotency.Record) error { check(ctx); return nil }
		f.store.release = func(ctx context.Context, id, owner string) error { check(ctx); return nil }
		runs := 0
		_, _ = idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, 0, nil))
		_, _ = idempotency.Do(context.Background(), f.Manager, "l", returns(&runs, 0, errors.New("declined")))
		if f.store.calls["complete"] != 1 || f.store.calls["release"] != 1 {
			t.Errorf("store calls %v", f.store.calls)
		}
	}
}

func TestTheResultsRecordSaysUntilWhenItIsReplayed(t *testing.T) {
	f := setUp(t, idempotency.Config{TTL: time.Hour, Lease: time.Minute})
	claim := idempotency.Claim{ID: "id"}
	first, err := idempotency.DoClaim(context.Background(), f.Manager, claim, func(context.Context) (int, error) {
		f.clock.advance(10 * time.Second)
		return 1, nil
	})
	// The clock is at .250 of a second, and the record is replayed to the end of the second of its expiration.
	if err != nil || first.Record.Status != idempotency.Completed || first.Record.Left(f.clock.Now()) != time.Hour {
		t.Errorf("the first call's record is %+v and lives for %v, %v; want it completed, and an hour", first.Record, first.Record.Left(f.clock.Now()), err)
	}
	f.clock.advance(time.Hour)
	again, err := idempotency.DoClaim(context.Background(), f.Manager, claim, func(context.Context) (int, error) { return 2, nil })
	if err != nil || !again.Replayed || again.Record.Left(f.clock.Now()) != 0 {
		t.Errorf("an hour later: %+v, %v; want a replay that lives no longer", again, err)
	}
	if got := again.Record.Left(f.clock.Now().Add(time.Hour)); got != 0 {
		t.Errorf("of a record that has expired %v are left", got)
	}
}

func TestLargeIntegersNeedATypeThatHoldsThem(t *testing.T) {
	const beyond = int64(9007199254740993) // 2^53 + 1
	f := setUp(t, idempotency.Config{})
	replays(t, 0, beyond)
	for _, want := range []any{beyond, float64(9007199254740992)} { // as Do's documentation says
		got, err := idempotency.Do(context.Background(), f.Manager, "k", func(context.Context) (any, error) { return beyond, nil })
		if got != want || err != nil {
			t.Errorf("as any: %T %v, %v; want %T %v", got, got, err, want, want)
		}
	}
	if f := float64(beyond); f != math.Trunc(f) || int64(f) == beyond {
		t.Error("a float64 holds 2^53 + 1")
	}
}

func TestACallWithoutAWaitDoesNotPollWhenTheClockIsSetBack(t *testing.T) {
	for _, test := range []struct {
		wait  time.Duration
		polls int
	}{
		{0, 0},
		// 37.5 + 75 + 150 + 300 + 437.5 ms, which is a second, whatever the clock says.
		{time.Second, 5},
	} {
		f, _ := busy(t, idempotency.Config{Wait: test.wait}, 0)
		f.store.insert = func(ctx context.Context, r idempotency.Record, now time.Time) (bool, *idempotency.Record, error) {
			f.clock.advance(-time.Hour)
			return f.memory.Insert(ctx, r, now)
		}
		runs := 0
		_, err := idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, 1, nil))
		if !errors.Is(err, idempotency.ErrInProgress) || f.store.calls["get"] != test.polls || runs != 0 {
			t.Errorf("Wait %v: %v after %d looks; want ErrInProgress after %d", test.wait, err, f.store.calls["get"], test.polls)
		}
	}
}
