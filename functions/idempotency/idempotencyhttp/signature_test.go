package idempotencyhttp_test

import (
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
)

func TestAQueryLosesTheSignatureOfTheRequestAndNothingElse(t *testing.T) {
	for query, want := range map[string]string{
		"":                    "",
		"a=1&b=2&a=3":         "a=1&b=2&a=3",
		"X-Amz-Target=a":      "X-Amz-Target=a", // not signed
		"X-Amz-Signature=abc": "",
		"a=1&X-Amz-Signature=abc&X-Amz-Credential=x&b=%20+&X-Amz-Security-Token=T":                                      "a=1&b=%20+",
		"x-amz-signature=abc&X%2DAmz%2DDate=1&a":                                                                        "a",
		"X-Amz-Signature=a&X-Amz-Credential=AKID%2F20261127%2Fus-east-1%2Flambda%2Faws4_request&a=1":                    "a=1",
		"X-Amz-Signature=a&X-Amz-Credential=AKID/20261127/us-east-1/execute-api/aws4_request&a=1":                       "a=1",
		"X-Amz-Signature=a&X-Amz-Credential=AKID%2F20261127%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=1&response-x=%2": "X-Amz-Signature=a&X-Amz-Credential=AKID%2F20261127%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=1&response-x=%2",
	} {
		if got := idempotencyhttp.WithoutSignature(query); got != want {
			t.Errorf("%s became %s, want %s", query, got, want)
		}
	}
}

func TestARequestThatIsSignedAnewInItsQueryIsTheSame(t *testing.T) {
	const first, second = "a=1&X-Amz-Signature=aa&X-Amz-Date=1", "a=1&X-Amz-Signature=bb&X-Amz-Date=2"
	one := idempotencyhttp.FromFunctionURL(events.LambdaFunctionURLRequest{RawQueryString: first})
	other := idempotencyhttp.FromFunctionURL(events.LambdaFunctionURLRequest{RawQueryString: second})
	if idempotencyhttp.Fingerprint(one) != idempotencyhttp.Fingerprint(other) {
		t.Error("at a function URL it is another one")
	}
	one = idempotencyhttp.FromAPIGatewayV2(events.APIGatewayV2HTTPRequest{RawQueryString: first})
	other = idempotencyhttp.FromAPIGatewayV2(events.APIGatewayV2HTTPRequest{RawQueryString: second})
	if idempotencyhttp.Fingerprint(one) != idempotencyhttp.Fingerprint(other) {
		t.Error("at an HTTP API it is another one")
	}
	one = idempotencyhttp.FromAPIGatewayV1(events.APIGatewayProxyRequest{QueryStringParameters: map[string]string{"a": "1", "X-Amz-Signature": "aa"}})
	other = idempotencyhttp.FromAPIGatewayV1(events.APIGatewayProxyRequest{QueryStringParameters: map[string]string{"a": "1", "X-Amz-Signature": "bb"}})
	if idempotencyhttp.Fingerprint(one) != idempotencyhttp.Fingerprint(other) {
		t.Error("at a REST API it is another one")
	}
}
