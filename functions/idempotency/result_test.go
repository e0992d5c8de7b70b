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

func TestAResultThatDoesNotFitIsCompressedAndReplayed(t *testing.T) {
	for _, test := range []struct {
		name     string
		cfg      idempotency.Config
		limit    int
		wantGzip bool
	}{
		{"it fits", idempotency.Config{}, 0, false},
		{"it does not fit", idempotency.Config{}, 1000, true},
		{"it is above the threshold", idempotency.Config{CompressAbove: 100}, 0, true},
		{"it is not above the threshold", idempotency.Config{CompressAbove: 100_000}, 0, false},
	} {
		f := setUp(t, test.cfg)
		f.memory.MaxDataBytes = test.limit
		long := strings.Repeat("long ", 1000)
		runs := 0
		for range 2 {
			if got, err := idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, long, nil)); got != long || err != nil {
				t.Errorf("%s: %.20q, %v", test.name, got, err)
			}
		}
		if gzipped := strings.HasPrefix(string(f.record(t, "k").Data), `{"$gzip"`); runs != 1 || gzipped != test.wantGzip {
			t.Errorf("%s: %d runs, compressed %v; want 1, %v", test.name, runs, gzipped, test.wantGzip)
		}
	}
}

func TestAResultThatLooksLikeAWrappingComesBackAsItIs(t *testing.T) {
	for _, result := range []string{`{"$error":"no failure"}`, `{"$gzip":"no gzip"}`, `{"$error":"a","b":1}`, `{"$other":1}`, `{"$gzip":null}`} {
		f := setUp(t, idempotency.Config{})
		runs := 0
		for range 2 {
			if got, err := idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, raw(result), nil)); string(got) != result || err != nil {
				t.Errorf("%s came back as %s, %v", result, got, err)
			}
		}
		if runs != 1 {
			t.Errorf("%s: %d runs", result, runs)
		}
	}
}

func TestTheHookChangesWhatIsReplayed(t *testing.T) {
	refuse := errors.New("refused by the hook")
	f := setUp(t, idempotency.Config{OnReplay: func(_ context.Context, result json.RawMessage, r idempotency.Record) (json.RawMessage, error) {
		if r.Status != idempotency.Completed {
			t.Errorf("record %+v", r)
		}
		if string(result) == `"bad"` {
			return nil, refuse
		}
		return raw(`"replay of ` + string(result[1:])), nil
	}})
	runs := 0
	for _, want := range []string{"good", "replay of good"} {
		if got, err := idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, "good", nil)); got != want || err != nil {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
	_, _ = idempotency.Do(context.Background(), f.Manager, "bad", returns(&runs, "bad", nil))
	if _, err := idempotency.Do(context.Background(), f.Manager, "bad", returns(&runs, "bad", nil)); !errors.Is(err, refuse) {
		t.Errorf("error is %v; want the hook's", err)
	}
}

func TestAResultOfAnotherTypeIsAnErrorWithTheRecord(t *testing.T) {
	f := setUp(t, idempotency.Config{})
	runs := 0
	_, _ = idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, "text", nil))
	_, err := idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, 5, nil))
	unreadable := (*idempotency.UnreadableResultError)(nil)
	if !errors.As(err, &unreadable) || string(unreadable.Record.Data) != `"text"` || runs != 1 {
		t.Errorf("%v after %d runs", err, runs)
	}
	f.put(t, "damaged", idempotency.Record{
		Status: idempotency.Completed, Owner: "o", Expiration: f.clock.Now().Add(time.Hour), Data: raw(`{"$gzip":"AAAA"}`),
	})
	if _, err := idempotency.Do(context.Background(), f.Manager, "damaged", returns(&runs, 5, nil)); !errors.As(err, &unreadable) {
		t.Errorf("a damaged result: %v; want UnreadableResultError", err)
	}
}

func TestTheCacheForgetsWhatExpiresAndWhatItHasNoRoomFor(t *testing.T) {
	f := setUp(t, idempotency.Config{CacheSize: 1, TTL: time.Minute})
	runs := 0
	call := func(key string) {
		t.Helper()
		if _, err := idempotency.Do(context.Background(), f.Manager, key, returns(&runs, key, nil)); err != nil {
			t.Fatal(err)
		}
	}
	call("a")
	call("b")
	f.events = nil
	call("b")
	call("a")
	call("a")
	if want := []idempotency.EventKind{"cache-hit", "replayed", "cache-hit"}; !slices.Equal(f.events, want) {
		t.Errorf("events %v; want %v", f.events, want)
	}
	f.clock.advance(61 * time.Second)
	if call("a"); runs != 3 {
		t.Errorf("%d runs; want a third after expiry", runs)
	}
}
