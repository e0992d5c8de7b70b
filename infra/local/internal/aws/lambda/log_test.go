package lambda_test

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
)

func TestTheLogTellsAnInvocationInOrder(t *testing.T) {
	var logged logs
	now := time.Date(2026, 11, 21, 18, 0, 0, 0, time.UTC)
	host := newHost(t, lambda.Config{Log: logged.add, Now: func() time.Time { return now }},
		echo(func(f *lambda.Function) { f.Aliases = map[string]string{"live": "3"}; f.MemorySize = 256 }))
	result, err := host.Invoke(t.Context(), "echo:live", []byte(`{"log":["one","two"],"logError":["three"]}`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"initStart", "start", "function", "function", "function", "end", "report"}, logged.types()); diff != "" {
		t.Fatalf("events (-want +got):\n%s", diff)
	}
	id := result.RequestID
	patterns := []string{
		`^INIT_START Runtime Version: provided\.al2023$`,
		`^START RequestId: ` + id + ` Version: 3$`,
		`^one$`, `^two$`, `^three$`,
		`^END RequestId: ` + id + `$`,
		`^REPORT RequestId: ` + id + `\tDuration: \d+\.\d\d ms\tBilled Duration: \d+ ms\tMemory Size: 256 MB\tInit Duration: \d+\.\d\d ms$`,
	}
	for i, e := range logged.events {
		if !regexp.MustCompile(patterns[i]).MatchString(e.String()) {
			t.Errorf("event %d is %q, want a match of %s", i, e.Message, patterns[i])
		}
		wantID := id
		if i == 0 {
			wantID = ""
		}
		if e.Function != "echo" || e.Version != "3" || e.RequestID != wantID || !e.Time.Equal(now) {
			t.Errorf("event %d: function %s version %s request %q time %v", i, e.Function, e.Version, e.RequestID, e.Time)
		}
		if !regexp.MustCompile(`^2026/11/21/\[3\][0-9a-f]{32}$`).MatchString(e.LogStream) {
			t.Errorf("event %d: log stream %q", i, e.LogStream)
		}
	}
	report := *logged.events[6].Report
	if report.Duration != result.Duration || report.InitDuration != result.InitDuration || report.MemorySize != 256 || report.Status != lambda.StatusSuccess || report.Phase != lambda.PhaseInvoke {
		t.Errorf("report %+v, result %v %v", report, result.Duration, result.InitDuration)
	}
	if whole := report.BilledDuration % time.Millisecond; whole != 0 || report.BilledDuration < report.Duration+report.InitDuration {
		t.Errorf("%v are billed for %v and %v", report.BilledDuration, report.Duration, report.InitDuration)
	}
	if tail := string(result.LogTail); !strings.HasPrefix(tail, "START RequestId: "+id) || !strings.Contains(tail, "\none\ntwo\nthree\nEND ") {
		t.Errorf("the tail is %q", tail)
	}
}

func TestTheReportOfASampledTraceNamesIt(t *testing.T) {
	var logged logs
	host := newHost(t, lambda.Config{Log: logged.add}, echo(func(f *lambda.Function) { f.TracingActive = true }))
	result := invoke(t, host, `{}`)
	root := strings.TrimPrefix(result.TraceID[:strings.Index(result.TraceID, ";")], "Root=")
	if message := logged.of(lambda.LogReport)[0].Message; !strings.Contains(message, "\tXRAY TraceId: "+root) {
		t.Errorf("%q does not name %s", message, root)
	}
}

func TestAFailureShowsInTheReport(t *testing.T) {
	var logged logs
	host := newHost(t, lambda.Config{Log: logged.add}, echo())
	result := invoke(t, host, `{"exit":1}`)
	report := logged.of(lambda.LogReport)[0]
	if report.Report.Status != lambda.StatusError || report.Report.ErrorType != "Runtime.ExitError" || !strings.HasSuffix(report.Message, "\tStatus: error\tError Type: Runtime.ExitError") {
		t.Errorf("%q %+v", report.Message, report.Report)
	}
	if fault := logged.of(lambda.LogFault)[0].Message; fault != "RequestId: "+result.RequestID+" Error: Runtime exited with error: exit status 1" {
		t.Errorf("fault %q", fault)
	}
}

// A line is read from a pipe after the process has said over HTTP that it is done, unless the host sees to it that it
// is not.
func TestEveryLineHasTheRequestIDOfItsInvocation(t *testing.T) {
	const workers, each = 4, 60
	var logged logs
	host := newHost(t, lambda.Config{Log: logged.add}, echo())
	var mu sync.Mutex
	marks := make(map[string]string) // by request id
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				mark := fmt.Sprintf("mark-%d-%d", w, i)
				result := invoke(t, host, `{"log":["`+mark+`","`+mark+`"],"logError":["`+mark+`"]}`)
				mu.Lock()
				marks[result.RequestID] = mark
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	lines := logged.of(lambda.LogFunction)
	if len(lines) != 3*workers*each {
		t.Errorf("%d lines, want %d", len(lines), 3*workers*each)
	}
	for _, e := range lines {
		if marks[e.RequestID] != e.Message {
			t.Fatalf("the line %q has the request id of %q", e.Message, marks[e.RequestID])
		}
	}
}

func TestLinesAreSplitAtTheirEnds(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"without an end, at exit": {`begun`, []string{"begun"}},
		"with carriage returns":   {`a\r\nb\r\n`, []string{"a", "b"}},
		"empty":                   {`\n\na\n`, []string{"", "", "a"}},
	} {
		t.Run(name, func(t *testing.T) {
			var logged logs
			host := newHost(t, lambda.Config{Log: logged.add}, echo())
			invoke(t, host, `{"print":"`+test.text+`","exit":0}`)
			var got []string
			for _, e := range logged.of(lambda.LogFunction) {
				got = append(got, e.Message)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
		})
	}
}

func TestALongLineIsCutAndTheTailIsShort(t *testing.T) {
	var logged logs
	host := newHost(t, lambda.Config{Log: logged.add}, echo())
	result := invoke(t, host, `{"log":["`+strings.Repeat("x", 2*lambda.MaxLogLine+10)+`","short"]}`)
	var lengths []int
	for _, e := range logged.of(lambda.LogFunction) {
		lengths = append(lengths, len(e.Message))
	}
	if diff := cmp.Diff([]int{lambda.MaxLogLine, lambda.MaxLogLine, 10, 5}, lengths); diff != "" {
		t.Errorf("lengths of lines (-want +got):\n%s", diff)
	}
	if len(result.LogTail) != lambda.MaxLogTail || !strings.Contains(string(result.LogTail), "xxxxxxxxxx\nshort\nEND ") {
		t.Errorf("the tail has %d bytes and ends with %q", len(result.LogTail), result.LogTail[len(result.LogTail)-200:])
	}
}
