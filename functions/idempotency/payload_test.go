package idempotency_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
)

func TestEventsThatDifferInAMemberThatTheTypeLacksAreTwoOperations(t *testing.T) {
	f := setUp(t, idempotency.Config{})
	runs := 0
	handler := idempotency.Handler(f.Manager, func(_ context.Context, in struct{ Amount float64 }) (int, error) {
		runs++
		return runs, nil
	})
	for i, event := range []string{`{"amount":1,"order":"a"}`, `{"amount":1,"order":"b"}`} {
		for range 2 {
			if got, err := handler(context.Background(), raw(event)); got != i+1 || err != nil {
				t.Errorf("%s: result of run %d, %v; want that of run %d", event, got, err, i+1)
			}
		}
	}
	if runs != 2 {
		t.Errorf("%d runs; want 2", runs)
	}
}

func TestAFieldMoreInTheTypeChangesNoKey(t *testing.T) {
	f := setUp(t, idempotency.Config{})
	type before struct{ Amount float64 }
	type after struct {
		Amount float64
		Order  string
	}
	event := raw(`{"amount":12.0,"currency":"EUR","note":null}`)
	if got, err := idempotency.Handler(f.Manager, func(context.Context, before) (string, error) { return "before", nil })(context.Background(), event); got != "before" || err != nil {
		t.Fatal(got, err)
	}
	if got, err := idempotency.Handler(f.Manager, func(context.Context, after) (string, error) { return "after", nil })(context.Background(), event); got != "before" || err != nil {
		t.Errorf("after the deployment: %q, %v; want the result from before it", got, err)
	}
}

func TestTheKeyOfAnEventIsTheOneThatPythonWorksOut(t *testing.T) {
	f := setUp(t, idempotency.Config{Prefix: "pay", Operation: "app.handler"})
	handler := idempotency.Handler(f.Manager, func(_ context.Context, in struct{ Amount float64 }) (float64, error) { return in.Amount, nil })
	// hashlib.md5(json.dumps(event, sort_keys=True).encode()).hexdigest()
	const want = "pay.app.handler#7c41d6b5058eb7966d6cbd7e948b518f"
	for _, event := range []string{
		`{"amount":12.0,"currency":"EUR","note":null}`,
		"{ \"note\" : null,\n\t\"currency\": \"\\u0045UR\", \"amount\" : 12.0 }\n",
	} {
		if got, err := handler(context.Background(), raw(event)); got != 12 || err != nil {
			t.Errorf("%s: %v, %v", event, got, err)
		}
		if r, err := f.memory.Get(context.Background(), want); r == nil || err != nil {
			t.Errorf("%s: no record %s, %v", event, want, err)
		}
	}
	if f.store.calls["complete"] != 1 {
		t.Errorf("%d runs of one event in two spellings; want 1", f.store.calls["complete"])
	}
}

func TestLambdaHandsTheEventAsItCame(t *testing.T) {
	f := setUp(t, idempotency.Config{})
	handler := lambda.NewHandler(idempotency.Handler(f.Manager, func(_ context.Context, in struct{ Amount float64 }) (float64, error) { return 2 * in.Amount, nil }))
	for range 2 {
		answer, err := handler.Invoke(context.Background(), []byte(`{"amount":12.0,"currency":"EUR","note":null}`))
		if string(answer) != "24" || err != nil {
			t.Errorf("got %s, %v", answer, err)
		}
	}
	if r, err := f.memory.Get(context.Background(), "test#7c41d6b5058eb7966d6cbd7e948b518f"); r == nil || err != nil {
		t.Errorf("no record under the hash of the event: %v", err)
	}
}

func TestAnEventThatTheFunctionCannotTakeLocksNothing(t *testing.T) {
	f := setUp(t, idempotency.Config{})
	handler := idempotency.Handler(f.Manager, func(context.Context, struct{ Amount int }) (int, error) {
		t.Error("the function ran")
		return 0, nil
	})
	_, err := handler(context.Background(), raw(`{"amount":"much"}`))
	if wrong := (*json.UnmarshalTypeError)(nil); !errors.As(err, &wrong) || wrong.Field != "Amount" && wrong.Field != "amount" {
		t.Errorf("error is %v; want that of encoding/json", err)
	}
	if f.store.total() != 0 || len(f.events) != 1 || f.events[0] != "bad-event" {
		t.Errorf("%d store calls, events %v; want none and bad-event", f.store.total(), f.events)
	}
	if _, err := handler(context.Background(), raw(`{"amount":`)); !errors.Is(err, idempotency.ErrKeyMalformed) {
		t.Errorf("an event that is not JSON: %v; want ErrKeyMalformed", err)
	}
}

