package idempotency_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/storetest"
)

func TestTheMemoryStoreKeepsTheContract(t *testing.T) {
	storetest.Run(t, func(*testing.T) idempotency.Store { return idempotency.NewMemoryStore() })
}

func TestTheMemoryStoreRefusesDataBeyondItsLimit(t *testing.T) {
	store := &idempotency.MemoryStore{MaxDataBytes: 10}
	now := time.Unix(1_700_000_000, 0)
	r := idempotency.Record{ID: "r", Status: idempotency.InProgress, Owner: "a", Expiration: now.Add(time.Hour)}
	if inserted, _, err := store.Insert(context.Background(), r, now); !inserted || err != nil {
		t.Fatal(inserted, err)
	}
	r.Data = []byte(`"12345678"`)
	if err := store.Complete(context.Background(), r); err != nil {
		t.Errorf("10 bytes: %v; want them to fit", err)
	}
	r.Data = []byte(`"123456789"`)
	if err := store.Complete(context.Background(), r); !errors.Is(err, idempotency.ErrTooLarge) {
		t.Errorf("11 bytes: %v; want ErrTooLarge", err)
	}
}

func TestTheMemoryStoreForgetsWhatHasExpired(t *testing.T) {
	store := idempotency.NewMemoryStore()
	now := time.Unix(1_700_000_000, 0)
	insert := func(id string, at time.Time) {
		r := idempotency.Record{ID: id, Status: idempotency.InProgress, Owner: "a", Expiration: at.Add(time.Second)}
		if inserted, _, err := store.Insert(context.Background(), r, at); !inserted || err != nil {
			t.Fatal(inserted, err)
		}
	}
	const many = 100
	for i := range many {
		insert(fmt.Sprint("old-", i), now)
	}
	for i := range 10 * many {
		insert(fmt.Sprint("new-", i), now.Add(2*time.Hour))
	}
	for i := range many {
		if r, err := store.Get(context.Background(), fmt.Sprint("old-", i)); r != nil || err != nil {
			t.Fatalf("old-%d is still there: %+v, %v", i, r, err)
		}
	}
}
