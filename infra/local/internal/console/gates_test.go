package console_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/console"
)

type gates struct {
	Gates   []console.Gate
	Metrics []console.Metric
}

// item is the attributes of an item of a gate.
type item = map[string]int64

func ago(d time.Duration) int64 { return after(-d).UnixMilli() }

func TestAnItemOfAGateSaysWhatCallersKnowTogether(t *testing.T) {
	for name, c := range map[string]struct {
		item item
		want console.Gate
	}{
		"some calls have failed": {item{"failures": 3, "failuresSince": ago(time.Second)}, console.Gate{Circuit: gate.Closed}},
		// Of 30 tickets, 10 had had their time two seconds ago, and 5 a second have had it since.
		"tickets wait": {item{"version": 3, "ticket": 30, "served": 10, "since": ago(2 * time.Second), "rate": 5000, "opened": ago(time.Minute), "activeUntil": after(time.Minute).UnixMilli()},
			console.Gate{Circuit: gate.Closed, Active: true, ActiveUntil: after(time.Minute), PerSecond: 5, Tickets: 30, Waiting: 10}},
		"everybody waits for a moment": {item{"version": 3, "ticket": 4, "since": after(9 * time.Second).UnixMilli(), "opened": ago(time.Second), "activeUntil": after(time.Minute).UnixMilli(), "byKey": 3},
			console.Gate{Circuit: gate.Closed, Active: true, ActiveUntil: after(time.Minute), HeldUntil: after(9 * time.Second), Tickets: 4, Waiting: 4, LimitedBy: gate.KeyScoping}},
		"one at a time tries": {item{"version": 3, "ticket": 7, "outage": 1, "opened": ago(time.Minute), "probe": after(time.Second).UnixMilli(), "byAddress": 4},
			console.Gate{Circuit: gate.Open, Active: true, Tickets: 7, Waiting: 7, LimitedBy: gate.AddressScoping}},
		"the outage is over": {item{"version": 3, "ticket": 7, "served": 7, "outage": 1, "most": 2500, "rate": 2500, "since": ago(time.Second), "opened": ago(time.Minute), "activeUntil": after(time.Minute).UnixMilli()},
			console.Gate{Circuit: gate.Closing, Active: true, ActiveUntil: after(time.Minute), PerSecond: 2.5, Tickets: 7}},
		"the trouble is over": {item{"version": 3, "ticket": 7, "served": 7, "rate": 2500, "since": ago(time.Hour), "opened": ago(2 * time.Hour), "activeUntil": ago(time.Minute)},
			console.Gate{Circuit: gate.Closed, ActiveUntil: after(-time.Minute), PerSecond: 2.5, Tickets: 7}},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, console.Config{}, nil)
			s.put("records", map[string]string{"id": "gate#Orders#a#Proxy#anonymous.%2Forders#2"}, c.item)
			var got gates
			s.get("gates", &got)
			c.want.ID, c.want.Prefix, c.want.Scope, c.want.Shard = "gate#Orders#a#Proxy#anonymous.%2Forders#2", "Orders#a#Proxy", "anonymous.%2Forders", 2
			if diff := cmp.Diff([]console.Gate{c.want}, got.Gates); diff != "" {
				t.Errorf("the gates are not what was expected (-want +got):\n%s", diff)
			}
			var other records
			if s.get("records", &other); len(other.Records) != 0 {
				t.Errorf("it is shown as a record, too: %+v", other.Records)
			}
		})
	}
}

func TestItemsThatAreNoGatesAreLeftOut(t *testing.T) {
	s := open(t, console.Config{}, nil)
	for _, id := range []string{"orders#1f", "gate#", "gate#orders", "gate#orders#upstream", "gate#orders#upstream#first", "mygate#orders#upstream#0"} {
		s.put("records", map[string]string{"id": id}, item{"version": 1})
	}
	s.put("records", map[string]string{"id": "gate#orders#upstream#0", "version": "new"}, nil)
	var got gates
	s.get("gates", &got)
	if len(got.Gates) != 0 {
		t.Errorf("there are %+v", got.Gates)
	}
}

func TestGatesThatAreActiveComeFirst(t *testing.T) {
	s := open(t, console.Config{}, nil)
	for i := range console.MaxGates + 10 {
		s.put("records", map[string]string{"id": fmt.Sprintf("gate#orders#%03d#0", i)}, item{"version": 1, "activeUntil": began.UnixMilli() - int64(i)})
	}
	s.put("records", map[string]string{"id": "gate#orders#waits#0"}, item{"version": 1, "ticket": 1, "outage": 1, "probe": 1})
	var got gates
	s.get("gates", &got)
	if len(got.Gates) != console.MaxGates || got.Gates[0].Scope != "waits" || got.Gates[1].Scope != "000" || got.Gates[99].Scope != "098" {
		t.Errorf("there are %d: %+v", len(got.Gates), got.Gates)
	}
}

func TestMetricsKeepTheLastValueAndTheSum(t *testing.T) {
	s := open(t, console.Config{}, nil)
	line := func(prefix, values string, at time.Time) string {
		return fmt.Sprintf(`{"_aws":{"Timestamp":%d,"CloudWatchMetrics":[{"Namespace":"RetryingApiProxy","Dimensions":[["RecordPrefix"]],`+
			`"Metrics":[{"Name":"GateWait","Unit":"Milliseconds"}]}]},"RecordPrefix":%q,"GateWait":%s}`, at.UnixMilli(), prefix, values)
	}
	for _, text := range []string{line("Orders", "100", after(0)), line("Bills", "7", after(0)), line("Orders", "[300,200]", after(time.Second))} {
		if !s.shown.Measured(text) {
			t.Errorf("%s is not taken for a line of metrics", text)
		}
	}
	if s.shown.Measured(`{"level":"INFO"}`) {
		t.Error("another line is taken for one of metrics")
	}
	var got gates
	s.get("gates", &got)
	want := []console.Metric{
		{Namespace: "RetryingApiProxy", Name: "GateWait", Unit: "Milliseconds", Dimensions: map[string]string{"RecordPrefix": "Bills"}, Last: 7, Time: after(0), Count: 1, Sum: 7},
		{Namespace: "RetryingApiProxy", Name: "GateWait", Unit: "Milliseconds", Dimensions: map[string]string{"RecordPrefix": "Orders"}, Last: 200, Time: after(time.Second), Count: 3, Sum: 600},
	}
	if diff := cmp.Diff(want, got.Metrics); diff != "" {
		t.Errorf("the metrics are not what was expected (-want +got):\n%s", diff)
	}

	for i := range console.MaxMetrics + 10 {
		s.shown.Measured(line(fmt.Sprint(i), "1", after(0)))
	}
	if s.get("gates", &got); len(got.Metrics) != 500 {
		t.Errorf("there are %d metrics, want 500 at most", len(got.Metrics))
	}
}
