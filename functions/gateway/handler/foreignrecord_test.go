package handler

import (
	"encoding/json"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// Programs that share the table may spell the names of header fields as they like.
func TestARecordThatAnotherProgramWroteIsReplayedWhateverTheCaseOfItsFields(t *testing.T) {
	b, engine := newRecordingBench(t, message.Response{StatusCode: 201})
	b.serverCacheHit = true
	b.send(t, keyed("k", "one"))
	r := engine.started(t).Record
	if err := b.store.Complete(t.Context(), idempotency.Record{
		ID: r.ID, Owner: r.Owner, Status: idempotency.Completed, Expiration: noon.Add(recordTTL),
		Data: json.RawMessage(`{"statusCode":200,"headers":{"Content-Type":"text/plain","ETag":"\"v1\""},"body":"{}","isBase64Encoded":false}`),
	}); err != nil {
		t.Fatal(err)
	}
	response := b.send(t, keyed("k", "one"))
	if response.StatusCode != 200 || response.Headers["content-type"] != "text/plain" || response.Headers["etag"] != `"v1"` {
		t.Errorf("it is replayed as %d, with %v", response.StatusCode, response.Headers)
	}
	if response.Body != "{}" {
		t.Errorf("a body that is not JSON became %s", response.Body)
	}
	if unchanged := b.send(t, keyed("k", "one", "if-none-match", `"v1"`)); unchanged.StatusCode != 304 {
		t.Errorf("with If-None-Match the answer is %d", unchanged.StatusCode)
	}
}