func TestAHandlerDecodesItsEventAlsoWhereNothingIsProtected(t *testing.T) {
	for name, cfg := range map[string]idempotency.Config{"without a key": {Key: "nothing"}, "disabled": {}} {
		t.Run(name, func(t *testing.T) {
			if name == "disabled" {
				t.Setenv(idempotency.DisabledVariable, "true")
			}
			f := setUp(t, cfg)
			handler := idempotency.Handler(f.Manager, func(_ context.Context, in struct{ Amount int }) (int, error) { return in.Amount, nil })
			if got, err := handler(context.Background(), raw(`{"amount":7}`)); got != 7 || err != nil {
				t.Errorf("got %d, %v", got, err)
			}
			if _, err := handler(context.Background(), raw(`[]`)); err == nil {
				t.Error("an event of another type: no error")
			}
		})
	}
}

func TestWhatAnEventWasDecodedIntoIsNoPayload(t *testing.T) {
	type payment struct{ Amount float64 }
	message := events.SQSMessage{MessageId: "m-1", Body: "{}"}
	for _, test := range []struct {
		name    string
		cfg     idempotency.Config
		payload any
		says    string // empty: it is taken
	}{
		{"an event of Lambda", idempotency.Config{}, message, "events.SQSMessage"},
		{"a pointer to one", idempotency.Config{}, &message, "events.SQSMessage"},
		{"a list of them", idempotency.Config{}, []*events.SQSMessage{&message}, "events.SQSMessage"},
		{"a struct that an expression selects from", idempotency.Config{Key: "[order, amount]"}, payment{1}, "payment"},
		{"a struct of which a part is validated", idempotency.Config{Validation: "amount"}, &payment{1}, "payment"},
		{"what identifies the message", idempotency.Config{}, message.MessageId, ""},
		{"its body", idempotency.Config{Key: "@"}, raw(`{"order": "o"}`), ""},
		{"a map that an expression selects from", idempotency.Config{Key: "order"}, map[string]any{"order": "o"}, ""},
		{"a struct that names the work", idempotency.Config{}, payment{1}, ""},
	} {
		f := setUp(t, test.cfg)
		runs := 0
		_, err := idempotency.Do(context.Background(), f.Manager, test.payload, returns(&runs, 1, nil))
		if test.says == "" {
			if err != nil || runs != 1 {
				t.Errorf("%s: %v after %d runs; want it to be taken", test.name, err, runs)
			}
			continue
		}
		if !errors.Is(err, idempotency.ErrKeyMalformed) || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), "Handler") || runs != 0 || f.store.total() != 0 {
			t.Errorf("%s: %v after %d runs and %d store calls; want ErrKeyMalformed that names %s and the way out", test.name, err, runs, f.store.total(), test.says)
		}
	}
}

func TestBytesAreADocument(t *testing.T) {
	f := setUp(t, idempotency.Config{Prefix: "payment-fn.app.handler"})
	for _, payload := range []any{raw(example), []byte(example)} {
		if id, _, err := f.Key(payload); err != nil || id != "payment-fn.app.handler#b8967642f95965b39f63f4bf20032dfc" {
			t.Errorf("%T: %s, %v", payload, id, err)
		}
	}
	if _, _, err := f.Key([]byte{0xCA, 0xFE}); !errors.Is(err, idempotency.ErrKeyMalformed) {
		t.Errorf("bytes that are no JSON: %v; want ErrKeyMalformed", err)
	}
	for _, nothing := range []any{json.RawMessage(nil), nil, (*int)(nil)} {
		if _, _, err := f.Key(nothing); !errors.Is(err, idempotency.ErrKeyMissing) {
			t.Errorf("%T: %v; want ErrKeyMissing", nothing, err)
		}
	}
}
