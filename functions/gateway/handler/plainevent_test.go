package handler

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

func TestAPlainEventGoesUpstreamAsTheRequestThatItSays(t *testing.T) {
	const via = "1.1 retrying-api-proxy-"
	for _, c := range []struct {
		name, event string
		want        message.Request
	}{
		{"the least", `{"method":"GET","path":"/"}`, message.Request{Method: "GET", Path: "/"}},
		{"everything", `{"method":"POST","path":"/orders/5%2F6","query":"a=1&b=%20","headers":{"Accept":"text/plain","X-Many":["a","b"],"COOKIE":["a=1","b=2"]},` +
			`"body":"tea","isBase64Encoded":false,"idempotencyKey":"order-1","failOn":"never"}`,
			message.Request{Method: "POST", Path: "/orders/5%2F6", Query: "a=1&b=%20", Body: "tea", Headers: map[string]string{
				"accept": "text/plain", "x-many": "a, b", "cookie": "a=1; b=2", "idempotency-key": "order-1"}}},
		{"null is as if it were not there", `{"method":"GET","path":"/","query":null,"headers":null,"body":null,"isBase64Encoded":null,"idempotencyKey":null,"failOn":null}`,
			message.Request{Method: "GET", Path: "/"}},
		{"a query by names", `{"method":"GET","path":"/","query":{"b":["2","3"],"a b":"x&y=+ü","none":[],"empty":""}}`,
			message.Request{Method: "GET", Path: "/", Query: "a%20b=x%26y%3D%2B%C3%BC&b=2&b=3&empty="}},
		{"a body in base64", `{"method":"POST","path":"/","body":"` + base64.StdEncoding.EncodeToString([]byte{0, 1, 255}) + `","isBase64Encoded":true}`,
			message.Request{Method: "POST", Path: "/", Body: "AAH/", IsBase64Encoded: true}},
		{"a body that is JSON", `{"method":"POST","path":"/","body":{ "n": 12345678901234567890, "list": [1.0, null, "<é>"] }}`,
			message.Request{Method: "POST", Path: "/", Body: `{"n":12345678901234567890,"list":[1.0,null,"<é>"]}`, Headers: map[string]string{"content-type": "application/json"}}},
		{"a body that is a number", `{"method":"POST","path":"/","body":5}`,
			message.Request{Method: "POST", Path: "/", Body: `5`, Headers: map[string]string{"content-type": "application/json"}}},
		{"JSON of a type that is given", `{"method":"PATCH","path":"/","headers":{"Content-Type":"application/merge-patch+json"},"body":{"a":1}}`,
			message.Request{Method: "PATCH", Path: "/", Body: `{"a":1}`, Headers: map[string]string{"content-type": "application/merge-patch+json"}}},
		{"a string has no type of its own", `{"method":"POST","path":"/","body":"{}"}`, message.Request{Method: "POST", Path: "/", Body: "{}"}},
		{"fields for the way to the gateway", `{"method":"GET","path":"/","headers":{"Host":"a","X-Amz-Date":"1","Connection":"X-Private","X-Private":"a","X-Forwarded-For":"192.0.2.1","Prefer":"wait=5, return=minimal"}}`,
			message.Request{Method: "GET", Path: "/", Headers: map[string]string{"prefer": "return=minimal"}}},
		{"the upstream's own credential", `{"method":"GET","path":"/","headers":{"Authorization":"AWS4-HMAC-SHA256 x","Upstream-Authorization":"Bearer t"}}`,
			message.Request{Method: "GET", Path: "/", Headers: map[string]string{"authorization": "Bearer t"}}},
		{"the same key twice", `{"method":"GET","path":"/","headers":{"Idempotency-Key":"\"k\""},"idempotencyKey":"k"}`,
			message.Request{Method: "GET", Path: "/", Headers: map[string]string{"idempotency-key": `"k"`}}},
	} {
		engine := ends(ok)
		b := newBench(t, engine)
		if response := b.plain(t, c.event); response.StatusCode != 200 || response.Body != "hello" {
			t.Errorf("%s: answered with %+v", c.name, response)
			continue
		}
		got := engine.call(t).Request
		if !strings.HasPrefix(got.Headers["via"], via) {
			t.Errorf("%s: Via is %q", c.name, got.Headers["via"])
		}
		delete(got.Headers, "via")
		if len(got.Headers) == 0 {
			got.Headers = nil
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: another request goes upstream (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestAPlainEventThatCannotBeReadIsAProblemThatNamesAllOfIt(t *testing.T) {
	engine := ends(ok)
	b := newBench(t, engine)
	for event, says := range map[string][]string{
		`{"method":"GET","paht":"/s3cr3t","body":"s3cr3t"}`:                          {`"paht"`, "path is missing", "isBase64Encoded, idempotencyKey, failOn"},
		`{"method":"GET","path":"/","Path":"/other"}`:                                {`"Path"`},
		`{"method":5,"path":["/"],"headers":"a","query":5,"isBase64Encoded":"true"}`: {"member method", "member path", "member headers", "member query", "or a string", "isBase64Encoded"},
		`{"method":null,"path":null}`:                                                {"method is missing", "path is missing"},
		`{"method":"GET s3cr3t","path":"/"}`:                                         {"member method"},
		`{"method":"","path":""}`:                                                    {"member method"},
		`{"method":"GET","path":"/orders?a=1"}`:                                      {"question mark", "member query"},
		`{"method":"GET","path":"/orders#1"}`:                                        {"number sign"},
		`{"method":"GET","path":"/","query":"?a=1"}`:                                 {"begins with a question mark"},
		`{"method":"GET","path":"/","query":{"a":1}}`:                                {`"a" must be a string or a list of strings`},
		`{"method":"GET","path":"/","query":{"a":null,"b":["x",null]}}`:              {`"a" must be`, `"b" must be`},
		`{"method":"GET","path":"/","headers":{"A":{"b":"c"}}}`:                      {`"A" must be`},
		`{"method":"GET","path":"/","headers":{"X-A":"1","x-a":"2"}}`:                {`"x-a" is given twice`},
		`{"method":"POST","path":"/","body":{"a":1},"isBase64Encoded":true}`:         {"must be a string if isBase64Encoded"},
		`{"method":"POST","path":"/","body":"%","isBase64Encoded":true}`:             {"marked as base64"},
		`{"method":"GET","path":"/","headers":{"X-A":"1\r\nX-B: 2"}}`:                {"x-a holds control characters"},
		`{"method":"GET","path":"/a/../b"}`:                                          {"dot segment"},
		`{"method":"GET","path":"orders"}`:                                           {"does not start with a slash"},
		`{"method":"GET","path":"/","query":"a b"}`:                                  {"query holds"},
		`{"method":"GET","path":"/","requestContext":{"accountId":"1"}}`:             {`"requestContext"`},
	} {
		d := wantProblem(t, b.plain(t, event), 400, "invalid-request")
		for _, want := range says {
			if !strings.Contains(d.Detail, want) {
				t.Errorf("%s: the problem does not say %s: %s", event, want, d.Detail)
			}
		}
		if strings.Contains(d.Detail, "s3cr3t") {
			t.Errorf("%s: the problem quotes it: %s", event, d.Detail)
		}
	}
	if len(engine.inputs) != 0 {
		t.Error("an execution was started")
	}
	if strings.Contains(b.logs.String(), "s3cr3t") {
		t.Errorf("the log holds what is in an event: %s", b.logs.String())
	}
}

func TestTheKeyOfAPlainEventIsHeldToTheRulesOfTheField(t *testing.T) {
	engine := ends(ok)
	b := newBench(t, engine)
	for _, members := range []string{
		`"idempotencyKey":""`, `"idempotencyKey":"a,b"`, `"idempotencyKey":"\"k"`, `"idempotencyKey":"` + strings.Repeat("k", 256) + `"`,
		`"idempotencyKey":"k","headers":{"idempotency-key":"l"}`, `"idempotencyKey":"k","headers":{"Idempotency-Key":""}`,
		`"headers":{"Idempotency-Key":["k","l"]}`,
	} {
		wantProblem(t, b.plain(t, `{"method":"POST","path":"/",`+members+`}`), 400, idempotencyhttp.KeyMalformed)
	}
	b.keyRequirement = idempotencyhttp.Always
	wantProblem(t, b.plain(t, `{"method":"POST","path":"/"}`), 400, idempotencyhttp.KeyMissing)
	if len(engine.inputs) != 0 {
		t.Error("an execution was started")
	}
}

func TestAPlainEventWithAKeyIsCarriedOutOnce(t *testing.T) {
	b, engine := newRecordingBench(t, message.Response{StatusCode: 201, Body: "made", Cookies: []string{"a=1"}})
	event := `{"method":"POST","path":"/orders","body":{"tea":2},"idempotencyKey":"k"}`
	first, again := b.plain(t, event), b.plain(t, event)
	if len(engine.inputs) != 1 || again.Headers["idempotent-replayed"] != "true" || again.Body != first.Body || again.Cookies[0] != "a=1" {
		t.Errorf("%d executions, and the answers are %+v and %+v", len(engine.inputs), first, again)
	}
	wantProblem(t, b.plain(t, `{"method":"POST","path":"/orders","body":{"tea":3},"idempotencyKey":"k"}`), 422, idempotencyhttp.KeyReused)
}

// The caller of events is apart from all callers of the URL, whatever those send.
func TestNobodyAtTheURLIsHandedWhatWasAnsweredToAnEvent(t *testing.T) {
	b, engine := newRecordingBench(t, message.Response{StatusCode: 201, Body: "made"})
	b.plain(t, `{"method":"POST","path":"/orders","body":"one","idempotencyKey":"k"}`)
	strangers := keyed("k", "one")
	b.send(t, strangers)
	for _, account := range []string{"123456789012", ""} {
		named := keyed("k", "one")
		named.RequestContext.Authorizer = &events.LambdaFunctionURLRequestContextAuthorizerDescription{
			IAM: &events.LambdaFunctionURLRequestContextAuthorizerIAMDescription{AccountID: account, UserID: "invoke"},
		}
		b.send(t, named)
	}
	if len(engine.inputs) != 4 {
		t.Errorf("four callers with one key made %d executions", len(engine.inputs))
	}
	b.plain(t, `{"method":"POST","path":"/orders","body":"one","idempotencyKey":"k","headers":{"X-Api-Key":"other"}}`)
	if len(engine.inputs) != 5 {
		t.Error("another credential is not another caller")
	}
}

func TestWhoeverInvokesIsKnownAndMayWaitForAsLongAsThePolicySays(t *testing.T) {
	engine := ends(ok)
	b := newBench(t, engine)
	b.maxAnonymousWait = time.Minute
	b.plain(t, `{"method":"GET","path":"/","headers":{"Prefer":"wait=200"}}`)
	if got, want := engine.call(t).Deadline, noon.Add(200*time.Second).UnixMilli(); got != want {
		t.Errorf("the deadline is %d ms after noon, want 200 s", got-noon.UnixMilli())
	}
}

// There is no endpoint that they could lead to.
func TestLinksInTheAnswerToAnEventStayAsTheyAre(t *testing.T) {
	const link = "https://api.example.com/orders/1"
	b := newBench(t, ends(&message.Envelope{Outcome: retry.Succeeded, Response: message.Response{StatusCode: 201, Headers: map[string]string{"location": link}}}))
	b.links = linksTo(t, "https://api.example.com")
	if got := b.plain(t, `{"method":"POST","path":"/","headers":{"Host":"x.on.aws"}}`).Headers["location"]; got != link {
		t.Errorf("Location is %s", got)
	}
}

func FuzzPlainEvent(f *testing.F) {
	for _, seed := range []string{
		`{"method":"GET","path":"/"}`,
		`{"method":"POST","path":"/orders","query":{"a":["1","2"]},"headers":{"Accept":"application/json","Cookie":["a=1"],"X-Key":"k"},"body":{"tea":2},"idempotencyKey":"\"k\"","failOn":"error"}`,
		`{"method":"PUT","path":"/a%2Fb","query":"a=1&X-Amz-Signature=0","headers":{"traceparent":"00-0-0-00","If-None-Match":"*"},"body":"AAE=","isBase64Encoded":true}`,
		`{"method":"OPTIONS","path":"/","headers":{"max-forwards":"0"}}`,
		`{"method":"GET","path":"/\u0000?","headers":{"a\r\n":"b\r\n","A\r\n":["\ud800",null]},"body":[1e400,"\ud800"]}`,
		`{"method":"GET","path":"/","query":{"":"","é":["\u0000"]},"failOn":"x","other":1}`,
		`{"Records":[{"eventSource":"aws:sqs","messageId":"m","body":"{\"method\":\"GET\",\"path\":\"/\"}"},{"eventSource":"aws:sqs","messageId":"n","body":"x"}]}`,
		`{"requestContext":{"http":{"method":"GET"}},"rawPath":"/"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, event []byte) {
		b := everything(t)
		first, failed := b.invoke(t, string(event))
		if failed != nil {
			return // by one of the errors that say so; a panic is what is looked for
		}
		var batch struct {
			BatchItemFailures []struct{ ItemIdentifier string }
		}
		if strings.Contains(string(event), "aws:sqs") && json.Unmarshal(first, &batch) == nil && batch.BatchItemFailures != nil {
			return
		}
		canBeCarried(t, b.plain(t, string(event))) // with a key, what was recorded
		engine := b.engine.(*fakeEngine)
		for _, input := range engine.inputs {
			var envelope message.Envelope
			if err := json.Unmarshal([]byte(*input.Input), &envelope); err != nil {
				t.Fatal(err)
			}
			if refusal := b.forwarding.Refuse(&envelope.Call.Request); refusal != nil {
				t.Fatalf("what goes upstream should have been refused: %s", refusal.Detail)
			}
		}
	})
}
