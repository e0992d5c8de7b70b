package stack_test

import (
	"net/http"
	"slices"
	"testing"
)

func TestAPOSTIsRepeatedOnlyOnProofThatNothingWasDone(t *testing.T) {
	const key = `"8e03978e-40d5-43dd-bc93-6894a57f9324"`
	created := status(http.StatusCreated)
	cases := []struct {
		name    string
		first   http.HandlerFunc
		fields  []string
		sent    int
		status  int
		problem string
	}{
		{"not after a 500", status(500), nil, 1, 500, ""},
		{"not after a 503 that does not say when to come again", status(503), nil, 1, 503, ""},
		{"not after a read timeout", hang, []string{"Prefer", "wait=2"}, 1, 504, "outcome-unknown"},
		{"after a 429", status(429), nil, 2, 201, ""},
		{"after a 503 with Retry-After", status(503, "Retry-After", "1"), nil, 2, 201, ""},
		{"after a 500 with an Idempotency-Key", status(500), []string{"Idempotency-Key", key}, 2, 201, ""},
		{"after a read timeout with an Idempotency-Key", hang, []string{"Idempotency-Key", key}, 2, 201, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			u := play(t, c.first, created)
			s := start(t, u.URL, policy(`{"attemptTimeout":"1s"}`))
			a := send(t, s, http.MethodPost, "/orders", `{"item":"tea"}`, c.fields...)
			if c.problem != "" {
				a.problem(t, c.status, c.problem)
			} else if a.Status != c.status {
				t.Errorf("the answer is %d %s, want %d", a.Status, a.Body, c.status)
			}
			requests := u.received()
			if len(requests) != c.sent {
				t.Errorf("it was sent %d times, want %d", len(requests), c.sent)
			}
			for _, r := range requests {
				if r.Method != http.MethodPost || r.Body != `{"item":"tea"}` {
					t.Errorf("the upstream was sent %s %q, want the request as it was", r.Method, r.Body)
				}
				if got := r.Header.Get("Idempotency-Key"); slices.Contains(c.fields, key) != (got == key) {
					t.Errorf("an attempt went out with Idempotency-Key %q", got)
				}
			}
		})
	}
}

func TestIdempotentMethodsAreRepeatedAfterAnyFailure(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			u := play(t, status(500), status(204))
			s := start(t, u.URL)
			if a := send(t, s, method, "/", ""); a.Status != 204 {
				t.Errorf("the answer is %d %s, want 204", a.Status, a.Body)
			}
			if n := len(u.received()); n != 2 {
				t.Errorf("%s was sent %d times, want 2", method, n)
			}
		})
	}
}

func TestAPATCHIsNoSaferThanAPOST(t *testing.T) {
	t.Parallel()
	u := play(t, status(500))
	s := start(t, u.URL)
	send(t, s, http.MethodPatch, "/orders/1", "{}").expect(t, 500, "Internal Server Error", "proxy-1; received-status=500")
}
