package stack_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

func TestAKeyInQuotesAndBareIsOneKeyAndGoesUpstreamAsItWasSent(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusServiceUnavailable), status(http.StatusCreated))
	s := start(t, u.URL)
	const sent = `"order 1 \"1\""`
	for i, key := range []string{sent, `order 1 "1"`, sent + ";version=2"} {
		if a := send(t, s, http.MethodPost, "/orders", "{}", "Idempotency-Key", key); a.Status != http.StatusCreated || a.replayed() != (i > 0) {
			t.Errorf("with the key %s the answer is %d %s %v", key, a.Status, a.Body, a.Header)
		}
	}
	for i, r := range u.received() {
		if got := r.Header.Get("Idempotency-Key"); got != sent {
			t.Errorf("attempt %d went out with Idempotency-Key %s, want %s", i+1, got, sent)
		}
	}
}

func TestAKeyIsRefusedIfItIsLongerThan255Characters(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusCreated), status(http.StatusCreated))
	s := start(t, u.URL)
	longest := strings.Repeat("k", 255)
	for _, key := range []string{longest, strings.Repeat("ü", 255)} {
		if a := send(t, s, http.MethodPost, "/orders", "", "Idempotency-Key", key); a.Status != http.StatusCreated {
			t.Errorf("a key of 255 characters is answered with %d %s", a.Status, a.Body)
		}
	}
	for _, key := range []string{longest + "k", `"` + longest + `k"`, "", " ", `""`, `"open`, `"a" "b"`} {
		p := send(t, s, http.MethodPost, "/orders", "", "Idempotency-Key", key).problem(t, http.StatusBadRequest, "idempotency-key-malformed")
		if strings.Contains(p.Detail, longest) {
			t.Errorf("the detail repeats the key: %s", p.Detail)
		}
	}
	if n := len(records(t, s)); n != 2 {
		t.Errorf("there are %d records, want those of the two keys that are well-formed", n)
	}
}

func TestAKeyCanBeRequiredOfEveryRequest(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusOK))
	s := start(t, u.URL, environment("gateway", "IDEMPOTENCY_KEY_REQUIRED", "always"))
	get(t, s, "/orders").problem(t, http.StatusBadRequest, "idempotency-key-missing")
	for range 2 {
		if a := get(t, s, "/orders", "Idempotency-Key", "k"); a.Status != http.StatusOK {
			t.Errorf("with a key the answer is %d %s", a.Status, a.Body)
		}
	}
}

func TestAKeyIsForOneQueryAndOneBodyAndForAnyHeaderFields(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusCreated))
	s := start(t, u.URL)
	with := func(target, body string, fields ...string) answer {
		return send(t, s, http.MethodPost, target, body, append(fields, "Idempotency-Key", "k")...)
	}
	with("/orders?a=1&b=2", "\x00tea")
	for _, c := range []struct{ target, body string }{
		{"/orders?b=2&a=1", "\x00tea"}, {"/orders?a=1", "\x00tea"}, {"/orders", "\x00tea"}, {"/orders?a=1&b=2", "\x00te"}, {"/orders?a=1&b=2", ""},
	} {
		with(c.target, c.body).problem(t, http.StatusUnprocessableEntity, "idempotency-key-reused")
	}
	if a := with("/orders?a=1&b=2", "\x00tea", "Accept", "text/plain", "X-Retry", "1"); a.Status != http.StatusCreated || !a.replayed() {
		t.Errorf("with other header fields the answer is %d %s %v, want the recorded one", a.Status, a.Body, a.Header)
	}
}

func TestAnotherRequestWithAKeyThatIsInUseIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	upstream, called, release := held(status(http.StatusCreated))
	s := start(t, serve(t, upstream))
	first := make(chan answer)
	go func() { first <- order(t, s, `{"item":"tea"}`) }()
	<-called
	// The first one does not end before the other is answered.
	order(t, s, `{"item":"coffee"}`).problem(t, http.StatusUnprocessableEntity, "idempotency-key-reused")
	close(release)
	if a := <-first; a.Status != http.StatusCreated || a.replayed() {
		t.Errorf("the first request is answered with %d %s", a.Status, a.Body)
	}
}

func TestARequestThatIsRefusedDoesNotUseUpItsKey(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusCreated))
	s := start(t, u.URL)
	order(t, s, string(make([]byte, 300*KiB))).problem(t, http.StatusRequestEntityTooLarge, "request-too-large")
	if all := records(t, s); len(all) != 0 {
		t.Errorf("there are the records %v, want none", all)
	}
	if a := order(t, s, "{}"); a.Status != http.StatusCreated || a.replayed() {
		t.Errorf("the next request with the key is answered with %d %s", a.Status, a.Body)
	}
}

