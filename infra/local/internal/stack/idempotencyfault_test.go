package stack_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// A tap stands between the gateway and DynamoDB. It hands requests on to next, or does something else with them.
type tap func(w http.ResponseWriter, r *http.Request, operation string, next http.Handler)

// tapped starts a stack whose gateway reaches DynamoDB through a tap. The state machine reaches it as ever.
func tapped(t testing.TB, upstream string, through tap, settings ...setting) *stack.Stack {
	t.Helper()
	var s *stack.Stack
	started := make(chan struct{})
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		<-started
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		through(w, r, operation, s.DynamoDB)
	})
	s = start(t, upstream, append(settings, environment("gateway", "AWS_ENDPOINT_URL_DYNAMODB", url))...)
	close(started)
	return s
}

// refuse answers as DynamoDB does when it refuses a request.
func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"__type":"com.amazonaws.dynamodb.v20120810#%s","message":"refused by the test"}`, code)
}

// carryOut hands a request on and keeps the answer back.
func carryOut(r *http.Request, next http.Handler) { next.ServeHTTP(httptest.NewRecorder(), r) }

// wantNoRecord checks that the table is empty.
func (d table) wantNoRecord() {
	d.t.Helper()
	if all := d.items(); len(all) != 0 {
		d.t.Errorf("there are the records %v, want none", all)
	}
}

func TestADynamoDBThatFailsIsA503AndTheUpstreamIsNotCalled(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		tap  tap
	}{
		{"with a fault", func(w http.ResponseWriter, _ *http.Request, _ string, _ http.Handler) {
			refuse(w, http.StatusInternalServerError, "InternalServerError")
		}},
		{"for want of rights", func(w http.ResponseWriter, _ *http.Request, _ string, _ http.Handler) {
			refuse(w, http.StatusBadRequest, "AccessDeniedException")
		}},
		{"by hanging up", func(http.ResponseWriter, *http.Request, string, http.Handler) { panic(http.ErrAbortHandler) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var failing atomic.Bool
			failing.Store(true)
			u := play(t, status(http.StatusCreated))
			s := tapped(t, u.URL, func(w http.ResponseWriter, r *http.Request, operation string, next http.Handler) {
				if failing.Load() {
					c.tap(w, r, operation, next)
				} else {
					next.ServeHTTP(w, r)
				}
			})
			a := order(t, s, "{}")
			a.problem(t, http.StatusServiceUnavailable, "idempotency-store-unavailable")
			if a.Header.Get("Retry-After") == "" {
				t.Errorf("the 503 has the header %v, want Retry-After", a.Header)
			}
			if n := len(u.received()); n != 0 {
				t.Errorf("the upstream was called %d times", n)
			}
			failing.Store(false)
			if a := order(t, s, "{}"); a.Status != http.StatusCreated || a.replayed() {
				t.Errorf("when it works again the answer is %d %s", a.Status, a.Body)
			}
		})
	}
}

// It looks at the gate, but whatever comes of that, the request goes on.
func TestARequestWithoutAKeyNeedsNoDynamoDB(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusCreated))
	s := tapped(t, u.URL, func(w http.ResponseWriter, r *http.Request, operation string, _ http.Handler) {
		if asked, err := io.ReadAll(r.Body); err != nil || operation != "GetItem" || !bytes.Contains(asked, []byte(`"gate#`)) {
			t.Errorf("it was asked for %s with %s, %v", operation, asked, err)
		}
		refuse(w, http.StatusInternalServerError, "InternalServerError")
	})
	if a := send(t, s, http.MethodPost, "/orders", "{}"); a.Status != http.StatusCreated {
		t.Errorf("the answer is %d %s", a.Status, a.Body)
	}
}

func TestARecordThatMayHaveBeenWrittenWhenDynamoDBFailedIsRemoved(t *testing.T) {
	t.Parallel()
	var puts atomic.Int32
	u := play(t) // nothing may arrive
	s := tapped(t, u.URL, func(w http.ResponseWriter, r *http.Request, operation string, next http.Handler) {
		if operation == "PutItem" {
			puts.Add(1)
			carryOut(r, next)
			refuse(w, http.StatusInternalServerError, "InternalServerError")
			return
		}
		next.ServeHTTP(w, r)
	})
	order(t, s, "{}").problem(t, http.StatusServiceUnavailable, "idempotency-store-unavailable")
	if puts.Load() == 0 {
		t.Error("no record was written")
	}
	tableOf(t, s).wantNoRecord()
}

