package asl_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
)

// A difference names what the two interpreters do not agree on, and why ours is right all the same.
type difference struct {
	in  string // Status, Output, Error, Cause, Events or refused
	why string
}

// atOnce is how many executions the judge is given at a time. Many of them wait for a second.
const atOnce = 6

// TestAnIndependentInterpreterComesToTheSameEnd runs definitions in moto's interpreter and in ours and compares status,
// output, error, cause, and the sequence of events with their ids.
func TestAnIndependentInterpreterComesToTheSameEnd(t *testing.T) {
	scripts := make([]*script, len(judged))
	cases := make([]judgedCase, len(judged))
	for i, c := range judged {
		cases[i] = c.tagged(i)
		scripts[i] = newScript(clock.Real, cases[i].answers)
	}
	judge := startMoto(t, awsEndpoints(scripts))
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()

	theirs := make([]verdict, len(cases))
	failures := make([]error, len(cases))
	var wait sync.WaitGroup
	free := make(chan struct{}, atOnce)
	for i, c := range cases {
		free <- struct{}{}
		wait.Go(func() {
			theirs[i], failures[i] = judge.run(ctx, i, c.definition, c.input)
			<-free
		})
	}
	wait.Wait()

	agreed, differed := 0, 0
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if failures[i] != nil {
				t.Fatal(failures[i])
			}
			differing := compare(ourVerdict(t, c), theirs[i])
			for _, d := range c.differs {
				if _, does := differing[d.in]; !does {
					t.Errorf("%s no longer differs: the reason %q is out of date", d.in, d.why)
				}
				delete(differing, d.in)
			}
			for in, diff := range differing {
				t.Errorf("%s (-theirs +ours):\n%s", in, diff)
			}
			switch {
			case t.Failed():
			case len(c.differs) > 0:
				differed++
			default:
				agreed++
			}
		})
	}
	t.Logf("compared %d executions with moto's: %d the same throughout, %d with differences that are the judge's", len(cases), agreed, differed)
}

var calledNames = regexp.MustCompile(`("FunctionName": ?"|"TableName": ?"|function:)(f"|t"|table"|proxy-)`)

// tagged puts the number of the case into the names of the functions and tables that it calls, so that each call finds
// its script.
func (c judgedCase) tagged(i int) judgedCase {
	tag := func(text string) string {
		return calledNames.ReplaceAllString(text, fmt.Sprintf("${1}case-%d-${2}", i))
	}
	c.definition = tag(c.definition)
	answers := map[string][]answer{}
	for name, all := range c.answers {
		if name == "f" {
			name = fmt.Sprintf("case-%d-f", i)
		}
		answers[tag(name)] = all
	}
	c.answers = answers
	return c
}

var caseTag = regexp.MustCompile(`case-([0-9]+)-`)

func ourVerdict(t *testing.T, c judgedCase) verdict {
	t.Helper()
	virtual := clock.NewVirtual(start)
	s := newScript(virtual, c.answers)
	m, err := asl.Parse([]byte(c.definition))
	if err != nil {
		return verdict{refusedReason: err.Error()}
	}
	r, err := m.Run(context.Background(), []byte(c.input), asl.Options{
		Clock: virtual, Lambda: s, DynamoDB: asl.DynamoDBFunc(s.updateItem), Random: func() float64 { return 0 },
		Execution: asl.ExecutionContext{
			ID:   "arn:aws:states:us-east-1:123456789012:execution:machine:" + executionName,
			Name: executionName, RoleARN: "arn:aws:iam::123456789012:role/service-role/role",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	v := verdict{Status: string(r.Status), Output: lenient(r.Output), Error: r.Error, Cause: lenient(r.Cause)}
	for _, e := range r.Events {
		v.Events = append(v.Events, eventLine(e.ID, e.PreviousEventID, string(e.Type), e.State()))
	}
	return v
}

func compare(ours, theirs verdict) map[string]string {
	differing := map[string]string{}
	if (ours.refusedReason == "") != (theirs.refusedReason == "") {
		differing["refused"] = cmp.Diff(theirs.refusedReason, ours.refusedReason)
		return differing
	}
	note := func(in string, theirs, ours any) {
		if diff := cmp.Diff(theirs, ours); diff != "" {
			differing[in] = diff
		}
	}
	note("Status", theirs.Status, ours.Status)
	note("Output", theirs.Output, ours.Output)
	note("Error", theirs.Error, ours.Error)
	note("Cause", theirs.Cause, ours.Cause)
	note("Events", theirs.Events, ours.Events)
	return differing
}

// awsEndpoints answers what moto's states call: Lambda's Invoke and DynamoDB's UpdateItem, as scripted.
func awsEndpoints(scripts []*script) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		tag := caseTag.FindStringSubmatch(r.URL.Path + string(body))
		if tag == nil {
			http.Error(w, "a call without a tag", http.StatusNotFound)
			return
		}
		n, _ := strconv.Atoi(tag[1])
		s := scripts[n]
		w.Header().Set("x-amzn-RequestId", requestID)
		refuse := func(e *asl.ServiceError) {
			w.Header().Set("x-amzn-ErrorType", e.Code)
			w.WriteHeader(e.StatusCode)
			json.NewEncoder(w).Encode(map[string]string{"__type": e.Code, "Message": e.Message, "message": e.Message})
		}
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".UpdateItem") {
			w.Header().Set("Content-Type", "application/x-amz-json-1.0")
			output, err := s.updateItem(r.Context(), body)
			if err != nil {
				refuse(err.(*asl.ServiceError))
				return
			}
			w.Write(output)
			return
		}
		path := strings.Split(r.URL.EscapedPath(), "/") // /2015-03-31/functions/{name}/invocations
		if len(path) < 5 {
			http.Error(w, "not a call of a function", http.StatusNotFound)
			return
		}
		function, _ := url.PathUnescape(path[3])
		a, known := s.answer(function, body)
		if !known {
			refuse(functionNotFound(function))
			return
		}
		select {
		case <-time.After(a.takes):
		case <-r.Context().Done(): // the caller has given up, or is gone
			return
		}
		if a.refusal != nil {
			refuse(a.refusal)
			return
		}
		w.Header().Set("X-Amz-Executed-Version", "$LATEST")
		if a.crash {
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
		}
		io.WriteString(w, a.payload)
	})
}

// updateItem answers calls of dynamodb:updateItem from the answers of the function of that name.
func (s *script) updateItem(_ context.Context, input json.RawMessage) (json.RawMessage, error) {
	a, _ := s.answer("updateItem", input)
	if a.refusal != nil {
		return nil, a.refusal
	}
	return json.RawMessage(a.payload), nil
}
