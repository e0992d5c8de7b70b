package idempotencyhttp_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
)

func decode[T any](t testing.TB, document string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(document), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

const urlEvent = `{"version": "2.0", "rawPath": "/orders", "rawQueryString": "a=1&b=%20", "headers": {"idempotency-key": "k"},
	"requestContext": {"http": {"method": "POST"}, "authorizer": {"iam": {"accountId": "111122223333", "callerId": "AROAEXAMPLE:session-1", "userId": "AROAEXAMPLE:session-1"}}},
	"body": "{}", "isBase64Encoded": false}`

func TestFunctionURLEventsAreProtected(t *testing.T) {
	f := setUp(t, idempotencyhttp.Options{}, idempotency.Config{})
	runs := 0
	handler := idempotencyhttp.FunctionURL(f.Front, func(_ context.Context, e events.LambdaFunctionURLRequest) (events.LambdaFunctionURLResponse, error) {
		runs++
		return events.LambdaFunctionURLResponse{StatusCode: 201, Headers: map[string]string{"Content-Type": "text/plain"}, Cookies: []string{"c=1"}, Body: e.RawPath}, nil
	})
	for _, replayed := range []bool{false, true} {
		got, err := handler(context.Background(), decode[events.LambdaFunctionURLRequest](t, urlEvent))
		want := events.LambdaFunctionURLResponse{StatusCode: 201, Headers: map[string]string{"content-type": "text/plain"}, Cookies: []string{"c=1"}, Body: "/orders"}
		if replayed {
			want.Headers["idempotent-replayed"] = "true"
		}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
	if runs != 1 {
		t.Errorf("%d runs", runs)
	}
}

func TestAPIGatewayV2EventsAreProtected(t *testing.T) {
	f := setUp(t, idempotencyhttp.Options{}, idempotency.Config{})
	runs := 0
	handler := idempotencyhttp.APIGatewayV2(f.Front, func(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		runs++
		return events.APIGatewayV2HTTPResponse{StatusCode: 200, MultiValueHeaders: map[string][]string{"Set-Cookie": {"a=1", "b=2"}, "X-Many": {"1", "2"}}, Body: "b"}, nil
	})
	for range 2 {
		got, err := handler(context.Background(), decode[events.APIGatewayV2HTTPRequest](t, urlEvent))
		if err != nil || got.StatusCode != 200 || got.Headers["x-many"] != "1, 2" || got.Headers["set-cookie"] != "" || !cmp.Equal(got.Cookies, []string{"a=1", "b=2"}) {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	if runs != 1 {
		t.Errorf("%d runs", runs)
	}
}

func TestAPIGatewayV1EventsAreProtected(t *testing.T) {
	f := setUp(t, idempotencyhttp.Options{}, idempotency.Config{})
	runs := 0
	handler := idempotencyhttp.APIGatewayV1(f.Front, func(context.Context, events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
		runs++
		return events.APIGatewayProxyResponse{StatusCode: 200, MultiValueHeaders: map[string][]string{"Set-Cookie": {"a=1", "b=2"}}, Body: "b"}, nil
	})
	e := decode[events.APIGatewayProxyRequest](t, `{"path": "/orders", "httpMethod": "POST", "headers": {"Idempotency-Key": "k"},
		"multiValueHeaders": {"Idempotency-Key": ["k"]}, "body": "{}"}`)
	for range 2 {
		got, err := handler(context.Background(), e)
		if err != nil || got.StatusCode != 200 || !cmp.Equal(got.MultiValueHeaders, map[string][]string{"set-cookie": {"a=1", "b=2"}}) {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	if runs != 1 {
		t.Errorf("%d runs", runs)
	}
	e.HTTPMethod, e.MultiValueHeaders = "PUT", map[string][]string{"Idempotency-Key": {`"a"`, `"b"`}}
	if got, err := handler(context.Background(), e); err != nil || got.StatusCode != 400 {
		t.Errorf("two keys: %d, %v; want 400", got.StatusCode, err)
	}
}

func TestTheCallerIsWhomTheAuthorizerNames(t *testing.T) {
	if got := idempotencyhttp.FromFunctionURL(decode[events.LambdaFunctionURLRequest](t, urlEvent)); got.Caller != "iam 111122223333 AROAEXAMPLE" || got.Query != "a=1&b=%20" {
		t.Errorf("function URL: %+v", got)
	}
	if got := idempotencyhttp.FromFunctionURL(events.LambdaFunctionURLRequest{}).Caller; got != "" {
		t.Errorf("function URL without authorizer: %q", got)
	}
	for authorizer, want := range map[string]string{
		`{"iam": {"accountId": "1", "userId": "AIDA"}}`:                                  "iam 1 AIDA",
		`{"iam": {"accountId": "1", "callerId": "AROA:s"}}`:                              "iam 1 AROA",
		`{"iam": {"cognitoIdentity": {"identityId": "eu:1"}, "userId": "AROA:Cognito"}}`: "cognito eu:1",
		`{"jwt": {"claims": {"iss": "https://issuer", "sub": "alice"}}}`:                 "jwt https://issuer alice",
		`{"lambda": {"principalId": "tenant-1"}}`:                                        "principal tenant-1",
		`{"lambda": {"other": 1}}`:                                                       "",
		`{"jwt": {"claims": {}}}`:                                                        "",
		`null`:                                                                           "",
	} {
		e := decode[events.APIGatewayV2HTTPRequest](t, `{"requestContext": {"authorizer": `+authorizer+`}}`)
		if got := idempotencyhttp.FromAPIGatewayV2(e).Caller; got != want {
			t.Errorf("HTTP API with %s: %q; want %q", authorizer, got, want)
		}
	}
	for context, want := range map[string]string{
		`{"identity": {"cognitoIdentityId": "eu:1", "user": "AROA:x"}}`:               "cognito eu:1",
		`{"identity": {"accountId": "1", "user": "AROA:x", "caller": "AROA:x"}}`:      "iam 1 AROA",
		`{"identity": {"accountId": "1", "caller": "AIDA"}}`:                          "iam 1 AIDA",
		`{"authorizer": {"claims": {"iss": "https://issuer", "sub": "alice"}}}`:       "jwt https://issuer alice",
		`{"authorizer": {"principalId": "tenant-1"}, "identity": {"apiKeyId": "id"}}`: "principal tenant-1",
		`{"identity": {"apiKeyId": "id", "sourceIp": "192.0.2.1"}}`:                   "key id",
		`{"identity": {"sourceIp": "192.0.2.1"}}`:                                     "",
	} {
		e := decode[events.APIGatewayProxyRequest](t, `{"requestContext": `+context+`}`)
		if got := idempotencyhttp.FromAPIGatewayV1(e).Caller; got != want {
			t.Errorf("REST API with %s: %q; want %q", context, got, want)
		}
	}
}

func TestQueriesOfRESTAPIsHaveOneOrder(t *testing.T) {
	multi := decode[events.APIGatewayProxyRequest](t, `{"multiValueQueryStringParameters": {"b": ["2", "1"], "a": ["x y"]}, "queryStringParameters": {"b": "1", "a": "x y"}}`)
	if got := idempotencyhttp.FromAPIGatewayV1(multi).Query; got != "a=x+y&b=2&b=1" {
		t.Errorf("got %s", got)
	}
	single := decode[events.APIGatewayProxyRequest](t, `{"queryStringParameters": {"b": "1", "a": "&"}}`)
	if got := idempotencyhttp.FromAPIGatewayV1(single).Query; got != "a=%26&b=1" {
		t.Errorf("got %s", got)
	}
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte(urlEvent))
	f.Add([]byte(`{"httpMethod": "POST", "multiValueHeaders": {"Idempotency-Key": []}, "requestContext": {"authorizer": {"claims": 5}}}`))
	f.Add([]byte(albMultiEvent))
	m, err := idempotency.New(idempotency.NewMemoryStore(), idempotency.Config{Prefix: "p"})
	if err != nil {
		f.Fatal(err)
	}
	front, err := idempotencyhttp.NewFront(m, idempotencyhttp.Options{Require: idempotencyhttp.UnsafeMethods})
	if err != nil {
		f.Fatal(err)
	}
	url := idempotencyhttp.FunctionURL(front, func(context.Context, events.LambdaFunctionURLRequest) (events.LambdaFunctionURLResponse, error) {
		return events.LambdaFunctionURLResponse{StatusCode: 200}, nil
	})
	v1 := idempotencyhttp.APIGatewayV1(front, func(context.Context, events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
		return events.APIGatewayProxyResponse{StatusCode: 200}, nil
	})
	v2 := idempotencyhttp.APIGatewayV2(front, func(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		return events.APIGatewayV2HTTPResponse{StatusCode: 200}, nil
	})
	balancer := idempotencyhttp.ALB(front, func(context.Context, events.ALBTargetGroupRequest) (events.ALBTargetGroupResponse, error) {
		return events.ALBTargetGroupResponse{StatusCode: 200}, nil
	})
	f.Fuzz(func(t *testing.T, document []byte) {
		var albEvent events.ALBTargetGroupRequest
		if json.Unmarshal(document, &albEvent) == nil {
			if got, err := balancer(context.Background(), albEvent); err != nil || got.StatusCode != 200 && got.StatusCode != 400 && got.StatusCode != 422 {
				t.Fatalf("load balancer: %d, %v", got.StatusCode, err)
			}
		}
		var urlEvent events.LambdaFunctionURLRequest
		if json.Unmarshal(document, &urlEvent) == nil {
			if got, err := url(context.Background(), urlEvent); err != nil || got.StatusCode != 200 && got.StatusCode != 400 && got.StatusCode != 422 {
				t.Fatalf("function URL: %d, %v", got.StatusCode, err)
			}
		}
		var v1Event events.APIGatewayProxyRequest
		if json.Unmarshal(document, &v1Event) == nil {
			if got, err := v1(context.Background(), v1Event); err != nil || got.StatusCode != 200 && got.StatusCode != 400 && got.StatusCode != 422 {
				t.Fatalf("REST API: %d, %v", got.StatusCode, err)
			}
		}
		var v2Event events.APIGatewayV2HTTPRequest
		if json.Unmarshal(document, &v2Event) == nil {
			if got, err := v2(context.Background(), v2Event); err != nil || got.StatusCode != 200 && got.StatusCode != 400 && got.StatusCode != 422 {
				t.Fatalf("HTTP API: %d, %v", got.StatusCode, err)
			}
		}
	})
}
