package idempotency_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
)

func TestAResultOfAnotherLibraryIsNeverTakenForAWrapping(t *testing.T) {
	for _, result := range []string{`{"$error": "card declined"}`, `{"$gzip": "H4sI"}`, `{"$gzip":"%"}`} {
		f := setUp(t, idempotency.Config{})
		put(t, f, "k", idempotency.Record{Expiration: f.clock.Now().Add(time.Hour)}, result)
		runs := 0
		got, err := idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, raw(""), nil))
		if string(got) != result || err != nil || runs != 0 {
			t.Errorf("%s is replayed as %s, %v after %d runs", result, got, err, runs)
		}
	}
}

func TestTheWrappingsOfEarlierVersionsAreRead(t *testing.T) {
	// {"n":1} as base64 of gzip, as this library has always written it.
	const packed = `{"$gzip":"H4sIAAAAAAACA6tWylOyMqwFAH47S9QHAAAA"}`
	f := setUp(t, idempotency.Config{})
	put(t, f, "k", idempotency.Record{Owner: "o", Expiration: f.clock.Now().Add(time.Hour)}, packed)
	runs := 0
	if got, err := idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, raw(""), nil)); string(got) != `{"n":1}` || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
	put(t, f, "failed", idempotency.Record{Owner: "o", Expiration: f.clock.Now().Add(time.Hour)}, `{"$error":"card declined"}`)
	_, err := idempotency.Do(context.Background(), f.Manager, "failed", returns(&runs, raw(""), nil))
	if stored := (*idempotency.StoredFailureError)(nil); !errors.As(err, &stored) || stored.Message != "card declined" || runs != 0 {
		t.Errorf("error is %v after %d runs", err, runs)
	}
}

// put lets the store have a completed record, of whatever owner and data.
func put(t *testing.T, f *fixture, payload any, r idempotency.Record, data string) {
	t.Helper()
	id, _, err := f.Key(payload)
	if err != nil {
		t.Fatal(err)
	}
	r.ID, r.Status = id, idempotency.Completed
	if data != "" {
		r.Data = raw(data)
	}
	if inserted, _, err := f.memory.Insert(context.Background(), r, f.clock.Now()); !inserted || err != nil {
		t.Fatal(inserted, err)
	}
}

func TestAFunctionOfTypeScriptThatReturnedUndefinedIsReplayedAsNull(t *testing.T) {
	f := setUp(t, idempotency.Config{})
	put(t, f, "k", idempotency.Record{Expiration: f.clock.Now().Add(time.Hour)}, "")
	runs := 0
	got, err := idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, &[]int{1}[0], nil))
	if got != nil || err != nil || runs != 0 {
		t.Errorf("got %v, %v after %d runs; want nil", got, err, runs)
	}
}

func TestNaNAndInfinitiesOfPythonAreAnErrorThatSaysSo(t *testing.T) {
	for _, result := range []string{"NaN", `[1, -Infinity]`, `{"mean": Infinity, "text": "NaN"}`} {
		f := setUp(t, idempotency.Config{})
		put(t, f, "k", idempotency.Record{Expiration: f.clock.Now().Add(time.Hour)}, result)
		runs := 0
		_, err := idempotency.Do(context.Background(), f.Manager, "k", returns[any](&runs, 0, nil))
		unreadable := (*idempotency.UnreadableResultError)(nil)
		if !errors.As(err, &unreadable) || !errors.Is(err, idempotency.ErrNonFinite) || !strings.Contains(err.Error(), "NonFiniteAsNull") || runs != 0 {
			t.Errorf("%s: %v after %d runs", result, err, runs)
		}
	}
	f := setUp(t, idempotency.Config{})
	put(t, f, "k", idempotency.Record{Expiration: f.clock.Now().Add(time.Hour)}, `{"a": Nan}`)
	if _, err := idempotency.Do(context.Background(), f.Manager, "k", returns[any](new(int), 0, nil)); errors.Is(err, idempotency.ErrNonFinite) {
		t.Errorf("what is no JSON at all is said to hold NaN: %v", err)
	}
}

