package dynamodb_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/dynamodb"
)

// A clock stands still until it is put forward.
type clock struct{ time time.Time }

func (c *clock) now() time.Time { return c.time }

// remaining deletes what has expired and lists the ids that are left.
func remaining(t *testing.T, store *dynamodb.Store) string {
	t.Helper()
	if _, err := store.DeleteExpired(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(pages(t, store, "Scan", `"TableName":"records"`, nil), " ")
}

func TestAnExpiredItemIsThereUntilTheDeletionDelayIsOver(t *testing.T) {
	c := &clock{start}
	store := newStore(t, dynamodb.WithClock(c.now), dynamodb.WithDeletionDelay(time.Hour))
	call(t, store, "PutItem", fmt.Sprintf(`{"TableName":"records","Item":{"id":{"S":"k"},"expiration":{"N":"%d"}}}`, start.Unix()+60))
	for _, step := range []struct {
		after time.Duration
		want  string
	}{
		{0, "k"},
		{61 * time.Second, "k"},
		{time.Hour + 60*time.Second, "k"},
		{time.Hour + 61*time.Second, ""},
	} {
		c.time = start.Add(step.after)
		if got := remaining(t, store); got != step.want {
			t.Errorf("after %v: got %q, want %q", step.after, got, step.want)
		}
	}
}

func TestTheDeletionDelayIsTwoDaysUnlessSaid(t *testing.T) {
	c := &clock{start}
	store := newStore(t, dynamodb.WithClock(c.now))
	call(t, store, "PutItem", fmt.Sprintf(`{"TableName":"records","Item":{"id":{"S":"k"},"expiration":{"N":"%d"}}}`, start.Unix()))
	c.time = start.Add(dynamodb.DefaultDeletionDelay)
	if got := remaining(t, store); got != "k" {
		t.Errorf("after %v the item is gone", dynamodb.DefaultDeletionDelay)
	}
	c.time = c.time.Add(time.Second)
	if got := remaining(t, store); got != "" {
		t.Errorf("after more than %v the item is there", dynamodb.DefaultDeletionDelay)
	}
}

func TestOnlyATimeInSecondsOfTheLastFiveYearsMakesAnItemExpire(t *testing.T) {
	store := newStore(t, dynamodb.WithDeletionDelay(0))
	for id, expiration := range map[string]string{
		"absent":    ``,
		"string":    `,"expiration":{"S":"1"}`,
		"future":    fmt.Sprintf(`,"expiration":{"N":"%d"}`, start.Unix()+1),
		"past":      fmt.Sprintf(`,"expiration":{"N":"%d"}`, start.Unix()-1),
		"fraction":  fmt.Sprintf(`,"expiration":{"N":"%d.5"}`, start.Unix()-1),
		"long-past": fmt.Sprintf(`,"expiration":{"N":"%d"}`, start.AddDate(-5, 0, -30).Unix()),
		"other":     fmt.Sprintf(`,"ttl":{"N":"%d"}`, start.Unix()-1),
	} {
		call(t, store, "PutItem", `{"TableName":"records","Item":{"id":{"S":"`+id+`"}`+expiration+`}}`)
	}
	left := remaining(t, store)
	for id, stays := range map[string]bool{"absent": true, "string": true, "future": true, "past": false, "fraction": false, "long-past": true, "other": true} {
		if strings.Contains(" "+left+" ", " "+id+" ") != stays {
			t.Errorf("%s: want it to stay: %v; what stays is %s", id, stays, left)
		}
	}
}

func TestTimeToLiveIsSwitchedOnAndOff(t *testing.T) {
	store := newStore(t, dynamodb.WithDeletionDelay(0))
	describe := `{"TableName":"events"}`
	equalJSON(t, "at first", call(t, store, "DescribeTimeToLive", describe), `{"TimeToLiveDescription":{"TimeToLiveStatus":"DISABLED"}}`)
	call(t, store, "PutItem", `{"TableName":"events","Item":{"source":{"S":"a"},"at":{"N":"1"},"until":{"N":"1699999999"}}}`)
	if deleted, err := store.DeleteExpired(); deleted != 0 || err != nil {
		t.Errorf("deleted %d while time to live was off: %v", deleted, err)
	}
	equalJSON(t, "switching on", call(t, store, "UpdateTimeToLive", `{"TableName":"events","TimeToLiveSpecification":{"AttributeName":"until","Enabled":true}}`),
		`{"TimeToLiveSpecification":{"AttributeName":"until","Enabled":true}}`)
	equalJSON(t, "then", call(t, store, "DescribeTimeToLive", describe), `{"TimeToLiveDescription":{"TimeToLiveStatus":"ENABLED","AttributeName":"until"}}`)
	if deleted, err := store.DeleteExpired(); deleted != 1 || err != nil {
		t.Errorf("deleted %d after time to live was switched on, want 1: %v", deleted, err)
	}
	call(t, store, "UpdateTimeToLive", `{"TableName":"events","TimeToLiveSpecification":{"AttributeName":"until","Enabled":false}}`)
	equalJSON(t, "in the end", call(t, store, "DescribeTimeToLive", describe), `{"TimeToLiveDescription":{"TimeToLiveStatus":"DISABLED"}}`)
}
