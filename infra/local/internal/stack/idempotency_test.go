package stack_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// order sends the POST that the tests repeat.
func order(t testing.TB, s *stack.Stack, body string, fields ...string) answer {
	t.Helper()
	return send(t, s, http.MethodPost, "/orders", body, append([]string{"Idempotency-Key", `"order-1"`, "Content-Type", "application/json"}, fields...)...)
}

// replayed says whether an answer is marked as one that was recorded for an earlier request.
func (a answer) replayed() bool { return a.Header.Get("Idempotent-Replayed") == "true" }

// records are the items of the stack's table.
func records(t testing.TB, s *stack.Stack) []map[string]any {
	t.Helper()
	items, err := s.DynamoDB.Items(s.Template.Tables[0].Name)
	if err != nil {
		t.Fatal(err)
	}
	all := make([]map[string]any, len(items))
	for i, item := range items {
		if err := json.Unmarshal(item, &all[i]); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestARepeatedRequestIsAnsweredFromItsRecord(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusServiceUnavailable, "Retry-After", "1"), respond(http.StatusCreated, `{"id":7}`, "Content-Type", "application/json", "X-Order", "7"))
	s := start(t, u.URL)

	first := order(t, s, `{"item":"tea"}`)
	first.expect(t, http.StatusCreated, `{"id":7}`, "proxy-1; received-status=503, proxy-2; received-status=201")
	if first.replayed() {
		t.Error("the first answer is marked as a replay")
	}
	tag := first.Header.Get("ETag")
	if tag == "" || first.Header.Get("Cache-Control") == "" || first.Header.Get("Vary") == "" {
		t.Errorf("the first answer has the header %v, want ETag, Cache-Control and Vary", first.Header)
	}

	again := order(t, s, `{"item":"tea"}`)
	if again.Status != http.StatusCreated || again.Body != `{"id":7}` || again.Header.Get("X-Order") != "7" || again.Header.Get("ETag") != tag {
		t.Errorf("the second answer is %d %s %v, want the first one's", again.Status, again.Body, again.Header)
	}
	if !again.replayed() {
		t.Errorf("the second answer has the header %v, want Idempotent-Replayed", again.Header)
	}

	unchanged := order(t, s, `{"item":"tea"}`, "If-None-Match", tag)
	if unchanged.Status != http.StatusNotModified || unchanged.Body != "" || !unchanged.replayed() {
		t.Errorf("with If-None-Match the answer is %d %q %v, want 304", unchanged.Status, unchanged.Body, unchanged.Header)
	}
	for _, r := range u.received() {
		if r.Header.Get("Idempotency-Key") != `"order-1"` {
			t.Errorf("an attempt went out with Idempotency-Key %q", r.Header.Get("Idempotency-Key"))
		}
	}
}

func TestAFinalErrorIsRecordedToo(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusUnprocessableEntity))
	s := start(t, u.URL)
	order(t, s, "{}")
	if again := order(t, s, "{}"); again.Status != http.StatusUnprocessableEntity || again.Body != "Unprocessable Entity" || !again.replayed() {
		t.Errorf("the second answer is %d %s %v, want the upstream's 422 replayed", again.Status, again.Body, again.Header)
	}
}

func TestAFailedRequestLeavesItsKeyFree(t *testing.T) {
	t.Parallel()
	failing := status(http.StatusInternalServerError)
	u := play(t, failing, failing, failing, status(http.StatusCreated))
	s := start(t, u.URL)
	if first := order(t, s, "{}"); first.Status != http.StatusInternalServerError {
		t.Fatalf("the first answer is %d %s", first.Status, first.Body)
	}
	if again := order(t, s, "{}"); again.Status != http.StatusCreated || again.replayed() {
		t.Errorf("the second answer is %d %s %v, want the upstream's 201", again.Status, again.Body, again.Header)
	}
}

func TestAKeyThatWasUsedForAnotherRequestIsRefused(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusCreated))
	s := start(t, u.URL)
	order(t, s, `{"item":"tea"}`)
	order(t, s, `{"item":"coffee"}`).problem(t, http.StatusUnprocessableEntity, "idempotency-key-reused")
}

