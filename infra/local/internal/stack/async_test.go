package stack_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// asyncRing is the stack whose requests can be asynchronous.
var asyncRing = synthesised("async", map[string]any{"async": "true"})

// A job is what the status document of an asynchronous request says.
type job struct {
	Status, WaitingUntil, Created, Deadline string
	Attempts                                []struct {
		Proxy  string
		Status int
		Why    string
	}
	Sent  *bool
	Links map[string]string
}

func (a answer) job(t testing.TB) job {
	t.Helper()
	var j job
	if err := json.Unmarshal([]byte(a.Body), &j); err != nil {
		t.Fatalf("the answer %d %q is no status document: %v", a.Status, a.Body, err)
	}
	return j
}

// problem is the name of the problem that an answer is.
func (a answer) problemName() string {
	var p struct{ Type string }
	_ = json.Unmarshal([]byte(a.Body), &p)
	return p.Type[strings.LastIndex(p.Type, "#")+1:]
}

// accepted sends an asynchronous request, and returns where it can be looked at.
func accepted(t testing.TB, s *stack.Stack, method, target, body string, fields ...string) (location string, a answer) {
	t.Helper()
	a = send(t, s, method, target, body, append(fields, "Prefer", "respond-async")...)
	location = a.Header.Get("Location")
	if a.Status != http.StatusAccepted || !regexp.MustCompile(`^/-/executions/[0-9a-f]{32}$`).MatchString(location) {
		t.Fatalf("the answer is %d with Location %q and body %q, want 202", a.Status, location, a.Body)
	}
	return location, a
}

// endOf waits for the end of an asynchronous request, in the way that the document says.
func endOf(t testing.TB, s *stack.Stack, location string) job {
	t.Helper()
	for range 20 {
		if j := get(t, s, location, "Prefer", "wait=10").job(t); j.Status != "running" && j.Status != "waiting" {
			return j
		}
	}
	t.Fatal("it does not end")
	return job{}
}

func TestAnAsynchronousRequestIsAcceptedCarriedOutAndItsAnswerFetched(t *testing.T) {
	t.Parallel()
	u := play(t, status(429, "Retry-After", "1200"), status(429, "Retry-After", "20"), respond(201, `{"id":7}`, "Content-Type", "application/json", "Set-Cookie", "a=1", "X-Upstream", "yes"))
	s := start(t, u.URL, from(asyncRing), func(_ testing.TB, c *config) { c.Speed = 2000 })
	location, a := accepted(t, s, http.MethodPost, "/orders?x=1", "tea", "X-Own", "1")
	if a.Header.Get("Preference-Applied") != "respond-async" || a.Header.Get("Retry-After") == "" || a.Header.Get("Content-Type") != "application/json" {
		t.Errorf("the answer 202 has the fields %v", a.Header)
	}
	j := a.job(t)
	if j.Status != "running" && j.Status != "waiting" || j.Links["self"] != location || j.Links["response"] != location+"/response" || a.Header.Get("X-Amzn-Requestid") == location[len("/-/executions/"):] {
		t.Errorf("the status document is %s", a.Body)
	}
	deadline, err := time.Parse(time.RFC3339, j.Deadline)
	if left := time.Until(deadline); err != nil || left < 23*time.Hour || left > 24*time.Hour+time.Minute {
		t.Errorf("the deadline is %s, want the default of 24 hours from now", j.Deadline)
	}
	if early := get(t, s, location+"/response"); early.Status != http.StatusConflict || early.problemName() != "execution-running" || early.Header.Get("Retry-After") == "" {
		t.Errorf("before its end, the response is %d %s", early.Status, early.Body)
	}
	if j = endOf(t, s, location); j.Status != "succeeded" || len(j.Attempts) != 3 || j.Attempts[0].Status != 429 || !strings.Contains(j.Attempts[1].Why, "Retry-After asks for") {
		t.Errorf("at its end, the status is %+v", j)
	}
	for range 2 {
		r := get(t, s, location+"/response")
		r.expect(t, 201, `{"id":7}`, "proxy-1; received-status=429, proxy-2; received-status=429, proxy-3; received-status=201")
		if r.Header.Get("X-Upstream") != "yes" || r.Header.Get("Set-Cookie") != "a=1" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("the response has the fields %v", r.Header)
		}
	}
	if got := u.received(); len(got) != 3 || got[2].Body != "tea" || got[2].Target != "/orders?x=1" || got[2].Header.Get("X-Own") != "1" || got[2].Header.Get("Prefer") != "" {
		t.Errorf("the upstream got %+v", got)
	}
}

