package console_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/dynamodb"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/console"
)

type records struct{ Records []console.Record }

// put stores an item with string and number attributes.
func (s *stage) put(table string, strings map[string]string, numbers map[string]int64) {
	s.t.Helper()
	item := map[string]any{}
	for name, value := range strings {
		item[name] = map[string]string{"S": value}
	}
	for name, value := range numbers {
		item[name] = map[string]string{"N": fmt.Sprint(value)}
	}
	text, err := json.Marshal(map[string]any{"TableName": table, "Item": item})
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.tables.Call(context.Background(), "PutItem", text); err != nil {
		s.t.Fatal(err)
	}
}

func TestTheStateOfARecordSaysWhatItDoesWithTheNextRequest(t *testing.T) {
	inAnHour, anHourAgo := after(time.Hour).Unix(), after(-time.Hour).Unix()
	soon, justNow := after(90*time.Second).UnixMilli(), after(-time.Millisecond).UnixMilli()
	for name, c := range map[string]struct {
		status  string
		data    string
		numbers map[string]int64
		want    console.Record
	}{
		"it runs": {"INPROGRESS", "", map[string]int64{"in_progress_expiration": soon, "expiration": inAnHour},
			console.Record{State: console.RecordInProgress, LeaseEnd: after(90 * time.Second), Expiration: after(time.Hour)}},
		"the lease ends now": {"INPROGRESS", "", map[string]int64{"in_progress_expiration": began.UnixMilli(), "expiration": inAnHour},
			console.Record{State: console.RecordInProgress, LeaseEnd: began, Expiration: after(time.Hour)}},
		"the lease has ended": {"INPROGRESS", "", map[string]int64{"in_progress_expiration": justNow, "expiration": inAnHour},
			console.Record{State: console.RecordReleased, Expiration: after(time.Hour)}},
		"it was released": {"INPROGRESS", "", map[string]int64{"in_progress_expiration": 0, "expiration": inAnHour},
			console.Record{State: console.RecordReleased, Expiration: after(time.Hour)}},
		"the lease outlives the record": {"INPROGRESS", "", map[string]int64{"in_progress_expiration": soon, "expiration": anHourAgo},
			console.Record{State: console.RecordInProgress, LeaseEnd: after(90 * time.Second), Expiration: after(-time.Hour)}},
		"it has no lease": {"INPROGRESS", "", map[string]int64{"expiration": inAnHour},
			console.Record{State: console.RecordInProgress, Expiration: after(time.Hour)}},
		"it has no lease and has expired": {"INPROGRESS", "", map[string]int64{"expiration": anHourAgo},
			console.Record{State: console.RecordExpired, Expiration: after(-time.Hour)}},
		"it is completed": {"COMPLETED", `{"statusCode":200,"body":"secret"}`, map[string]int64{"in_progress_expiration": soon, "expiration": inAnHour},
			console.Record{State: console.RecordCompleted, Expiration: after(time.Hour), HasResult: true}},
		"it is completed without a result": {"COMPLETED", "", map[string]int64{"expiration": inAnHour},
			console.Record{State: console.RecordCompleted, Expiration: after(time.Hour)}},
		"it expires now": {"COMPLETED", "{}", map[string]int64{"expiration": began.Unix()},
			console.Record{State: console.RecordCompleted, Expiration: began, HasResult: true}},
		"it has expired": {"COMPLETED", "{}", map[string]int64{"expiration": anHourAgo},
			console.Record{State: console.RecordExpired, Expiration: after(-time.Hour), HasResult: true}},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, console.Config{}, nil)
			attributes := map[string]string{"id": "orders#1f", "status": c.status, "owner": "secret"}
			if c.data != "" {
				attributes["data"] = c.data
			}
			s.put("records", attributes, c.numbers)
			var got records
			s.get("records", &got)
			c.want.ID = "orders#1f"
			if diff := cmp.Diff([]console.Record{c.want}, got.Records); diff != "" {
				t.Errorf("the records are not what was expected (-want +got):\n%s", diff)
			}
		})
	}
}

func TestItemsThatAreNoRecordsAreLeftOut(t *testing.T) {
	s := open(t, console.Config{}, nil)
	s.put("records", map[string]string{"id": "1"}, nil)
	s.put("records", map[string]string{"id": "2", "status": "SHIPPED"}, map[string]int64{"expiration": began.Unix()})
	s.put("records", map[string]string{"id": "3", "status": "COMPLETED"}, nil)
	s.put("records", map[string]string{"id": "4", "status": "COMPLETED", "expiration": "tomorrow"}, nil)
	var got records
	s.get("records", &got)
	if len(got.Records) != 0 {
		t.Errorf("there are %+v", got.Records)
	}
}

func TestTheRecordsThatLiveLongestAreShown(t *testing.T) {
	s := open(t, console.Config{}, nil)
	if err := s.tables.CreateTable(dynamodb.TableDefinition{Name: "more", PartitionKey: dynamodb.KeyAttribute{Name: "id", Type: "S"}}); err != nil {
		t.Fatal(err)
	}
	for i := range console.MaxRecords + 10 {
		table := []string{"records", "more"}[i%2]
		s.put(table, map[string]string{"id": fmt.Sprint(i), "status": "COMPLETED"}, map[string]int64{"expiration": began.Unix() + int64(i)})
	}
	var got records
	s.get("records", &got)
	if len(got.Records) != console.MaxRecords {
		t.Fatalf("there are %d records, want %d", len(got.Records), console.MaxRecords)
	}
	for i, record := range got.Records {
		if want := fmt.Sprint(console.MaxRecords + 9 - i); record.ID != want {
			t.Fatalf("record %d is %s, want %s", i, record.ID, want)
		}
	}
}