// orderBy invokes the gateway as the function URL does for a request that an IAM principal has signed. The local URL takes
// unsigned requests only.
func orderBy(t testing.TB, s *stack.Stack, account, principal string) (answer struct {
	StatusCode int
	Headers    map[string]string
	Body       string
}) {
	t.Helper()
	type object = map[string]any
	request := object{"http": object{"method": "POST", "path": "/orders", "protocol": "HTTP/1.1"}}
	if principal != "" {
		request["authorizer"] = object{"iam": object{"accountId": account, "userId": principal, "callerId": principal}}
	}
	event, err := json.Marshal(object{
		"version": "2.0", "rawPath": "/orders", "headers": object{"idempotency-key": "k"}, "body": "{}", "requestContext": request,
	})
	if err != nil {
		t.Fatal(err)
	}
	result, err := s.Lambda.Invoke(context.Background(), s.Template.URLs[0].FunctionName, event)
	if err != nil || result.FunctionError != "" {
		t.Fatalf("the gateway ended with %s %s, %v", result.FunctionError, result.Payload, err)
	}
	if err := json.Unmarshal(result.Payload, &answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestNobodyIsHandedAnAnswerThatWasRecordedForAnotherCaller(t *testing.T) {
	t.Parallel()
	u := play(t, respond(201, "1"), respond(201, "2"), respond(201, "3"), respond(201, "4"))
	s := start(t, u.URL)
	for _, c := range []struct{ account, principal, body, replayed string }{
		{"111111111111", "AROAALICE:monday", "1", ""},
		{"111111111111", "AROABOB:monday", "2", ""},
		{"222222222222", "AROAALICE:monday", "3", ""},
		{"", "", "4", ""},
		{"111111111111", "AROAALICE:tuesday", "1", "true"}, // another session of the same role
		{"111111111111", "AROABOB:monday", "2", "true"},
		{"", "", "4", "true"},
	} {
		if a := orderBy(t, s, c.account, c.principal); a.StatusCode != 201 || a.Body != c.body || a.Headers["idempotent-replayed"] != c.replayed {
			t.Errorf("%s %s got %d %s, replayed %q; want %s, replayed %q",
				c.account, c.principal, a.StatusCode, a.Body, a.Headers["idempotent-replayed"], c.body, c.replayed)
		}
	}
}

func TestManyKeysAtOnceGetEachItsOwnAnswer(t *testing.T) {
	t.Parallel()
	const keys, duplicates = 20, 3
	var calls [keys]atomic.Int32
	s := start(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		key, _ := strconv.Atoi(r.Header.Get("Idempotency-Key"))
		// Every other one fails first, so that some wait while others are answered.
		if n := calls[key].Add(1); n == 1 && key%2 == 1 {
			status(http.StatusServiceUnavailable)(w, r)
		} else {
			respond(http.StatusCreated, fmt.Sprintf("call %d of key %d", n, key))(w, r)
		}
	}))
	var wg sync.WaitGroup
	for key := range keys {
		want := fmt.Sprintf("call %d of key %d", 1+key%2, key)
		for range duplicates {
			wg.Go(func() {
				if a := send(t, s, http.MethodPost, "/orders", "{}", "Idempotency-Key", strconv.Itoa(key)); a.Status != http.StatusCreated || a.Body != want {
					t.Errorf("key %d is answered with %d %q, want %q", key, a.Status, a.Body, want)
				}
			})
		}
	}
	wg.Wait()
	for key := range keys {
		if n := int(calls[key].Load()); n != 1+key%2 {
			t.Errorf("the upstream was called %d times with key %d, want %d", n, key, 1+key%2)
		}
	}
}

func TestWithIdempotencySwitchedOffEveryRequestGoesUpstream(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusCreated), status(http.StatusAccepted))
	s := start(t, u.URL, environment("gateway", "POWERTOOLS_IDEMPOTENCY_DISABLED", "true"))
	for _, want := range []int{http.StatusCreated, http.StatusAccepted} {
		a := order(t, s, "{}")
		if a.Status != want || a.replayed() {
			t.Errorf("the answer is %d %s %v, want %d", a.Status, a.Body, a.Header, want)
		}
		if a.Header.Get("ETag") != "" || a.Header.Get("Cache-Control") != "" {
			t.Errorf("the answer has the header %v, although it is not recorded", a.Header)
		}
	}
	if all := records(t, s); len(all) != 0 {
		t.Errorf("there are the records %v, want none", all)
	}
}
