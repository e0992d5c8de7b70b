package idempotencyhttp_test

import (
	"context"
	"errors"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
)

// The two forms of the events are those of Elastic Load Balancing's page on Lambda functions as targets.
const (
	albEvent = `{"requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/t/6d0e"}},
		"httpMethod": "POST", "path": "/orders", "queryStringParameters": {"b": "x%20y", "a": "1"},
		"headers": {"idempotency-key": "k", "content-type": "application/json"}, "body": "{}", "isBase64Encoded": false}`
	albMultiEvent = `{"requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/t/6d0e"}},
		"httpMethod": "POST", "path": "/orders", "multiValueQueryStringParameters": {"b": ["x%20y", "2"], "a": ["1"]},
		"multiValueHeaders": {"idempotency-key": ["k"], "content-type": ["application/json"]}, "body": "{}", "isBase64Encoded": false}`
)

func TestALBEventsAreProtectedInBothForms(t *testing.T) {
	for name, c := range map[string]struct {
		event         string
		single        map[string]string
		multi         map[string][]string
		first, second events.ALBTargetGroupResponse
	}{
		"one value": {
			event: albEvent, single: map[string]string{"Content-Type": "text/plain", "Set-Cookie": "a=1", "set-cookie": "b=2"},
			first:  events.ALBTargetGroupResponse{Headers: map[string]string{"content-type": "text/plain", "set-cookie": "a=1", "Set-cookie": "b=2"}},
			second: events.ALBTargetGroupResponse{Headers: map[string]string{"content-type": "text/plain", "set-cookie": "a=1", "Set-cookie": "b=2", "idempotent-replayed": "true"}},
		},
		"many values": {
			event: albMultiEvent, multi: map[string][]string{"Content-Type": {"text/plain"}, "Set-Cookie": {"a=1", "b=2"}},
			first:  events.ALBTargetGroupResponse{MultiValueHeaders: map[string][]string{"content-type": {"text/plain"}, "set-cookie": {"a=1", "b=2"}}},
			second: events.ALBTargetGroupResponse{MultiValueHeaders: map[string][]string{"content-type": {"text/plain"}, "set-cookie": {"a=1", "b=2"}, "idempotent-replayed": {"true"}}},
		},
		"many values, to a handler that sets one": {
			event: albMultiEvent, single: map[string]string{"Content-Type": "text/plain"},
			first:  events.ALBTargetGroupResponse{MultiValueHeaders: map[string][]string{"content-type": {"text/plain"}}},
			second: events.ALBTargetGroupResponse{MultiValueHeaders: map[string][]string{"content-type": {"text/plain"}, "idempotent-replayed": {"true"}}},
		},
	} {
		f := setUp(t, idempotencyhttp.Options{}, idempotency.Config{})
		runs := 0
		handler := idempotencyhttp.ALB(f.Front, func(_ context.Context, e events.ALBTargetGroupRequest) (events.ALBTargetGroupResponse, error) {
			runs++
			return events.ALBTargetGroupResponse{StatusCode: 201, Headers: c.single, MultiValueHeaders: c.multi, Body: e.Path}, nil
		})
		for _, want := range []events.ALBTargetGroupResponse{c.first, c.second} {
			want.StatusCode, want.StatusDescription, want.Body = 201, "201 Created", "/orders"
			got, err := handler(context.Background(), decode[events.ALBTargetGroupRequest](t, c.event))
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
			}
		}
		if runs != 1 {
			t.Errorf("%s: %d runs", name, runs)
		}
	}
}

func TestAnErrorOfAnALBHandlerIsTheFunctions(t *testing.T) {
	f := setUp(t, idempotencyhttp.Options{}, idempotency.Config{})
	broken := errors.New("broken")
	handler := idempotencyhttp.ALB(f.Front, func(context.Context, events.ALBTargetGroupRequest) (events.ALBTargetGroupResponse, error) {
		return events.ALBTargetGroupResponse{}, broken
	})
	got, err := handler(context.Background(), decode[events.ALBTargetGroupRequest](t, albEvent))
	if diff := cmp.Diff(events.ALBTargetGroupResponse{}, got); err != broken || diff != "" {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
}

func TestAQueryOfALoadBalancerIsSortedAndStaysAsItIsWritten(t *testing.T) {
	for event, want := range map[string]string{albEvent: "a=1&b=x%20y", albMultiEvent: "a=1&b=x%20y&b=2"} {
		if got := idempotencyhttp.FromALB(decode[events.ALBTargetGroupRequest](t, event)).Query; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// Only a load balancer that authenticates removes what a client puts into this field.
func TestNobodyBecomesAnotherCallerByAFieldOfTheirs(t *testing.T) {
	e := decode[events.ALBTargetGroupRequest](t, albEvent)
	e.Headers["x-amzn-oidc-identity"] = "alice"
	if got := idempotencyhttp.FromALB(e); got.Caller != "" || got.Credential != "" {
		t.Errorf("caller %q, credential %q", got.Caller, got.Credential)
	}
}

func TestAKeyThatIsGivenTwiceIsA400InEveryKindOfEvent(t *testing.T) {
	f := setUp(t, idempotencyhttp.Options{}, idempotency.Config{})
	for _, keys := range [][]string{{"k1", "k2"}, {"k", "k"}, {`"k1"`, `"k2"`}, {"k", ""}} {
		multi := map[string][]string{"Idempotency-Key": keys}
		joined := map[string]string{"idempotency-key": keys[0] + "," + keys[1]} // as function URLs and HTTP APIs join fields
		for name, request := range map[string]idempotencyhttp.Request{
			"function URL":  idempotencyhttp.FromFunctionURL(events.LambdaFunctionURLRequest{Headers: joined}),
			"HTTP API":      idempotencyhttp.FromAPIGatewayV2(events.APIGatewayV2HTTPRequest{Headers: joined}),
			"REST API":      idempotencyhttp.FromAPIGatewayV1(events.APIGatewayProxyRequest{Headers: map[string]string{"Idempotency-Key": keys[1]}, MultiValueHeaders: multi}),
			"load balancer": idempotencyhttp.FromALB(events.ALBTargetGroupRequest{MultiValueHeaders: multi}),
		} {
			if got := f.send(request, created); got.StatusCode != 400 {
				t.Errorf("%s with %q: %d, want 400", name, keys, got.StatusCode)
			}
		}
	}
	if f.runs != 0 {
		t.Errorf("%d runs", f.runs)
	}
}
