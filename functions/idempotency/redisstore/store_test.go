package redisstore_test

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/redisstore"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/storetest"
)

var now = time.UnixMilli(1_700_000_000_250)

// newStore is a store in the server.
func newStore(t testing.TB) *redisstore.Store {
	t.Helper()
	do := do(t)
	return redisstore.New(func(ctx context.Context, script string, keys, args []string) (any, error) {
		return do(ctx, append(append([]string{"EVAL", script, strconv.Itoa(len(keys))}, keys...), args...)...)
	})
}

func TestTheStoreKeepsTheContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) idempotency.Store { return newStore(t) })
}

func TestAValueThatIsNoRecordIsAnErrorAndStays(t *testing.T) {
	store, do := newStore(t), do(t)
	for value, want := range map[string]string{
		"": "unexpected end", "not JSON": "invalid character", "[]": "cannot unmarshal array", `"text"`: "cannot unmarshal string", "7": "cannot unmarshal number",
		"{}":                                 `status is ""`,
		`{"status":"DONE","expiration":2e9}`: `status is "DONE"`,
		`{"status":"COMPLETED"}`:             "no expiration",
		`{"status":"COMPLETED","expiration":"1"}`:                              "",
		`{"status":"INPROGRESS","expiration":1,"in_progress_expiration":true}`: "cannot unmarshal bool",
	} {
		key := t.Name() + value
		if _, err := do(t.Context(), "SET", key, value); err != nil {
			t.Fatal(err)
		}
		r := idempotency.Record{ID: key, Status: idempotency.InProgress, Owner: "me", Expiration: now.Add(time.Hour)}
		inserted, existing, err := store.Insert(t.Context(), r, now)
		if inserted || existing != nil || !errors.Is(err, idempotency.ErrRecordUnreadable) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: Insert: %v, %+v, %v; want ErrRecordUnreadable that says %s", value, inserted, existing, err, want)
		}
		if got, err := store.Get(t.Context(), key); got != nil || !errors.Is(err, idempotency.ErrRecordUnreadable) {
			t.Errorf("%s: Get: %+v, %v", value, got, err)
		}
		for _, err := range []error{store.Complete(t.Context(), r), store.Release(t.Context(), key, "me"), store.Renew(t.Context(), r)} {
			if !errors.Is(err, idempotency.ErrOwnershipLost) {
				t.Errorf("%s: %v; want ErrOwnershipLost", value, err)
			}
		}
		if got, err := do(t.Context(), "GET", key); got != value || err != nil {
			t.Errorf("%s became %v, %v", value, got, err)
		}
		if running, err := store.Forget(t.Context(), key, now); running != nil || err != nil {
			t.Errorf("%s: Forget: %+v, %v", value, running, err)
		}
		if got, err := do(t.Context(), "EXISTS", key); got != int64(0) || err != nil {
			t.Errorf("%s is still there: %v, %v", value, got, err)
		}
	}
}

func TestAKeyOfAnotherTypeIsAnErrorAndStays(t *testing.T) {
	store, do := newStore(t), do(t)
	if _, err := do(t.Context(), "RPUSH", t.Name(), "a"); err != nil {
		t.Fatal(err)
	}
	_, _, err := store.Insert(t.Context(), idempotency.Record{ID: t.Name(), Status: idempotency.InProgress, Owner: "me", Expiration: now}, now)
	if !errors.Is(err, idempotency.ErrRecordUnreadable) {
		t.Errorf("error is %v; want ErrRecordUnreadable", err)
	}
	if got, err := do(t.Context(), "LLEN", t.Name()); got != int64(1) || err != nil {
		t.Errorf("the list has %v elements, %v", got, err)
	}
}

func TestARecordOfAnUnknownStatusThatHasExpiredIsReplaced(t *testing.T) {
	store, do := newStore(t), do(t)
	if _, err := do(t.Context(), "SET", t.Name(), `{"status":"DONE","expiration":1699999999}`); err != nil {
		t.Fatal(err)
	}
	r := idempotency.Record{ID: t.Name(), Status: idempotency.InProgress, Owner: "me", Expiration: now.Add(time.Hour)}
	if inserted, existing, err := store.Insert(t.Context(), r, now); !inserted || existing != nil || err != nil {
		t.Errorf("got %v, %+v, %v; want it to be written", inserted, existing, err)
	}
}

