package idempotency_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
)

func TestALeaseIsRenewedByItsFunction(t *testing.T) {
	f := setUp(t, idempotency.Config{Lease: 10 * time.Second, TTL: time.Minute})
	_, err := idempotency.Do(context.Background(), f.Manager, "k", func(ctx context.Context) (int, error) {
		r, _ := idempotency.RecordFrom(ctx)
		until := f.clock.Now().Add(2 * time.Hour)
		renewed, err := f.Renew(ctx, r, until)
		if err != nil || !renewed.LeaseEnd.Equal(until.Truncate(time.Millisecond)) {
			t.Fatalf("got %+v, %v", renewed, err)
		}
		if now, _ := idempotency.RecordFrom(ctx); !now.LeaseEnd.Equal(renewed.LeaseEnd) {
			t.Errorf("the function sees a lease until %v; want %v", now.LeaseEnd, renewed.LeaseEnd)
		}
		// Neither the old lease nor the TTL ends it, and the table does not delete it before its time.
		stored := f.record(t, "k")
		if !stored.LeaseEnd.Equal(renewed.LeaseEnd) || stored.Expiration.Before(stored.LeaseEnd) || !stored.Live(until) {
			t.Errorf("the record in the store is %+v", stored)
		}
		return 1, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []idempotency.EventKind{"acquired", "renewed", "stored"}; !slices.Equal(f.events, want) || f.store.calls["renew"] != 1 {
		t.Errorf("events %v, store calls %v; want %v and one renewal", f.events, f.store.calls, want)
	}
}

func TestALeaseThatAnotherCallTookOverIsNotRenewed(t *testing.T) {
	f := setUp(t, idempotency.Config{Lease: time.Second})
	ctx := context.Background()
	first, err := f.Acquire(ctx, idempotency.Claim{ID: "id"})
	if err != nil {
		t.Fatal(err)
	}
	f.clock.advance(2 * time.Second)
	// Late, and nobody has come.
	if _, err := f.Renew(ctx, first.Record, f.clock.Now().Add(time.Second)); err != nil {
		t.Errorf("a late renewal: %v", err)
	}
	f.clock.advance(2 * time.Second)
	second, err := f.Acquire(ctx, idempotency.Claim{ID: "id"})
	if err != nil || !second.Record.TakenOver {
		t.Fatal(second, err)
	}
	lost := (*idempotency.OwnershipLostError)(nil)
	if _, err := f.Renew(ctx, first.Record, f.clock.Now().Add(time.Hour)); !errors.As(err, &lost) || lost.ID != "id" {
		t.Errorf("renewing what was taken over: %v; want ErrOwnershipLost", err)
	}
	if err := f.Complete(ctx, second.Record, raw(`1`)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Renew(ctx, second.Record, f.clock.Now().Add(time.Hour)); !errors.Is(err, idempotency.ErrOwnershipLost) {
		t.Errorf("renewing what is completed: %v; want ErrOwnershipLost", err)
	}
	if _, err := f.Renew(ctx, second.Record, time.Time{}); !errors.Is(err, idempotency.ErrStoreFailed) || !strings.Contains(err.Error(), "zero time") {
		t.Errorf("renewing until the zero time: %v; want an error", err)
	}
}

// plainStore is a store with the methods of Store and no others.
type plainStore struct{ idempotency.Store }

func TestAStoreThatCannotRenewOrForgetSaysSo(t *testing.T) {
	plain := plainStore{idempotency.NewMemoryStore()}
	_, err := idempotency.New(plain, idempotency.Config{Prefix: "p", Lease: time.Second, Renew: true})
	if err == nil || !strings.Contains(err.Error(), "no method Renew") {
		t.Errorf("Renew with such a store: %v; want an error that says so", err)
	}
	_, err = idempotency.New(idempotency.NewMemoryStore(), idempotency.Config{Prefix: "p", Renew: true})
	if err == nil || !strings.Contains(err.Error(), "Lease is 0") {
		t.Errorf("Renew without Lease: %v; want an error that says so", err)
	}
	m, err := idempotency.New(plain, idempotency.Config{Prefix: "p"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Renew(context.Background(), idempotency.Record{ID: "id"}, time.Now()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Renew: %v; want ErrUnsupported", err)
	}
	if err := m.Forget(context.Background(), "id"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Forget: %v; want ErrUnsupported", err)
	}
}

// renewing makes a manager whose leases of 9 s are renewed, by the time of the synctest bubble.
func renewing(t *testing.T) (*idempotency.Manager, *observedStore, func() []idempotency.EventKind) {
	store := observe(idempotency.NewMemoryStore())
	var mu sync.Mutex
	var events []idempotency.EventKind
	m, err := idempotency.New(store, idempotency.Config{Prefix: "p", Lease: 9 * time.Second, Renew: true, Observe: func(_ context.Context, e idempotency.Event) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, e.Kind)
	}})
	if err != nil {
		t.Fatal(err)
	}
	return m, store, func() []idempotency.EventKind {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(events)
	}
}

func TestWorkThatIsLongerThanItsLeaseKeepsItsKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _, events := renewing(t)
		runs := 0
		got, err := idempotency.Do(context.Background(), m, "k", func(ctx context.Context) (string, error) {
			for range 10 {
				time.Sleep(time.Second)
				if _, err := idempotency.Do(context.Background(), m, "k", returns(&runs, "second", nil)); !errors.Is(err, idempotency.ErrInProgress) {
					t.Errorf("a second call while the first works: %v; want ErrInProgress", err)
				}
			}
			if r, _ := idempotency.RecordFrom(ctx); time.Until(r.LeaseEnd) < 6*time.Second {
				t.Errorf("after 10 s the function sees a lease that ends in %v; want what the third renewal made it", time.Until(r.LeaseEnd))
			}
			return "first", ctx.Err()
		})
		if got != "first" || err != nil || runs != 0 {
			t.Errorf("got %q, %v, and %d more runs", got, err, runs)
		}
		renewals := 0
		for _, e := range events() {
			if e == "renewed" {
				renewals++
			}
		}
		if renewals != 3 {
			t.Errorf("%d renewals in 10 s of a lease of 9 s; want 3", renewals)
		}
		time.Sleep(time.Minute)
		if after := events(); slices.Index(after, "stored") != len(after)-1 {
			t.Errorf("events %v; want nothing after stored", after)
		}
	})
}

