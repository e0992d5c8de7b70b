package handler

import (
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

func TestAnAnswerThatIsNotRecordedGetsNoFieldsForCaches(t *testing.T) {
	b := newBench(t, ends(message.Answer("request-1", retry.Succeeded, "", message.Response{StatusCode: 200, Body: "{}"}, nil)))
	b.cache = cacheHeaders
	response := b.send(t, request("GET", "/"))
	for _, name := range []string{"etag", "cache-control", "vary"} {
		if value, found := response.Headers[name]; found {
			t.Errorf("an answer without a record has %s: %s", name, value)
		}
	}
	if response.StatusCode != 200 || response.Body != "{}" {
		t.Errorf("the answer is %d, %s", response.StatusCode, response.Body)
	}
}
