package message_test

import (
	"encoding/json"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

func TestInARecordQuotesAndBackslashesTakeTwoBytes(t *testing.T) {
	for text, want := range map[string]int{
		`{}`:                2,
		`{"a":1}`:           9,
		`{"a":"b\"c\\d"}`:   23,
		`{"a":"line\nend"}`: 22,
		`{"a":"é"}`:         14,
	} {
		inRecord, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(inRecord) - len(`""`); n != want {
			t.Fatalf("%s takes %d bytes as a JSON string; the test says %d", text, n, want)
		}
		if got := message.RecordBytes([]byte(text)); got != want {
			t.Errorf("%s is said to take %d bytes, want %d", text, got, want)
		}
	}
}