func TestWhoeverWaitsBesideRespondAsyncIsAnsweredAtOnceIfTheAnswerComes(t *testing.T) {
	t.Parallel()
	s := start(t, play(t, respond(200, "tea")).URL, from(asyncRing))
	a := get(t, s, "/tea", "Prefer", "respond-async, wait=20, deadline=60")
	a.expect(t, 200, "tea", "proxy-1; received-status=200")
	if applied := a.Header.Get("Preference-Applied"); applied != "respond-async, deadline=60, wait=20" {
		t.Errorf("Preference-Applied is %q", applied)
	}
}

func TestWithoutThePropThePreferenceAndThePathsAreTheUpstreams(t *testing.T) {
	t.Parallel()
	u := play(t, respond(200, "tea"), respond(418, "mine"))
	s := start(t, u.URL)
	get(t, s, "/tea", "Prefer", "respond-async").expect(t, 200, "tea", "proxy-1; received-status=200")
	get(t, s, "/-/executions/0123456789abcdef0123456789abcdef").expect(t, 418, "mine", "proxy-1; received-status=418")
	if got := u.received()[0].Header.Get("Prefer"); got != "respond-async" {
		t.Errorf("the upstream got Prefer %q", got)
	}
}

func TestDuplicatesJoinTheExecutionSynchronousOrNot(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	u := play(t, func(w http.ResponseWriter, r *http.Request) {
		<-release
		respond(201, "made")(w, r)
	})
	s := start(t, u.URL, from(asyncRing))
	key := []string{"Idempotency-Key", "order-1"}
	location, _ := accepted(t, s, http.MethodPost, "/orders", "tea", key...)
	if again, _ := accepted(t, s, http.MethodPost, "/orders", "tea", key...); again != location {
		t.Errorf("a duplicate is led to %s, want %s", again, location)
	}
	if other := send(t, s, http.MethodPost, "/orders", "coffee", append(key, "Prefer", "respond-async")...); other.Status != http.StatusUnprocessableEntity {
		t.Errorf("another request with the key is answered with %d %s", other.Status, other.Body)
	}
	waiting := make(chan answer)
	go func() { waiting <- send(t, s, http.MethodPost, "/orders", "tea", append(key, "Prefer", "wait=30")...) }()
	close(release)
	if a := <-waiting; a.Status != 201 || a.Body != "made" || !a.replayed() {
		t.Errorf("the synchronous duplicate is answered with %d %q", a.Status, a.Body)
	}
	if j := endOf(t, s, location); j.Status != "succeeded" {
		t.Errorf("the status is %s", j.Status)
	}
	for _, fields := range [][]string{{"Prefer", "respond-async"}, nil} {
		if a := send(t, s, http.MethodPost, "/orders", "tea", append(fields, key...)...); a.Status != 201 || a.Body != "made" || !a.replayed() {
			t.Errorf("a later duplicate with %v is answered with %d %q", fields, a.Status, a.Body)
		}
	}
	if n := len(u.received()); n != 1 {
		t.Errorf("the upstream was called %d times, want once", n)
	}
}

