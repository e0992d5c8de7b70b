package idempotencyhttp_test

import (
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
)

func TestFieldsThatCarryCredentialsTellCallersApart(t *testing.T) {
	none := idempotencyhttp.Credential(map[string]string{"accept": "*/*"}, "a=1")
	if none != "" {
		t.Fatalf("a request without credentials has %q", none)
	}
	for _, name := range []string{
		"authorization", "upstream-authorization", "x-api-key", "api-key", "apikey", "x-apikey", "x-auth-token", "x-access-token",
		"x-shopify-access-token", "ocp-apim-subscription-key", "x-functions-key", "private-token", "dd-api-key", "x-goog-api-key",
		"x-rapidapi-key-x-api-key", "xi-api-key", "x-session-token",
	} {
		alice := idempotencyhttp.Credential(map[string]string{name: "alice"}, "")
		bob := idempotencyhttp.Credential(map[string]string{name: "bob"}, "")
		if alice == "" || alice == bob {
			t.Errorf("%s is no credential", name)
		}
	}
	for _, name := range []string{
		"x-csrf-token", "idempotency-key", "x-request-id", "x-amz-security-token", "x-amz-date", "traceparent", "continuation-token",
		"x-key", "keep-alive", "user-agent", "if-match",
	} {
		if got := idempotencyhttp.Credential(map[string]string{name: "a"}, ""); got != "" {
			t.Errorf("%s is a credential", name)
		}
	}
}

func TestQueriesThatCarryCredentialsTellCallersApart(t *testing.T) {
	for query, counts := range map[string]bool{
		"api_key=a": true, "q=1&access_token=a": true, "API%5Fkey=a": true, "apikey=a": true,
		"api_key=": false, "key=a": false, "q=api_key": false, "": false,
	} {
		if got := idempotencyhttp.Credential(nil, query) != ""; got != counts {
			t.Errorf("the query %q carries credentials: %v", query, got)
		}
	}
}

func TestASignatureIsNoCredentialAndCookiesAreWhereThereIsNothingElse(t *testing.T) {
	signed := map[string]string{"authorization": "AWS4-HMAC-SHA256 Credential=A, Signature=1", "x-amz-date": "1"}
	if got := idempotencyhttp.Credential(signed, ""); got != "" {
		t.Errorf("a signature is one: %s", got)
	}
	cookies := func(fields ...string) string {
		headers := map[string]string{"cookie": "session=a"}
		for i := 0; i < len(fields); i += 2 {
			headers[fields[i]] = fields[i+1]
		}
		return idempotencyhttp.Credential(headers, "")
	}
	if cookies() == "" || cookies() == cookies("cookie", "session=b") {
		t.Error("cookies alone do not tell callers apart")
	}
	if cookies("authorization", "Bearer a") != cookies("authorization", "Bearer a", "cookie", "session=b") {
		t.Error("a cookie that changed makes another caller of one with a token")
	}
}

func TestTheAuthorizationForTheUpstreamTakesThePlaceOfTheOtherOne(t *testing.T) {
	direct := idempotencyhttp.Credential(map[string]string{"authorization": "Bearer a"}, "")
	through := idempotencyhttp.Credential(map[string]string{"authorization": "Basic b", "upstream-authorization": "Bearer a"}, "")
	if direct != through {
		t.Error("the same credential upstream is another caller")
	}
}

func TestFieldsThatTheHandlerDoesNotLookAtDoNotCount(t *testing.T) {
	headers := map[string]string{"authorization": "Bearer a", "x-api-key": "k", "cookie": "c"}
	both := idempotencyhttp.Credential(headers, "")
	one := idempotencyhttp.Credential(headers, "", "authorization")
	cookie := idempotencyhttp.Credential(headers, "", "authorization", "x-api-key")
	if none := idempotencyhttp.Credential(headers, "", "authorization", "x-api-key", "cookie"); both == one || one == cookie || none != "" {
		t.Errorf("%s, %s, %s, %s", both, one, cookie, none)
	}
	if got := idempotencyhttp.Credential(nil, "q=1&Api%5FKey=a", "?Api_Key"); got != "" {
		t.Errorf("a parameter that is ignored counts: %s", got)
	}
	if got := idempotencyhttp.Credential(nil, "api_key=a", "?Api_Key"); got == "" {
		t.Error("a parameter counts as another one, whose name is written otherwise")
	}
}

// Security breach 1, for every function behind a URL that everybody may call.
func TestNobodyIsHandedAResponseThatWasMadeWithSomebodyElsesCredentials(t *testing.T) {
	f := setUp(t, idempotencyhttp.Options{}, idempotency.Config{})
	request := func(fields map[string]string, cookies ...string) idempotencyhttp.Request {
		fields["idempotency-key"] = "k"
		e := events.LambdaFunctionURLRequest{RawPath: "/pay", Headers: fields, Cookies: cookies}
		e.RequestContext.HTTP.Method = "POST"
		return idempotencyhttp.FromFunctionURL(e)
	}
	callers := []idempotencyhttp.Request{
		request(map[string]string{}),
		request(map[string]string{"authorization": "Bearer alice"}),
		request(map[string]string{"authorization": "Bearer mallory"}),
		request(map[string]string{"x-api-key": "alice"}),
		request(map[string]string{}, "session=alice"),
		request(map[string]string{}, "session=mallory"),
	}
	for i, r := range callers {
		if got := f.send(r, created); got.Headers["idempotent-replayed"] != "" || f.runs != i+1 {
			t.Errorf("caller %d was handed another one's response", i)
		}
	}
	for i, r := range callers {
		if got := f.send(r, created); got.Headers["idempotent-replayed"] != "true" {
			t.Errorf("caller %d was not handed their own response", i)
		}
	}
}

func TestFieldsThatStandForTheCallerAreDigestedTogether(t *testing.T) {
	names := []string{"x-tenant", "x-user"}
	if got := idempotencyhttp.Fields(map[string]string{"x-other": "a"}, names); got != "" {
		t.Errorf("without them there is %s", got)
	}
	all := map[string]bool{}
	for _, headers := range []map[string]string{{"x-tenant": "a"}, {"x-user": "a"}, {"x-tenant": "a", "x-user": "b"}, {"x-tenant": "b", "x-user": "a"}, {"x-tenant": ""}} {
		all[idempotencyhttp.Fields(headers, names)] = true
	}
	if len(all) != 5 || all[""] {
		t.Errorf("five callers have %d digests", len(all))
	}
}
