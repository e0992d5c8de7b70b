package cloudwatchlogs_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudwatchlogs"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// asked is an answer of a store.
type asked struct {
	Type      string `json:"__type"`
	Message   string
	NextToken string
	Events    []struct {
		LogStreamName, Message, EventID string
		Timestamp                       int64
	}
	LogGroups []struct{ LogGroupName, Arn string }
}

func ask(t *testing.T, s *cloudwatchlogs.Store, operation, input string) (answer asked) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(input))
	r.Header.Set("X-Amz-Target", "Logs_20140328."+operation)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatalf("%s: %v", w.Body, err)
	}
	if failed := answer.Type != ""; failed != (w.Code == http.StatusBadRequest) {
		t.Errorf("the status is %d of %s", w.Code, w.Body)
	}
	return answer
}

// messages are those of an answer.
func (a asked) messages() string {
	var all []string
	for _, e := range a.Events {
		all = append(all, e.Message)
	}
	return strings.Join(all, " ")
}

func newStore() *cloudwatchlogs.Store {
	s := cloudwatchlogs.New(cloudwatchlogs.Config{Region: "us-east-1", AccountID: "000000000000"})
	for i := range 6 {
		s.Put([]string{"/gateway", "/proxy"}[i%2], fmt.Sprintf("stream-%d", i/2), noon.Add(time.Duration(i)*time.Second), fmt.Sprintf("line%d", i))
	}
	return s
}

func TestLinesAreFoundByGroupStreamTimeAndPattern(t *testing.T) {
	t.Parallel()
	s := newStore()
	second := func(i int) int64 { return noon.Add(time.Duration(i) * time.Second).UnixMilli() }
	for input, want := range map[string]string{
		`{"logGroupName":"/gateway"}`: "line0 line2 line4",
		`{"logGroupIdentifier":"arn:aws:logs:us-east-1:000000000000:log-group:/proxy:*"}`:            "line1 line3 line5",
		`{"logGroupName":"/gateway","logStreamNames":["stream-0","stream-2"]}`:                       "line0 line4",
		`{"logGroupName":"/gateway","logStreamNamePrefix":"stream-1"}`:                               "line2",
		fmt.Sprintf(`{"logGroupName":"/gateway","startTime":%d,"endTime":%d}`, second(2), second(2)): "line2",
		`{"logGroupName":"/gateway","filterPattern":"?line2 ?line4"}`:                                "line2 line4",
		`{"logGroupName":"/gateway","limit":2}`:                                                      "line0 line2",
	} {
		if got := ask(t, s, "FilterLogEvents", input).messages(); got != want {
			t.Errorf("%s finds %s, want %s", input, got, want)
		}
	}
	if e := ask(t, s, "FilterLogEvents", `{"logGroupName":"/gateway"}`).Events[1]; e.LogStreamName != "stream-1" || e.Timestamp != second(2) {
		t.Errorf("an event is %+v", e)
	}
}

func TestAPageIsFollowedByTheNextAlsoWhenLinesCameMeanwhile(t *testing.T) {
	t.Parallel()
	s := newStore()
	first := ask(t, s, "FilterLogEvents", `{"logGroupName":"/gateway","limit":2}`)
	s.Put("/gateway", "stream-3", noon, "line6")
	rest := ask(t, s, "FilterLogEvents", `{"logGroupName":"/gateway","nextToken":"`+first.NextToken+`"}`)
	if rest.messages() != "line4 line6" || rest.NextToken != "" {
		t.Errorf("the rest is %s, and then %q", rest.messages(), rest.NextToken)
	}
	if first.Events[1].EventID >= rest.Events[0].EventID {
		t.Errorf("the ids of events do not grow: %s and %s", first.Events[1].EventID, rest.Events[0].EventID)
	}
}

func TestOldLinesAreForgottenWhereThereAreTooMany(t *testing.T) {
	t.Parallel()
	s := cloudwatchlogs.New(cloudwatchlogs.Config{MaxBytes: 40_000})
	for i := range 5000 {
		s.Put("/gateway", "stream", noon, fmt.Sprintf("line%04d", i)) // of 34 bytes
	}
	kept := ask(t, s, "FilterLogEvents", `{"logGroupName":"/gateway"}`).Events
	if n := len(kept); n < 900 || n > 1176 || kept[n-1].Message != "line4999" || kept[0].Message != fmt.Sprintf("line%04d", 5000-n) {
		t.Errorf("kept are %d lines, from %s to %s; want the last thousand or so", n, kept[0].Message, kept[n-1].Message)
	}
	// Who is in the middle of reading goes on with what there is.
	old := ask(t, s, "FilterLogEvents", `{"logGroupName":"/gateway","nextToken":"7","limit":1}`)
	if len(old.Events) != 1 || old.Events[0].Message != kept[0].Message {
		t.Errorf("behind lines that are forgotten there are %v", old.Events)
	}
	s.Put("/gateway", "stream", noon, strings.Repeat("a", 50_000))
	if got := ask(t, s, "FilterLogEvents", `{"logGroupName":"/gateway"}`).Events; len(got[len(got)-1].Message) != 50_000 {
		t.Errorf("the newest is %s, want it whatever its size", got[len(got)-1].Message)
	}
}

func TestGroupsAreFoundByTheirNames(t *testing.T) {
	t.Parallel()
	s := newStore()
	s.CreateLogGroup("/quiet", noon)
	for input, want := range map[string]string{
		`{}`: "/gateway /proxy /quiet", `{"logGroupNamePrefix":"/p"}`: "/proxy", `{"logGroupNamePattern":"UI"}`: "/quiet",
	} {
		var names []string
		for _, g := range ask(t, s, "DescribeLogGroups", input).LogGroups {
			names = append(names, g.LogGroupName)
			if g.Arn != "arn:aws:logs:us-east-1:000000000000:log-group:"+g.LogGroupName+":*" {
				t.Errorf("the ARN of %s is %s", g.LogGroupName, g.Arn)
			}
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s finds %s, want %s", input, got, want)
		}
	}
}

func TestWhatCannotBeAnsweredIsRefusedByName(t *testing.T) {
	t.Parallel()
	s := newStore()
	for _, c := range []struct{ operation, input, code, says string }{
		{"FilterLogEvents", `{"logGroupName":"/other"}`, "ResourceNotFoundException", "/other"},
		{"FilterLogEvents", `{"logGroupName":"/gateway","filterPattern":"{ $.a"}`, "InvalidParameterException", "{ $.a"},
		{"FilterLogEvents", `{"logGroupName":"/gateway","limit":10001}`, "InvalidParameterException", "10001"},
		{"FilterLogEvents", `{"logGroupName":"/gateway","nextToken":"x"}`, "InvalidParameterException", "nextToken"},
		{"FilterLogEvents", `{"logGroupName":"/gateway","query":"x"}`, "SerializationException", "query"},
		{"FilterLogEvents", `[`, "SerializationException", "read"},
		{"StartQuery", `{}`, "UnknownOperationException", "DescribeLogGroups, FilterLogEvents"},
	} {
		if a := ask(t, s, c.operation, c.input); a.Type != c.code || !strings.Contains(a.Message, c.says) {
			t.Errorf("%s %s: %s %s, want %s with %s", c.operation, c.input, a.Type, a.Message, c.code, c.says)
		}
	}
}