func TestAnExecutionThatWaitsIsStoppedAndItsKeyIsFree(t *testing.T) {
	t.Parallel()
	u := play(t, status(503, "Retry-After", "36000"), respond(200, "now"))
	s := start(t, u.URL, from(asyncRing))
	location, _ := accepted(t, s, http.MethodPost, "/orders", "tea", "Idempotency-Key", "order-1")
	for range 100 {
		if j := get(t, s, location).job(t); j.Status == "waiting" {
			until, err := time.Parse(time.RFC3339, j.WaitingUntil)
			if err != nil || time.Until(until) < 9*time.Hour {
				t.Errorf("it waits until %s, want ten hours from now", j.WaitingUntil)
			}
			break
		}
		time.Sleep(20 * time.Millisecond) // between looks
	}
	a := send(t, s, http.MethodDelete, location, "")
	if j := a.job(t); a.Status != 200 || j.Status != "stopped" || j.Sent == nil || !*j.Sent {
		t.Errorf("DELETE is answered with %d %s", a.Status, a.Body)
	}
	for method, path := range map[string]string{http.MethodGet: location + "/response", http.MethodDelete: location} {
		if gone := send(t, s, method, path, ""); gone.Status != http.StatusGone || gone.problemName() != "execution-stopped" {
			t.Errorf("%s %s is answered with %d %s", method, path, gone.Status, gone.Body)
		}
	}
	send(t, s, http.MethodPost, "/orders", "tea", "Idempotency-Key", "order-1").expect(t, 200, "now", "proxy-1; received-status=200")
	for _, e := range standard(t, s) {
		if e.Status != "ABORTED" {
			t.Errorf("the execution is %s, want ABORTED", e.Status)
		}
	}
}

// standard lists the executions of asynchronous requests.
func standard(t testing.TB, s *stack.Stack) []stepfunctions.Execution {
	t.Helper()
	all, err := s.StepFunctions.Executions("", "")
	if err != nil {
		t.Fatal(err)
	}
	var found []stepfunctions.Execution
	for _, e := range all {
		if e.Type == stepfunctions.Standard {
			found = append(found, e)
		}
	}
	return found
}

func TestWhatAnAttemptBringsThatIsUnderWayWhenTheExecutionIsStoppedIsRecorded(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}), make(chan struct{})
	u := play(t, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
		respond(201, "made")(w, r)
	})
	s := start(t, u.URL, from(asyncRing))
	location, _ := accepted(t, s, http.MethodPost, "/orders", "tea", "Idempotency-Key", "order-1")
	<-arrived
	if j := send(t, s, http.MethodDelete, location, "").job(t); j.Status != "stopped" || j.Sent == nil || !*j.Sent {
		t.Errorf("the status is %+v", j)
	}
	close(release)
	a := send(t, s, http.MethodPost, "/orders", "tea", "Idempotency-Key", "order-1")
	if a.Status != 201 || !a.replayed() || len(u.received()) != 1 {
		t.Errorf("the next request with the key is answered with %d %s after %d calls, want what was made", a.Status, a.Body, len(u.received()))
	}
}

func TestNobodyFindsWhatIsNotThere(t *testing.T) {
	t.Parallel()
	s := start(t, "http://127.0.0.1:1", from(asyncRing))
	for _, path := range []string{"/-/executions/0123456789abcdef0123456789abcdef", "/-/executions/0123456789abcdef0123456789abcdef/response", "/-/executions/", "/-/executions/x", "/-/executions/../x"} {
		if a := get(t, s, path); a.Status != http.StatusNotFound || a.problemName() != "execution-not-found" {
			t.Errorf("%s is answered with %d %s", path, a.Status, a.Body)
		}
	}
	if a := send(t, s, http.MethodPost, "/-/executions/0123456789abcdef0123456789abcdef", ""); a.Status != http.StatusMethodNotAllowed || a.Header.Get("Allow") != "GET, HEAD, DELETE" {
		t.Errorf("POST is answered with %d and Allow %q", a.Status, a.Header.Get("Allow"))
	}
}

func TestALostProxyOfAnAsynchronousRequestIsJudgedByWhetherItHadBegun(t *testing.T) {
	t.Parallel()
	u := play(t, respond(201, "made"))
	s := start(t, u.URL, from(asyncRing), crashing("proxy-1"), withoutBackoff)
	location, _ := accepted(t, s, http.MethodPost, "/orders", "tea") // without a key, and the crasher never begins an attempt
	if j := endOf(t, s, location); j.Status != "succeeded" || len(j.Attempts) != 2 {
		t.Errorf("the status is %+v", j)
	}
	get(t, s, location+"/response").expect(t, 201, "made", `proxy-1; error=proxy_internal_error; details="Runtime.ExitError", proxy-2; received-status=201`)
}