func TestARunThatStopsRenewingIsTakenOverAfterALease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, store, events := renewing(t)
		outage := make(chan struct{})
		plain := &renewalFails{observedStore: store, failing: outage}
		failing, err := idempotency.New(plain, idempotency.Config{Prefix: "p", Lease: 9 * time.Second, Renew: true})
		if err != nil {
			t.Fatal(err)
		}
		_, err = idempotency.Do(context.Background(), failing, "k", func(ctx context.Context) (string, error) {
			time.Sleep(10 * time.Second) // three renewals fail, and the context goes on
			if ctx.Err() != nil {
				t.Errorf("the context ends because the store fails: %v", context.Cause(ctx))
			}
			if got, err := idempotency.Do(context.Background(), m, "k", func(context.Context) (string, error) { return "second", nil }); got != "second" || err != nil {
				t.Errorf("taking over: %q, %v", got, err)
			}
			close(outage)
			<-ctx.Done() // at the next renewal
			if lost := (*idempotency.OwnershipLostError)(nil); !errors.As(context.Cause(ctx), &lost) {
				t.Errorf("the context's cause is %v; want ErrOwnershipLost", context.Cause(ctx))
			}
			return "first", nil
		})
		if !errors.Is(err, idempotency.ErrOwnershipLost) {
			t.Errorf("the late run gets %v; want ErrOwnershipLost", err)
		}
		if !slices.Contains(events(), "taken-over") {
			t.Errorf("events %v; want taken-over", events())
		}
	})
}

// renewalFails is a store whose renewals fail until failing is closed.
type renewalFails struct {
	*observedStore
	failing chan struct{}
}

func (s *renewalFails) Renew(ctx context.Context, r idempotency.Record) error {
	select {
	case <-s.failing:
		return s.observedStore.Renew(ctx, r)
	default:
		return errors.New("outage")
	}
}

func TestNoRenewalOutlivesAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, store, _ := renewing(t)
		func() {
			defer func() { _ = recover() }()
			_, _ = idempotency.Do(context.Background(), m, "k", func(context.Context) (int, error) {
				time.Sleep(4 * time.Second)
				panic("broken")
			})
		}()
		time.Sleep(time.Minute)
		if store.calls["renew"] != 1 || store.calls["release"] != 1 {
			t.Errorf("store calls %v; want one renewal and the release", store.calls)
		}
	})
}