func TestNaNAndInfinitiesOfPythonAreNullIfThatIsAskedFor(t *testing.T) {
	for stored, want := range map[string]string{
		`NaN`: `null`,
		`[NaN, Infinity,-Infinity, -1, "NaN", "a\"NaN\\"]`: `[null, null,null, -1, "NaN", "a\"NaN\\"]`,
		`{"NaN": NaN, "b": {"Infinity": -Infinity}}`:       `{"NaN": null, "b": {"Infinity": null}}`,
		`{"paid": true}`:        `{"paid": true}`,
		`"unterminated NaN`:     `"unterminated NaN`,
		`"-Infinity"`:           `"-Infinity"`,
		`[-Infinity, Infinity]`: `[null, null]`,
	} {
		got, err := idempotency.NonFiniteAsNull(context.Background(), raw(stored), idempotency.Record{})
		if string(got) != want || err != nil {
			t.Errorf("%s becomes %s, %v; want %s", stored, got, err, want)
		}
	}
	f := setUp(t, idempotency.Config{OnReplay: idempotency.NonFiniteAsNull})
	put(t, f, "k", idempotency.Record{Expiration: f.clock.Now().Add(time.Hour)}, `{"mean": NaN, "n": 3}`)
	type summary struct {
		Mean *float64
		N    int
	}
	got, err := idempotency.Do(context.Background(), f.Manager, "k", returns(new(int), summary{}, nil))
	if got.Mean != nil || got.N != 3 || err != nil {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestARecordThatCannotBeReadIsAnErrorOfItsOwnAndNothingRuns(t *testing.T) {
	unreadable := &idempotency.UnreadableRecordError{ID: "id", Err: errors.New(`"status" is "DONE"`)}
	check := func(f *fixture, wait string) {
		t.Helper()
		runs := 0
		_, err := idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, 1, nil))
		if !errors.Is(err, idempotency.ErrRecordUnreadable) || errors.Is(err, idempotency.ErrStoreFailed) || !strings.Contains(err.Error(), "DONE") || runs != 0 {
			t.Errorf("%s: %v after %d runs", wait, err, runs)
		}
		if want := []idempotency.EventKind{"unreadable"}; !slices.Equal(f.events, want) {
			t.Errorf("%s: the events are %v; want %v", wait, f.events, want)
		}
		if f.store.calls["release"] != 0 {
			t.Errorf("%s: a record that is another's was to be released", wait)
		}
	}

	f := setUp(t, idempotency.Config{})
	f.store.insert = func(context.Context, idempotency.Record, time.Time) (bool, *idempotency.Record, error) {
		return false, nil, unreadable
	}
	check(f, "in its way")

	f = setUp(t, idempotency.Config{Wait: time.Minute})
	id, _, _ := f.Key("k")
	if _, _, err := f.memory.Insert(context.Background(), idempotency.Record{
		ID: id, Status: idempotency.InProgress, Owner: "other", LeaseEnd: f.clock.Now().Add(time.Hour), Expiration: f.clock.Now().Add(time.Hour),
	}, f.clock.Now()); err != nil {
		t.Fatal(err)
	}
	f.store.get = func(context.Context, string) (*idempotency.Record, error) { return nil, unreadable }
	check(f, "while it waits")
}

// A checkedStore says what is wrong with its configuration.
type checkedStore struct {
	idempotency.Store
	problem error
}

func (s checkedStore) Check() error { return s.problem }

func TestNewAsksTheStoreWhetherItCanWork(t *testing.T) {
	broken := errors.New("two attributes have one name")
	_, err := idempotency.New(checkedStore{idempotency.NewMemoryStore(), broken}, idempotency.Config{Prefix: "f", Wait: -1})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "Wait") {
		t.Errorf("error is %v; want the store's, and that of Wait", err)
	}
	if _, err := idempotency.New(checkedStore{idempotency.NewMemoryStore(), nil}, idempotency.Config{Prefix: "f"}); err != nil {
		t.Error(err)
	}
}

func TestAResultThatFitsAsTextOnlyIsStoredAsText(t *testing.T) {
	f := setUp(t, idempotency.Config{})
	f.store.complete = func(ctx context.Context, r idempotency.Record) error {
		if string(r.Data) == "7" {
			return idempotency.ErrTooLarge // as a store does that has no type for it
		}
		return f.memory.Complete(ctx, r)
	}
	runs := 0
	for range 2 {
		if got, err := idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, json.Number("7"), nil)); got != "7" || err != nil || runs != 1 {
			t.Errorf("after %d runs: %s, %v", runs, got, err)
		}
	}
}
