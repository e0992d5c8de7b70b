package console_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/console"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/demo"
)

// A serverEvent is a server-sent event.
type serverEvent struct{ name, data string }

// listen reads the console's events until the test ends.
func (s *stage) listen() <-chan serverEvent {
	s.t.Helper()
	response, err := http.Get(s.url + "events")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { response.Body.Close() })
	if got := response.Header.Get("Content-Type"); got != "text/event-stream" {
		s.t.Fatalf("the type of the events is %s", got)
	}
	events := make(chan serverEvent, 100)
	go func() {
		defer close(events)
		lines := bufio.NewScanner(response.Body)
		lines.Buffer(nil, 10<<20)
		var event serverEvent
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "event":
				event.name = value
			case "data":
				event.data = value
			case "":
				events <- event
			}
		}
	}()
	return events
}

// next waits for an event and reads its data.
func next(t *testing.T, events <-chan serverEvent, name string, into any) {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		select {
		case event, open := <-events:
			if !open {
				t.Fatalf("the events ended before there was the event %s", name)
			}
			if event.name != name {
				continue
			}
			if err := json.Unmarshal([]byte(event.data), into); err != nil {
				t.Fatal(err)
			}
			return
		case <-timeout:
			t.Fatalf("the event %s never came", name)
		}
	}
}

type snapshot struct {
	Executions []console.Execution
	Requests   []console.Request
	Records    []console.Record
	Gates      []console.Gate
	Metrics    []console.Metric
	Upstream   console.Upstream
}

// measuredOnce is a line of metrics.
const measuredOnce = `{"_aws":{"Timestamp":1772368200000,"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[[]],"Metrics":[{"Name":"GateWait"}]}]},"GateWait":7}`

func TestEveryListenerBeginsWithAllThatIsShown(t *testing.T) {
	s := open(t, console.Config{Upstream: "http://127.0.0.1:7"}, nil)
	s.run("one", input, once)
	s.send(`{"method":"GET","path":"/"}`)
	s.put("records", map[string]string{"id": "orders#1f", "status": "COMPLETED"}, map[string]int64{"expiration": began.Unix()})
	s.put("records", map[string]string{"id": "gate#orders#upstream#0"}, map[string]int64{"version": 1})
	s.shown.Measured(measuredOnce)
	for range 2 { // one that comes back is told all again
		var all snapshot
		next(t, s.listen(), "snapshot", &all)
		if len(all.Executions) != 1 || len(all.Requests) != 1 || len(all.Records) != 1 || len(all.Gates) != 1 || len(all.Metrics) != 1 || all.Upstream.URL != "http://127.0.0.1:7" || all.Upstream.Calls != 1 {
			t.Errorf("all that is shown is %+v", all)
		}
	}
}

func TestWhatChangesIsTold(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: the console looks once a second, in real time")
	}
	upstream, err := demo.New(demo.DefaultSettings(), 1)
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, console.Config{Demo: upstream}, nil)
	events := s.listen()
	var all snapshot
	next(t, events, "snapshot", &all)
	if len(all.Executions)+len(all.Requests)+len(all.Records) != 0 {
		t.Errorf("there is something before anything happened: %+v", all)
	}

	s.run("one", input, limited, answered)
	var execution console.Execution
	for execution.Status != asl.Succeeded {
		next(t, events, "execution", &execution)
	}
	if execution.Name != "one" || len(execution.Attempts) != 2 {
		t.Errorf("the execution is %+v", execution)
	}

	s.send(`{"method":"GET","path":"/","copies":2}`)
	var request console.Request
	for len(request.Answers) < 2 {
		next(t, events, "request", &request)
	}

	s.put("records", map[string]string{"id": "orders#1f", "status": "COMPLETED"}, map[string]int64{"expiration": began.Unix()})
	var list []console.Record
	next(t, events, "records", &list)
	if len(list) != 1 || list[0].ID != "orders#1f" {
		t.Errorf("the records are %+v", list)
	}

	s.put("records", map[string]string{"id": "gate#orders#upstream#0"}, map[string]int64{"version": 1})
	var gates []console.Gate
	next(t, events, "gates", &gates)
	if len(gates) != 1 || gates[0].Scope != "upstream" {
		t.Errorf("the gates are %+v", gates)
	}

	s.shown.Measured(measuredOnce)
	var metrics []console.Metric
	next(t, events, "metrics", &metrics)
	if len(metrics) != 1 || metrics[0].Last != 7 {
		t.Errorf("the metrics are %+v", metrics)
	}

	s.ask(http.MethodPut, "upstream", `{"requests":5,"intervalSeconds":1}`, nil)
	var changed console.Upstream
	next(t, events, "upstream", &changed)
	if changed.Settings.Requests != 5 {
		t.Errorf("the settings are %+v", changed.Settings)
	}
}

// An execution does not wait for those who watch it, however slow they are.
func TestAListenerThatDoesNotReadHoldsNothingUp(t *testing.T) {
	s := open(t, console.Config{}, nil)
	response, err := http.Get(s.url + "events")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	long := strings.Replace(input, "/orders/7", "/"+strings.Repeat("x", 50_000), 1)
	for range console.MaxExecutions {
		s.run("", long, once) // ten megabytes for the listener, more than a connection holds
	}
	var got executions
	s.get("executions", &got)
	if !slices.ContainsFunc(got.Executions, func(e console.Execution) bool { return e.Status == asl.Succeeded }) {
		t.Error("no execution is shown")
	}
}

// asleep is the connection of a listener that does not read.
type asleep struct {
	header   http.Header
	deadline time.Time
}

func (a *asleep) Header() http.Header                { return a.header }
func (a *asleep) WriteHeader(int)                    {}
func (a *asleep) Flush()                             {}
func (a *asleep) SetWriteDeadline(t time.Time) error { a.deadline = t; return nil }

func (a *asleep) Write([]byte) (int, error) {
	if a.deadline.IsZero() {
		select {}
	}
	time.Sleep(time.Until(a.deadline))
	return 0, os.ErrDeadlineExceeded
}

func TestAListenerThatDoesNotReadIsLeftAfterTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := console.New(console.Config{Upstream: "http://127.0.0.1:7"})
		request := httptest.NewRequest(http.MethodGet, "http://localhost/-/local/events", nil)
		request.RemoteAddr = "127.0.0.1:1"
		began := time.Now()
		c.Middleware(http.NotFoundHandler()).ServeHTTP(&asleep{header: http.Header{}}, request)
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("it was left after %v, want 10 s", took)
		}
	})
}