func TestAnAsynchronousRequestWhoseProxiesAreAllLostHasFailed(t *testing.T) {
	t.Parallel()
	s := start(t, "http://127.0.0.1:1", from(asyncRing), crashing("proxy-1", "proxy-2", "proxy-3"), withoutBackoff)
	location, _ := accepted(t, s, http.MethodPost, "/orders", "tea", "Idempotency-Key", "order-1")
	if j := endOf(t, s, location); j.Status != "failed" {
		t.Errorf("the status is %+v", j)
	}
	if a := get(t, s, location+"/response"); a.Status != http.StatusBadGateway || a.problemName() != "no-answer" {
		t.Errorf("the response is %d %s", a.Status, a.Body)
	}
}

func TestALastErrorOfAnAsynchronousRequestComesBackWhole(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("<p>broken", 3000)
	u := play(t, respond(500, body), respond(500, body), respond(500, body, "X-Part", "3"))
	s := start(t, u.URL, from(asyncRing))
	location, _ := accepted(t, s, http.MethodGet, "/report", "")
	if j := endOf(t, s, location); j.Status != "failed" {
		t.Errorf("the status is %s, want failed", j.Status)
	}
	a := get(t, s, location+"/response")
	if a.Status != 500 || a.Body != body || a.Header.Get("X-Part") != "3" || a.Header.Get("X-Should-Retry") != "false" {
		t.Errorf("the response is %d with %d bytes and %v", a.Status, len(a.Body), a.Header)
	}
}

func TestNothingOfWhatIsAskedAndAnsweredIsInTheHistoryOfAnAsynchronousRequest(t *testing.T) {
	t.Parallel()
	fields := []string{"Set-Cookie", "session=CANARY-SETCOOKIE", "X-Upstream", "CANARY-HEADER"}
	for name, answers := range map[string][]http.HandlerFunc{
		"success": {respond(503, "CANARY-ANSWER", fields...), respond(200, "CANARY-ANSWER", fields...)},
		"failure": {respond(500, "CANARY-ANSWER", fields...), respond(429, "CANARY-ANSWER", fields...), respond(500, "CANARY-ANSWER", fields...), respond(500, "CANARY-ANSWER", fields...)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var logs strings.Builder
			done := make(chan struct{})
			lines := make(chan string, 1000)
			go func() {
				defer close(done)
				for line := range lines {
					logs.WriteString(line + "\n")
				}
			}()
			s := start(t, play(t, answers...).URL, from(asyncRing), logged(func(e lambda.LogEvent) { lines <- e.Message }))
			location, _ := accepted(t, s, http.MethodPost, "/orders?token=CANARY-QUERY", "CANARY-BODY", "Authorization", "Bearer CANARY-AUTH", "Idempotency-Key", "CANARY-KEY", "X-Own", "CANARY-FIELD")
			endOf(t, s, location)
			executions := standard(t, s)
			if len(executions) != 1 {
				t.Fatalf("there are %d executions", len(executions))
			}
			kept := map[string]string{
				"the execution": executions[0].Name + executions[0].Input + executions[0].Output,
				"the history":   ask(t, s, "AWSStepFunctions.GetExecutionHistory", `{"executionArn":"`+executions[0].ARN+`","includeExecutionData":true}`),
			}
			s.Close()
			close(lines)
			<-done
			kept["the logs"] = logs.String()
			for place, text := range kept {
				for _, canary := range append(append([]string{location[len("/-/executions/"):]}, askedCanaries...), answeredCanaries...) {
					if strings.Contains(text, canary) {
						t.Errorf("%s holds %s", place, canary)
					}
				}
			}
			if !strings.Contains(kept["the history"], "Proxy-2") || !strings.Contains(kept["the logs"], `"attempt"`) {
				t.Error("there is no history, or no log")
			}
		})
	}
}