func TestARecordOfPowertoolsForPythonIsReplayed(t *testing.T) {
	store, do := newStore(t), do(t)
	const id = "payment-fn.app.handler#b8967642f95965b39f63f4bf20032dfc"
	// As RedisCachePersistenceLayer of Powertools for Python writes it: json.dumps of a dict, with the result as text. A null is as if nothing was there.
	if _, err := do(t.Context(), "SET", id, `{"data": "{\"payment_id\": \"p-1\", \"amount\": 12.5}", "status": "COMPLETED", "in_progress_expiration": null, "expiration": `+
		strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10)+`}`, "EX", "3600"); err != nil {
		t.Fatal(err)
	}
	manager, err := idempotency.New(store, idempotency.Config{Prefix: "payment-fn.app.handler", Lease: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	got, err := idempotency.Do(t.Context(), manager, json.RawMessage(`{"product_id":"123456789","user_id":"xyz"}`),
		func(context.Context) (map[string]any, error) { return nil, errors.New("it ran") })
	if err != nil || got["payment_id"] != "p-1" || got["amount"] != 12.5 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestARecordHasTheMembersThatPowertoolsForPythonReads(t *testing.T) {
	store, do := newStore(t), do(t)
	r := idempotency.Record{
		ID: t.Name(), Status: idempotency.InProgress, Owner: "me", LeaseEnd: now.Add(30 * time.Second), Expiration: time.Unix(1_700_003_600, 0), Fingerprint: "f",
	}
	if inserted, _, err := store.Insert(t.Context(), r, now); !inserted || err != nil {
		t.Fatal(err)
	}
	r.Data = json.RawMessage(`{"text":"Zoë/😀"}`)
	if err := store.Complete(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	value, err := do(t.Context(), "GET", t.Name())
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(value.(string)), &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"status": "COMPLETED", "expiration": 1.7000036e9, "in_progress_expiration": 1.70000003025e12, "data": `{"text":"Zoë/😀"}`, "validation": "f", "owner": "me",
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
}

func TestAKeyExpiresAMinuteAfterItsRecord(t *testing.T) {
	store, do := newStore(t), do(t)
	r := idempotency.Record{ID: t.Name(), Status: idempotency.InProgress, Owner: "me", LeaseEnd: now.Add(30 * time.Second), Expiration: time.Unix(now.Unix(), 0)}
	keptFor := func(want time.Duration) {
		t.Helper()
		left, err := do(t.Context(), "PTTL", t.Name())
		if err != nil {
			t.Fatal(err)
		}
		// What the test itself takes is at most ten seconds; the rest of a second is rounded.
		if got := time.Duration(left.(int64)) * time.Millisecond; got > want+time.Second || got < want-10*time.Second {
			t.Errorf("the key expires after %v, want %v", got, want)
		}
	}
	if _, _, err := store.Insert(t.Context(), r, now); err != nil {
		t.Fatal(err)
	}
	keptFor(90 * time.Second)
	r.LeaseEnd, r.Expiration = now.Add(10*time.Minute), now.Add(5*time.Minute)
	if err := store.Renew(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	keptFor(11 * time.Minute)
	r.Expiration = now.Add(time.Hour)
	if err := store.Complete(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	keptFor(61 * time.Minute)
}

func TestAStoreWithoutAnEvalAndAReplyThatIsNoneAreErrorsThatSayWhatIsWanted(t *testing.T) {
	if _, err := idempotency.New(redisstore.New(nil), idempotency.Config{Prefix: "f"}); err == nil || !strings.Contains(err.Error(), "eval is nil") {
		t.Errorf("error is %v", err)
	}
	for _, reply := range []any{nil, "done", []any{"done"}, []any{"done", 7}, []string{"done", ""}} {
		store := redisstore.New(func(context.Context, string, []string, []string) (any, error) { return reply, nil })
		if _, err := store.Get(t.Context(), "r"); err == nil || !strings.Contains(err.Error(), "two strings") {
			t.Errorf("%v: %v", reply, err)
		}
	}
}
