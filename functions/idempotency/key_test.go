package idempotency_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
)

const example = `{"user_id":"xyz","product_id":"123456789"}`

func TestAKeyIsThePrefixAndTheHashOfTheSelectedPart(t *testing.T) {
	f := setUp(t, idempotency.Config{Prefix: "payment-fn.app.handler"})
	if id, _, err := f.Key(raw(example)); err != nil || id != "payment-fn.app.handler#b8967642f95965b39f63f4bf20032dfc" {
		t.Errorf("got %s, %v", id, err)
	}
	f = setUp(t, idempotency.Config{Hash: sha256.New})
	if id, _, err := f.Key(raw(example)); err != nil || id != "test#f82c791f5afe5abc289315154a7c2e547b188023ba6990ed4663143c56959172" {
		t.Errorf("with SHA-256: %s, %v", id, err)
	}
}

func packed(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(s))
	w.Close()
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

func event(body string, base64Encoded bool) json.RawMessage {
	event, err := json.Marshal(map[string]any{"body": body, "isBase64Encoded": base64Encoded})
	if err != nil {
		panic(err)
	}
	return event
}

func TestExpressionsSelectWhatTheySay(t *testing.T) {
	inBase64 := base64.StdEncoding.EncodeToString([]byte(`{"order": "o-1", "n": 1}`))
	for _, test := range []struct {
		expression string
		payload    json.RawMessage
		same       string // a document whose canonical form is the key
	}{
		{`order`, raw(`{"order": "o-1", "noise": 5}`), `"o-1"`},
		{`headers."idempotency-key"`, raw(`{"headers": {"idempotency-key": "k"}}`), `"k"`},
		{`[user, order]`, raw(`{"user": "u", "order": 7}`), `["u", 7]`},
		{`[user, order]`, raw(`{"order": 7}`), `[null, 7]`},
		{`powertools_json(body).order`, event(`{"order": "o-1"}`, false), `"o-1"`},
		{`powertools_json(body)`, event(`{"b": 5.0, "a": [1e3, 12345678901234567890, 0.1, -0]}`, false), `{"a": [1e3, 12345678901234567890, 0.1, 0], "b": 5.0}`},
		{`powertools_json(body).[order, n]`, event(inBase64, true), `["o-1", 1]`},
		{`powertools_json(powertools_base64(body)).order`, event(inBase64, true), `"o-1"`},
		{`powertools_json(powertools_base64(body)).order`, event(inBase64, false), `"o-1"`},
		{`powertools_json(powertools_base64_gzip(body)).order`, event(packed(`{"order": "o-1"}`), false), `"o-1"`},
		{`Records[*].[messageId, body]`, raw(`{"Records": [{"messageId": "1", "body": "a"}, {"messageId": "2", "body": "b"}]}`), `[["1", "a"], ["2", "b"]]`},
		{"lines[?amount > `10`].sku", raw(`{"lines": [{"sku": "a", "amount": 10}, {"sku": "b", "amount": 10.5}, {"sku": "c", "amount": 11}]}`), `["b", "c"]`},
		{`length(lines)`, raw(`{"lines": [1, 2]}`), `2`},
		{`keys(@)`, raw(`{"c": 1, "a": 2, "b": 3, "e": 4, "d": 5}`), `["a", "b", "c", "d", "e"]`},
		{`values(@)`, raw(`{"c": 1, "a": 2, "b": 3, "e": 4, "d": 5}`), `[2, 3, 1, 5, 4]`},
		{`items(@)`, raw(`{"b": 1, "a": null}`), `[["a", null], ["b", 1]]`},
		{`zero`, raw(`{"zero": 0}`), `0`},
		{`zero`, raw(`{"zero": 0.0}`), `0.0`},
		{`no`, raw(`{"no": false}`), `false`},
		{`""`, raw(`{"": "k"}`), `"k"`},
	} {
		f := setUp(t, idempotency.Config{Key: test.expression})
		got, _, err := f.Key(test.payload)
		if err != nil {
			t.Errorf("%s of %s: %v", test.expression, test.payload, err)
			continue
		}
		if want, _, err := setUp(t, idempotency.Config{}).Key(raw(test.same)); err == nil && got != want {
			t.Errorf("%s of %s is not the key of %s", test.expression, test.payload, test.same)
		}
	}
}

