package dynamodb_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/dynamodb"
)

// A page is what Scan and Query answer.
type page struct {
	Items            []map[string]map[string]any
	Count            int
	ScannedCount     int
	LastEvaluatedKey json.RawMessage
}

// pages reads all pages, each from where the last one ended, and calls after each of them.
func pages(t *testing.T, store *dynamodb.Store, operation, parameters string, after func(page)) []string {
	t.Helper()
	var ids []string
	start := ""
	for {
		var got page
		if err := json.Unmarshal([]byte(call(t, store, operation, `{`+parameters+start+`}`)), &got); err != nil {
			t.Fatal(err)
		}
		for _, it := range got.Items {
			ids = append(ids, fmt.Sprint(it["id"]["S"]))
		}
		if after != nil {
			after(got)
		}
		if got.LastEvaluatedKey == nil {
			return ids
		}
		start = `,"ExclusiveStartKey":` + string(got.LastEvaluatedKey)
	}
}

func fill(t *testing.T, store *dynamodb.Store, count int, attributes string) {
	t.Helper()
	for i := range count {
		call(t, store, "PutItem", fmt.Sprintf(`{"TableName":"records","Item":{"id":{"S":"item %d"},"n":{"N":"%d"}%s}}`, i, i, attributes))
	}
}

func TestAScanComesInPagesThatMissNothing(t *testing.T) {
	store := newStore(t)
	fill(t, store, 25, "")
	var counts []int
	ids := pages(t, store, "Scan", `"TableName":"records","Limit":10`, func(p page) { counts = append(counts, p.Count) })
	if fmt.Sprint(counts) != "[10 10 5]" || len(distinct(ids)) != 25 {
		t.Errorf("got pages of %v with %d different items", counts, len(distinct(ids)))
	}
}

func TestAScanGoesOnAfterAnItemThatIsGone(t *testing.T) {
	store := newStore(t)
	fill(t, store, 25, "")
	ids := pages(t, store, "Scan", `"TableName":"records","Limit":10`, func(p page) {
		if p.LastEvaluatedKey != nil {
			call(t, store, "DeleteItem", `{"TableName":"records","Key":`+string(p.LastEvaluatedKey)+`}`)
		}
	})
	if len(distinct(ids)) != 25 {
		t.Errorf("got %d different items, want all 25", len(distinct(ids)))
	}
}

func TestALimitCountsWhatTheFilterDrops(t *testing.T) {
	store := newStore(t)
	fill(t, store, 20, "")
	scanned, kept := 0, 0
	pages(t, store, "Scan", `"TableName":"records","Limit":5,"FilterExpression":"n < :n","ExpressionAttributeValues":{":n":{"N":"3"}}`, func(p page) {
		scanned += p.ScannedCount
		kept += p.Count
		if p.ScannedCount > 5 || len(p.Items) != p.Count {
			t.Errorf("a page of %d items, %d of them kept and %d sent", p.ScannedCount, p.Count, len(p.Items))
		}
	})
	if scanned != 20 || kept != 3 {
		t.Errorf("scanned %d and kept %d, want 20 and 3", scanned, kept)
	}
}

func TestAPageEndsAtOneMebibyte(t *testing.T) {
	store := newStore(t)
	fill(t, store, 12, `,"text":{"S":"`+strings.Repeat("x", 300<<10)+`"}`)
	var counts []int
	pages(t, store, "Scan", `"TableName":"records","Select":"COUNT"`, func(p page) {
		counts = append(counts, p.Count)
		if p.Items != nil {
			t.Error("items were sent, though they were only to be counted")
		}
	})
	if fmt.Sprint(counts) != "[4 4 4 0]" {
		t.Errorf("got pages of %v", counts)
	}
}

func TestAQueryGoesBackwardsInPages(t *testing.T) {
	store := newStore(t)
	for i := range 7 {
		call(t, store, "PutItem", fmt.Sprintf(`{"TableName":"events","Item":{"source":{"S":"a"},"at":{"N":"%d"},"id":{"S":"%d"}}}`, i, i))
		call(t, store, "PutItem", fmt.Sprintf(`{"TableName":"events","Item":{"source":{"S":"aa"},"at":{"N":"%d"},"id":{"S":"other"}}}`, i))
	}
	ids := pages(t, store, "Query", `"TableName":"events","KeyConditionExpression":"#s = :a AND #at > :n","Limit":2,"ScanIndexForward":false,
		"ExpressionAttributeNames":{"#s":"source","#at":"at"},"ExpressionAttributeValues":{":a":{"S":"a"},":n":{"N":"0"}}`, nil)
	if got := strings.Join(ids, " "); got != "6 5 4 3 2 1" {
		t.Errorf("got %s", got)
	}
}

func TestAQueryFindsSortKeysByTheirBeginning(t *testing.T) {
	store := newStore(t)
	definition := dynamodb.TableDefinition{Name: "paths",
		PartitionKey: dynamodb.KeyAttribute{Name: "host", Type: "B"}, SortKey: dynamodb.KeyAttribute{Name: "dir", Type: "S"}}
	if err := store.CreateTable(definition); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"a", "a/b", "a/c", "b", "a/é"} {
		call(t, store, "PutItem", fmt.Sprintf(`{"TableName":"paths","Item":{"host":{"B":"AA=="},"dir":{"S":%q},"id":{"S":%q}}}`, dir, dir))
	}
	ids := pages(t, store, "Query", `"TableName":"paths","KeyConditionExpression":"begins_with(dir, :p) AND host = :h",
		"ExpressionAttributeValues":{":h":{"B":"AA=="},":p":{"S":"a/"}}`, nil)
	if got := strings.Join(ids, " "); got != "a/b a/c a/é" {
		t.Errorf("got %s", got)
	}
}

func TestItemsAreListedInAFormForPeople(t *testing.T) {
	store := newStore(t)
	call(t, store, "PutItem", `{"TableName":"records","Item":{"id":{"S":"k"},"n":{"N":"12345678901234567890"},"yes":{"BOOL":true},"nothing":{"NULL":true},
		"binary":{"B":"AAEC"},"set":{"NS":["2","1.50"]},"list":{"L":[{"S":"a"},{"M":{"b":{"N":"1"}}}]}}}`)
	items, err := store.Items("records")
	if err != nil || len(items) != 1 {
		t.Fatalf("got %d items and %v", len(items), err)
	}
	want := `{"binary":"AAEC","id":"k","list":["a",{"b":1}],"n":12345678901234567890,"nothing":null,"set":[1.5,2],"yes":true}`
	if got := string(items[0]); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, err := store.Items("absent"); err == nil {
		t.Error("the items of a table that does not exist were listed")
	}
}

func distinct(all []string) map[string]bool {
	set := map[string]bool{}
	for _, one := range all {
		set[one] = true
	}
	return set
}