func TestKeysOfDifferentMethodsAndPathsAreDifferent(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusOK), status(http.StatusOK), status(http.StatusOK))
	s := start(t, u.URL)
	for _, c := range []struct{ method, path string }{{"POST", "/a"}, {"POST", "/b"}, {"PUT", "/a"}} {
		if a := send(t, s, c.method, c.path, "", "Idempotency-Key", "k"); a.Status != http.StatusOK || a.replayed() {
			t.Errorf("%s %s is answered with %d %s %v", c.method, c.path, a.Status, a.Body, a.Header)
		}
	}
}

func TestAKeyThatIsRequiredOrMalformedIsA400(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusOK))
	s := start(t, u.URL, environment("gateway", "IDEMPOTENCY_KEY_REQUIRED", "unsafe"))
	send(t, s, http.MethodPost, "/orders", "").problem(t, http.StatusBadRequest, "idempotency-key-missing")
	send(t, s, http.MethodPost, "/orders", "", "Idempotency-Key", `""`).problem(t, http.StatusBadRequest, "idempotency-key-malformed")
	if a := get(t, s, "/orders"); a.Status != http.StatusOK {
		t.Errorf("GET without a key is answered with %d %s", a.Status, a.Body)
	}
}

func TestFiftyDuplicatesAtOnceMakeOneCallOfTheUpstream(t *testing.T) {
	t.Parallel()
	const duplicates = 50
	var calls atomic.Int32
	all := make(chan struct{})
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		<-all // nobody is answered before all have come
		respond(http.StatusCreated, fmt.Sprintf(`{"call":%d}`, calls.Load()), "Content-Type", "application/json")(w, r)
	})
	s := start(t, url, gatewayCalls(func(n int32) {
		if n == duplicates {
			close(all)
		}
	}), policy(`{"attemptTimeout":"50s"}`), longLived())
	answers := make([]answer, duplicates)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = order(t, s, `{"item":"tea"}`) })
	}
	wg.Wait()
	if n := calls.Load(); n != 1 {
		t.Errorf("the upstream was called %d times, want once", n)
	}
	fresh := 0
	for _, a := range answers {
		if a.Status != http.StatusCreated || a.Body != `{"call":1}` || a.Header.Get("ETag") != answers[0].Header.Get("ETag") {
			t.Errorf("an answer is %d %s %v", a.Status, a.Body, a.Header)
		}
		if !a.replayed() {
			fresh++
		}
	}
	if fresh != 1 {
		t.Errorf("%d answers are no replays, want one", fresh)
	}
}

// longLived gives the proxies a timeout that the tests do not reach.
func longLived() setting {
	return func(t testing.TB, c *config) {
		from(edited(t, func(template map[string]any) {
			for _, f := range resources(template, "AWS::Lambda::Function") {
				f["Timeout"] = 120
			}
		}))(t, c)
	}
}

func TestADuplicateThatDoesNotWaitLongEnoughIsToldToComeAgain(t *testing.T) {
	t.Parallel()
	upstream, called, release := held(status(http.StatusCreated))
	url := serve(t, upstream)
	s := start(t, url)
	first := make(chan answer)
	go func() { first <- order(t, s, "{}") }()
	<-called

	a := order(t, s, "{}", "Prefer", "wait=1")
	a.problem(t, http.StatusConflict, "idempotency-key-in-use")
	if a.Header.Get("Retry-After") == "" {
		t.Errorf("the 409 has the header %v, want Retry-After", a.Header)
	}
	close(release)
	if a := <-first; a.Status != http.StatusCreated {
		t.Errorf("the first request was answered with %d %s", a.Status, a.Body)
	}
}

func TestARecordThatHasExpiredIsNotReplayed(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusCreated), status(http.StatusAccepted))
	s := start(t, u.URL)
	order(t, s, "{}")
	expire := fmt.Sprintf(`{"TableName":%q,"Key":{"id":{"S":%q}},"UpdateExpression":"SET expiration = :past","ExpressionAttributeValues":{":past":{"N":"%d"}}}`,
		s.Template.Tables[0].Name, records(t, s)[0]["id"], time.Now().Add(-time.Minute).Unix())
	if _, err := s.DynamoDB.UpdateItem(context.Background(), json.RawMessage(expire)); err != nil {
		t.Fatal(err)
	}
	if a := order(t, s, "{}"); a.Status != http.StatusAccepted || a.replayed() {
		t.Errorf("the answer is %d %s %v, want a new one", a.Status, a.Body, a.Header)
	}
}