func TestNumbersThatDifferAsWrittenAreDifferentKeys(t *testing.T) {
	f := setUp(t, idempotency.Config{Key: "n"})
	seen := map[string]string{}
	for _, number := range []string{"5", "5.0", "9007199254740993", "9007199254740992", "9007199254740994.0", "0", "0.0", "-0.0", "1e16", "10000000000000000"} {
		id, _, err := f.Key(raw(`{"n": ` + number + `}`))
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[id]; ok {
			t.Errorf("%s and %s are one key", number, other)
		}
		seen[id] = number
	}
}

func TestWhatIsNoKey(t *testing.T) {
	for _, test := range []struct {
		expression, payload string
		isKey               bool
	}{
		{`k`, `{}`, false},
		{`k`, `{"k": null}`, false},
		{`k`, `{"k": ""}`, false},
		{`k`, `{"k": []}`, false},
		{`k`, `{"k": {}}`, false},
		{`[a, b]`, `{}`, false},
		{`{a: a, b: b}`, `{}`, false},
		{`powertools_json(body)`, `{"body": null}`, false},
		{`powertools_json(body)`, `{"body": ""}`, false},
		{`powertools_json(body)`, `{}`, false},
		{``, `null`, false},
		{`k`, `{"k": 0}`, true},
		{`k`, `{"k": 0.0}`, true},
		{`k`, `{"k": false}`, true},
		{`k`, `{"k": " "}`, true},
		{`[a, b]`, `{"b": 0}`, true},
		{``, `{"a": false}`, true},
	} {
		for _, required := range []bool{false, true} {
			f := setUp(t, idempotency.Config{Key: test.expression, RequireKey: required})
			runs := 0
			_, err := idempotency.Do(context.Background(), f.Manager, raw(test.payload), returns(&runs, 1, nil))
			switch {
			case test.isKey:
				if err != nil || runs != 1 || f.store.total() != 2 {
					t.Errorf("%s of %s: %v after %d runs and %d store calls; want a protected run", test.expression, test.payload, err, runs, f.store.total())
				}
			case required:
				missing := (*idempotency.KeyMissingError)(nil)
				if !errors.As(err, &missing) || !errors.Is(err, idempotency.ErrKeyMissing) || runs != 0 || f.store.total() != 0 {
					t.Errorf("%s of %s, required: %v after %d runs and %d store calls; want ErrKeyMissing and nothing else", test.expression, test.payload, err, runs, f.store.total())
				}
			default:
				if err != nil || runs != 1 || f.store.total() != 0 {
					t.Errorf("%s of %s: %v after %d runs and %d store calls; want an unprotected run", test.expression, test.payload, err, runs, f.store.total())
				}
			}
		}
	}
}

func TestAMalformedPayloadIsABadKeyAndNeverRunsUnprotected(t *testing.T) {
	bomb := packed(strings.Repeat("0", idempotency.MaxGunzippedBytes+1))
	for _, test := range []struct {
		expression string
		payload    any
	}{
		{`powertools_json(body)`, event(`not json`, false)},
		{`powertools_json(body)`, raw(`{"body": 5}`)},
		{`powertools_json(body)`, raw(`{"body": {"order": 1}}`)},
		{`powertools_json(body).lines[]`, event(`{"lines": `, false)},
		{`powertools_json(body).lines[?a].b`, event(`{"lines": `, false)},
		{`[powertools_json(body).lines[], order][]`, event(`{"lines": `, false)},
		{`powertools_json(body)`, event("****", true)},
		{`powertools_base64(body)`, event(`*`, false)},
		{`powertools_base64_gzip(body)`, event(`*`, false)},
		{`powertools_base64_gzip(body)`, event(base64.StdEncoding.EncodeToString([]byte("text")), false)},
		{`powertools_base64_gzip(body)`, event(bomb, false)},
		{`sum(@)`, raw(`{"a": 1}`)},
		{`contains(a, b)`, raw(`{"a": [{}], "b": {}}`)},
		{`a`, raw(`{`)},
		{`a`, func() {}},
		{`a`, raw("\"\xff\"")},
	} {
		f := setUp(t, idempotency.Config{Key: test.expression})
		runs := 0
		_, err := idempotency.Do(context.Background(), f.Manager, test.payload, returns(&runs, 1, nil))
		malformed := (*idempotency.KeyMalformedError)(nil)
		if !errors.As(err, &malformed) || !errors.Is(err, idempotency.ErrKeyMalformed) || errors.Is(err, idempotency.ErrStoreFailed) || runs != 0 || f.store.total() != 0 {
			t.Errorf("%s of %.60s: %v after %d runs and %d store calls; want ErrKeyMalformed and nothing else", test.expression, test.payload, err, runs, f.store.total())
		}
		if malformed != nil && !strings.Contains(err.Error(), test.expression) {
			t.Errorf("the error does not name the expression %s: %v", test.expression, err)
		}
	}
}

