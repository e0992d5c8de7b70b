package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
)

// A row is a record of the model, which restates the contract from the table in docs/idempotency.md without using
// Record.Live.
type row struct {
	completed   bool
	owner       string
	leaseMillis int64 // -1: none
	expiration  int64
	data        string
	fingerprint string
}

// bars says whether another run is barred.
func (r *row) bars(nowMillis int64) bool {
	nowSeconds := nowMillis / 1000
	switch {
	case r == nil:
		return false
	case r.completed:
		return nowSeconds <= r.expiration
	case r.leaseMillis >= 0:
		return nowMillis <= r.leaseMillis
	default:
		return nowSeconds <= r.expiration
	}
}

func (r *row) record(id string) idempotency.Record {
	record := idempotency.Record{
		ID: id, Status: idempotency.InProgress, Owner: r.owner, Expiration: time.Unix(r.expiration, 0), Fingerprint: r.fingerprint,
	}
	if r.leaseMillis >= 0 {
		record.LeaseEnd = time.UnixMilli(r.leaseMillis)
	}
	if r.completed {
		record = completed(record, r.data)
	}
	return record
}

// testModel lets three callers work on two records while time passes in small steps, so that they meet at the edges of
// leases and expirations, and compares every answer with the model.
func testModel(t *testing.T, s suite) {
	const operations = 400
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	model := map[string]*row{}
	millis := now.UnixMilli()
	for step := range operations {
		millis += random.Int64N(900)
		id := s.name + fmt.Sprint("#model-", random.IntN(2))
		owner := string(rune('a' + random.IntN(3)))
		there := model[id]
		var did string
		var got, want string
		switch random.IntN(7) {
		case 0, 1:
			next := &row{owner: owner, leaseMillis: -1, expiration: millis/1000 + random.Int64N(4), fingerprint: fmt.Sprint(step)}
			if random.IntN(4) > 0 {
				next.leaseMillis = millis + random.Int64N(3000)
			}
			did = fmt.Sprintf("insert for %s at %d", owner, millis)
			inserted, existing, err := s.store.Insert(context.Background(), next.record(id), time.UnixMilli(millis))
			got = fmt.Sprint(inserted, " ", err)
			if existing != nil {
				got += " " + describe(*existing)
			}
			want = "true <nil>"
			if there != nil && (existing != nil || there.bars(millis)) { // a store may have removed what is dead
				want += " " + describe(there.record(id))
			}
			if there.bars(millis) {
				want = strings.Replace(want, "true", "false", 1)
			} else {
				model[id] = next
			}
		case 2:
			data := fmt.Sprintf(`{"step": %d}`, step)
			did = "complete for " + owner
			change := (&row{completed: true, owner: owner, leaseMillis: -1, expiration: millis/1000 + random.Int64N(4), data: data}).record(id)
			got = outcome(s.store.Complete(context.Background(), change))
			if want = "lost"; there != nil && there.owner == owner {
				want = "done"
				there.completed, there.data, there.expiration = true, data, change.Expiration.Unix()
			}
		case 3:
			did = "release for " + owner
			got = outcome(s.store.Release(context.Background(), id, owner))
			switch {
			case there == nil:
				want = "done"
			case there.owner == owner && !there.completed:
				want = "done"
				delete(model, id)
			default:
				want = "lost"
			}
		case 4:
			store, ok := s.store.(idempotency.Renewer)
			if !ok {
				continue
			}
			did = "renew for " + owner
			change := (&row{owner: owner, leaseMillis: millis + random.Int64N(3000), expiration: millis/1000 + random.Int64N(4)}).record(id)
			got = outcome(store.Renew(context.Background(), change))
			if want = "lost"; there != nil && there.owner == owner && !there.completed {
				want = "done"
				there.leaseMillis, there.expiration = change.LeaseEnd.UnixMilli(), change.Expiration.Unix()
			}
		case 5:
			store, ok := s.store.(idempotency.Forgetter)
			if !ok {
				continue
			}
			did = fmt.Sprint("forget at ", millis)
			running, err := store.Forget(context.Background(), id, time.UnixMilli(millis))
			got, want = outcome(err), "done"
			if running != nil {
				got += " " + describe(*running)
			}
			if there != nil && !there.completed && there.bars(millis) {
				want += " " + describe(there.record(id))
			} else {
				delete(model, id)
			}
		default:
			did = "get"
			existing, err := s.store.Get(context.Background(), id)
			got, want = outcome(err), "done"
			if existing != nil {
				got += " " + describe(*existing)
			}
			if there != nil {
				want += " " + describe(there.record(id))
			}
			// A store may have removed what is dead.
			if existing == nil && there != nil && !there.bars(millis) {
				got = want
			}
		}
		if got != want {
			t.Fatalf("seed %d, step %d, %s of %s\n got %s\nwant %s", seed, step, did, id, got, want)
		}
	}
}

func outcome(err error) string {
	switch {
	case err == nil:
		return "done"
	case errors.Is(err, idempotency.ErrOwnershipLost):
		return "lost"
	default:
		return err.Error()
	}
}