func TestAnEngineThatIsDownIsA503AndLeavesTheKeyFree(t *testing.T) {
	t.Parallel()
	u := play(t) // nothing may arrive
	s := start(t, u.URL, environment("gateway", "AWS_ENDPOINT_URL_SFN", closedAddress(t)))
	a := order(t, s, "{}")
	a.problem(t, http.StatusServiceUnavailable, "engine-unavailable")
	if a.Header.Get("Retry-After") == "" {
		t.Errorf("the 503 has the header %v, want Retry-After", a.Header)
	}
	// A key that was still held would be a 409 or a wait for the lease.
	order(t, s, "{}", "Prefer", "wait=5").problem(t, http.StatusServiceUnavailable, "engine-unavailable")
}

func TestRecordsThatAreKeptInAFileOutliveTheStack(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusCreated))
	file := filepath.Join(t.TempDir(), "kept", "records.db")
	kept := func(_ testing.TB, c *config) { c.DataFile = file }

	s := start(t, u.URL, kept)
	order(t, s, "{}")
	s.Close()
	s = start(t, u.URL, kept)
	if a := order(t, s, "{}"); a.Status != http.StatusCreated || !a.replayed() {
		t.Errorf("after a restart the answer is %d %s %v, want the recorded one", a.Status, a.Body, a.Header)
	}
}

func TestRecordsThatExpiredDaysAgoAreGoneWhenTheStackStartsAgain(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusCreated))
	file := filepath.Join(t.TempDir(), "records.db")
	kept := func(_ testing.TB, c *config) { c.DataFile = file }
	s := start(t, u.URL, kept)
	for id, expired := range map[string]time.Duration{"long-ago": 72 * time.Hour, "just-now": time.Minute} {
		item := fmt.Sprintf(`{"TableName":%q,"Item":{"id":{"S":%q},"status":{"S":"COMPLETED"},"expiration":{"N":"%d"}}}`,
			s.Template.Tables[0].Name, id, time.Now().Add(-expired).Unix())
		if _, err := s.DynamoDB.Call(t.Context(), "PutItem", json.RawMessage(item)); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	s = start(t, u.URL, kept)
	if left := records(t, s); len(left) != 1 || left[0]["id"] != "just-now" {
		t.Errorf("the records are %v, want the one that has expired just now", left)
	}
}

func TestAnExecutionThatHasLostItsRecordLeavesItAlone(t *testing.T) {
	t.Parallel()
	var s *stack.Stack
	takeOver := func(w http.ResponseWriter, r *http.Request) {
		change := fmt.Sprintf(`{"TableName":%q,"Key":{"id":{"S":%q}},"UpdateExpression":"SET #owner = :other","ExpressionAttributeNames":{"#owner":"owner"},"ExpressionAttributeValues":{":other":{"S":"another"}}}`,
			s.Template.Tables[0].Name, records(t, s)[0]["id"])
		if _, err := s.DynamoDB.UpdateItem(context.Background(), json.RawMessage(change)); err != nil {
			t.Error(err)
		}
		status(http.StatusCreated)(w, r)
	}
	u := play(t, takeOver)
	s = start(t, u.URL)
	if a := order(t, s, "{}"); a.Status != http.StatusCreated || a.replayed() {
		t.Errorf("the answer is %d %s %v, want the upstream's: the caller gets it in any case", a.Status, a.Body, a.Header)
	}
	if record := records(t, s)[0]; record["owner"] != "another" || record["status"] != "INPROGRESS" {
		t.Errorf("the record is %v, want that of the other owner as it was", record)
	}
	history, err := s.StepFunctions.History(lastExecution(t, s).ARN)
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range history {
		if event.TaskFailed != nil && event.TaskFailed.Error != "DynamoDB.ConditionalCheckFailedException" {
			t.Errorf("the write failed with %s, want a condition that failed", event.TaskFailed.Error)
		}
	}
	if !slices.ContainsFunc(history, func(e asl.Event) bool { return e.TaskFailed != nil }) {
		t.Error("the write did not fail")
	}
}