func TestTheFingerprintIsTheHashOfTheValidatedPart(t *testing.T) {
	f := setUp(t, idempotency.Config{Key: "sort_by(lines, &n)[0].n", Validation: "lines[*].n"})
	id, fingerprint, err := f.Key(raw(`{"lines": [{"n": 3}, {"n": 1}]}`))
	if err != nil {
		t.Fatal(err)
	}
	plain := setUp(t, idempotency.Config{})
	if want, _, _ := plain.Key(raw(`1`)); id != want {
		t.Errorf("ID %s; want %s", id, want)
	}
	if want, _, _ := plain.Key(raw(`[3, 1]`)); "test#"+fingerprint != want {
		t.Errorf("fingerprint %s; want that of the order in the payload, %s", fingerprint, want)
	}
	if _, _, err := setUp(t, idempotency.Config{Key: "a", Validation: "powertools_json(b)"}).Key(raw(`{"a": 1, "b": "{"}`)); !errors.Is(err, idempotency.ErrKeyMalformed) {
		t.Errorf("what is to be validated is malformed: %v; want ErrKeyMalformed", err)
	}
}

func TestAStructIsAPayloadInItsJSON(t *testing.T) {
	type order struct {
		User    string `json:"user_id"`
		Product string `json:"product_id"`
	}
	f := setUp(t, idempotency.Config{})
	got, _, err := f.Key(order{"xyz", "123456789"})
	if want, _, _ := f.Key(raw(example)); err != nil || got != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}

func FuzzKey(f *testing.F) {
	expressions := []string{
		`powertools_json(body).[user, order]`, `powertools_json(powertools_base64(body))`, `powertools_json(powertools_base64_gzip(body)).a[]`,
		`headers."idempotency-key"`, `[a, b][]`, "items[?n > `1`].{n: n, s: to_string(@)}", `values(@)`,
	}
	f.Add([]byte(`{"body": "{\"user\": 1}", "isBase64Encoded": false}`))
	f.Add([]byte(`{"body": "eyJ1c2VyIjogMX0=", "isBase64Encoded": true}`))
	f.Add([]byte(fmt.Sprintf(`{"body": %q}`, packed(`{"a": [1]}`))))
	f.Add([]byte(`{"items": [{"n": 2}, {"n": 1.0}], "a": [null]}`))
	managers := make([]*fixture, len(expressions))
	for i, e := range expressions {
		managers[i] = setUp(f, idempotency.Config{Key: e, Validation: `@`})
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		for i, m := range managers {
			id, fingerprint, err := m.Key(json.RawMessage(payload))
			if err != nil {
				if !errors.Is(err, idempotency.ErrKeyMissing) && !errors.Is(err, idempotency.ErrKeyMalformed) {
					t.Fatalf("%s of %q: %v", expressions[i], payload, err)
				}
				continue
			}
			for range 3 {
				if again, f2, err := m.Key(json.RawMessage(payload)); again != id || f2 != fingerprint || err != nil {
					t.Fatalf("%s of %q: %s, then %s, %v", expressions[i], payload, id, again, err)
				}
			}
		}
	})
}
