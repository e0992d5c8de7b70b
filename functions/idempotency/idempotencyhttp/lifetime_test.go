package idempotencyhttp_test

import (
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
)

func TestTheFirstAnswerIsFreshForAsLongAsItsRecordLives(t *testing.T) {
	f := setUp(t, idempotencyhttp.Options{Cache: idempotencyhttp.Cache{MaxAge: time.Hour}}, idempotency.Config{TTL: time.Hour})
	f.clock.now = time.UnixMilli(1_700_000_000_250) // records expire on whole seconds
	request := idempotencyhttp.Request{Method: "POST", Path: "/orders", Headers: map[string]string{"idempotency-key": "k"}}
	response := idempotencyhttp.Response{StatusCode: 201, Body: `{}`}
	if got := f.send(request, response).Headers["cache-control"]; got != "private, max-age=3600" {
		t.Errorf("the first answer says %q; want an hour", got)
	}
	f.clock.now = f.clock.now.Add(10 * time.Second)
	if got := f.send(request, response).Headers["cache-control"]; got != "private, max-age=3590" {
		t.Errorf("a replay after 10 s says %q; want the rest of the hour", got)
	}
}
