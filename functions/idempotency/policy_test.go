package idempotency_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
)

func TestThePolicyDecidesWhatBecomesOfTheKey(t *testing.T) {
	failure := errors.New("card declined")
	for _, test := range []struct {
		name   string
		action idempotency.Action
		err    error
		runs   int
		second string // what the second call gets
	}{
		{"default, success", idempotency.DefaultAction, nil, 1, "<nil>"},
		{"default, failure", idempotency.DefaultAction, failure, 2, "card declined"},
		{"store a success", idempotency.StoreResult, nil, 1, "<nil>"},
		{"store a failure", idempotency.StoreResult, failure, 1, "card declined"},
		{"release after success", idempotency.ReleaseKey, nil, 2, "<nil>"},
		{"hold after failure", idempotency.HoldKey, failure, 1, "in progress"},
		{"hold after success", idempotency.HoldKey, nil, 1, "in progress"},
	} {
		f := setUp(t, idempotency.Config{Lease: time.Minute, Policy: func(_ context.Context, result any, err error) idempotency.Action {
			if result != 5 || err != test.err {
				t.Errorf("%s: the policy is shown %v, %v", test.name, result, err)
			}
			return test.action
		}})
		runs := 0
		if got, err := idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, 5, test.err)); got != 5 || err != test.err {
			t.Errorf("%s: the first call gets %v, %v", test.name, got, err)
		}
		_, err := idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, 5, test.err))
		if runs != test.runs || !strings.Contains(fmt.Sprint(err), test.second) {
			t.Errorf("%s: %d runs, and the second call gets %v; want %d and %s", test.name, runs, err, test.runs, test.second)
		}
		if test.action == idempotency.StoreResult && test.err != nil {
			if stored := (*idempotency.StoredFailureError)(nil); !errors.As(err, &stored) {
				t.Errorf("%s: %T; want a StoredFailureError", test.name, err)
			}
		}
	}
	f := setUp(t, idempotency.Config{})
	runs := 0
	once := f.WithPolicy(func(context.Context, any, error) idempotency.Action { return idempotency.ReleaseKey })
	for range 2 {
		if _, err := idempotency.Do(context.Background(), once, "k", returns(&runs, 5, nil)); err != nil {
			t.Fatal(err)
		}
	}
	if runs != 2 {
		t.Errorf("WithPolicy: %d runs; want 2", runs)
	}
}

func TestLockOnlyKeepsRunsApartAndStoresNothing(t *testing.T) {
	f := setUp(t, idempotency.Config{LockOnly: true})
	runs := 0
	call := func() error {
		_, err := idempotency.Do(context.Background(), f.Manager, "k", func(ctx context.Context) (int, error) {
			runs++
			if _, err := idempotency.Do(ctx, f.Manager, "k", returns(&runs, 0, nil)); !errors.Is(err, idempotency.ErrInProgress) {
				t.Errorf("a second run while the first one goes on: %v; want ErrInProgress", err)
			}
			return runs, nil
		})
		return err
	}
	for range 2 {
		if err := call(); err != nil {
			t.Fatal(err)
		}
	}
	if runs != 2 || f.record(t, "k") != nil {
		t.Errorf("%d runs, record %+v; want 2 and none", runs, f.record(t, "k"))
	}
}