func TestAnAnswerOfDynamoDBThatIsLostDoesNotMakeARequestItsOwnDuplicate(t *testing.T) {
	t.Parallel()
	var puts atomic.Int32
	u := play(t, status(http.StatusCreated))
	s := tapped(t, u.URL, func(w http.ResponseWriter, r *http.Request, operation string, next http.Handler) {
		if operation == "PutItem" && puts.Add(1) == 1 {
			carryOut(r, next)
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(w, r)
	})
	if a := order(t, s, "{}", "Prefer", "wait=10"); a.Status != http.StatusCreated || a.replayed() {
		t.Errorf("the answer is %d %s %v, want the upstream's", a.Status, a.Body, a.Header)
	}
	if n := puts.Load(); n != 2 {
		t.Errorf("the record was written %d times, want 2: the SDK repeats what was not answered", n)
	}
	if a := order(t, s, "{}"); !a.replayed() {
		t.Errorf("the second request is answered with %d %s", a.Status, a.Body)
	}
}

func TestADuplicateThatCannotLookAtTheRecordIsA503AndTheFirstGoesOn(t *testing.T) {
	t.Parallel()
	upstream, called, release := held(status(http.StatusCreated))
	url := serve(t, upstream)
	s := tapped(t, url, func(w http.ResponseWriter, r *http.Request, operation string, next http.Handler) {
		if operation == "GetItem" {
			refuse(w, http.StatusBadRequest, "AccessDeniedException")
			return
		}
		next.ServeHTTP(w, r)
	})
	first := make(chan answer)
	go func() { first <- order(t, s, "{}") }()
	<-called
	order(t, s, "{}").problem(t, http.StatusServiceUnavailable, "idempotency-store-unavailable")
	close(release)
	if a := <-first; a.Status != http.StatusCreated {
		t.Errorf("the first request is answered with %d %s", a.Status, a.Body)
	}
	if r := tableOf(t, s).record(); r.Status != idempotency.Completed {
		t.Errorf("the record is %+v, want a completed one", r)
	}
}

func TestAStateMachineThatIsNotThereIsA503AndLeavesNoRecord(t *testing.T) {
	t.Parallel()
	u := play(t) // nothing may arrive
	s := start(t, u.URL, environment("gateway", "STATE_MACHINE_ARN", "arn:aws:states:us-east-1:123456789012:stateMachine:gone"))
	a := order(t, s, "{}")
	if p := a.problem(t, http.StatusServiceUnavailable, "engine-unavailable"); !strings.Contains(p.Detail, "StateMachineDoesNotExist") {
		t.Errorf("the detail is %q, want the reason named", p.Detail)
	}
	if a.Header.Get("Retry-After") == "" {
		t.Errorf("the 503 has the header %v, want Retry-After", a.Header)
	}
	tableOf(t, s).wantNoRecord()
}

// A run that ends after its lease finds that its key is another's: it hands its own answer to its own caller, and leaves
// the record alone.
func TestARunThatOutlivesItsLeaseDoesNotTouchTheRecordOfTheNext(t *testing.T) {
	t.Parallel()
	for _, late := range []int{http.StatusAccepted, http.StatusInternalServerError} {
		for _, c := range []struct {
			name          string
			nextStillRuns bool
		}{{"after the next has ended", false}, {"while the next still runs", true}} {
			t.Run(fmt.Sprint(late, " ", c.name), func(t *testing.T) {
				t.Parallel()
				var calls atomic.Int32
				called := []chan struct{}{make(chan struct{}), make(chan struct{})}
				release := []chan struct{}{make(chan struct{}), make(chan struct{})}
				s := start(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
					n := calls.Add(1) - 1
					close(called[n])
					<-release[n]
					respond([]int{late, http.StatusCreated}[n], fmt.Sprint("answer ", n+1))(w, r)
				}), policy(`{"serverErrors":{"attempts":1}}`))
				answers := []chan answer{make(chan answer, 1), make(chan answer, 1)}
				for n := range answers {
					go func() { answers[n] <- order(t, s, "{}") }()
					<-called[n]
					if n == 0 {
						tableOf(t, s).endLease()
					}
				}
				end := func(n, status int) {
					t.Helper()
					close(release[n])
					if a := <-answers[n]; a.Status != status || a.Body != fmt.Sprint("answer ", n+1) || a.replayed() {
						t.Errorf("request %d is answered with %d %s %v, want its own answer", n+1, a.Status, a.Body, a.Header)
					}
				}
				owner := tableOf(t, s).record().Owner
				if c.nextStillRuns {
					end(0, late)
					if r := tableOf(t, s).record(); r.Status != idempotency.InProgress || r.Owner != owner || r.LeaseEnd.Before(time.Now()) {
						t.Errorf("the record is %+v, want that of the second request, which still runs", r)
					}
					end(1, http.StatusCreated)
				} else {
					end(1, http.StatusCreated)
					end(0, late)
				}
				if a := order(t, s, "{}"); a.Status != http.StatusCreated || a.Body != "answer 2" || !a.replayed() {
					t.Errorf("the third request is answered with %d %s %v, want the second answer replayed", a.Status, a.Body, a.Header)
				}
			})
		}
	}
}

// An execution that the engine itself ends, because it runs too long, completes and releases nothing. What the upstream
// has done is not known, so the key is in use until the lease ends.
func TestAKeyStaysInUseIfTheEngineEndedItsExecution(t *testing.T) {
	t.Parallel()
	short := edited(t, func(template map[string]any) {
		machineTimeout := regexp.MustCompile(`"TimeoutSeconds":\d+([^{}]*})$`)
		for _, machine := range resources(template, "AWS::StepFunctions::StateMachine") {
			parts := machine["DefinitionString"].(map[string]any)["Fn::Join"].([]any)[1].([]any)
			last := parts[len(parts)-1].(string)
			if parts[len(parts)-1] = machineTimeout.ReplaceAllString(last, `"TimeoutSeconds":1$1`); parts[len(parts)-1] == last {
				t.Errorf("the definition ends with %s, want a timeout", last)
			}
		}
	})
	var calls atomic.Int32
	release := make(chan struct{})
	s := start(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		<-release
		status(http.StatusCreated)(w, r)
	}), from(short))
	defer close(release)
	order(t, s, "{}", "Prefer", "wait=20").problem(t, http.StatusGatewayTimeout, "outcome-unknown")
	if e := lastExecution(t, s); e.Status != asl.TimedOut {
		t.Errorf("the execution ended with %s, want %s", e.Status, asl.TimedOut)
	}
	order(t, s, "{}", "Prefer", "wait=1").problem(t, http.StatusConflict, "idempotency-key-in-use")
	if n := calls.Load(); n > 1 {
		t.Errorf("the upstream was called %d times", n)
	}
}
