package lambda_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
)

// urlServer serves the URL of the echo function and returns its address.
func urlServer(t testing.TB, host *lambda.Host, config lambda.URLConfig) string {
	server := httptest.NewServer(lambda.FunctionURL(host, "echo", config))
	t.Cleanup(server.Close)
	return server.URL
}

// eventOf returns the event that a request became: the function sends it back.
func eventOf(t testing.TB, response *http.Response, body []byte) (event events.LambdaFunctionURLRequest, raw map[string]any) {
	t.Helper()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", response.Status, body)
	}
	if err := json.Unmarshal(body, &event); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, &raw); err != nil {
		t.Fatal(err)
	}
	return event, raw
}

func TestARequestBecomesAnEventOfFormat2(t *testing.T) {
	now := time.Date(2026, 3, 1, 9, 5, 7, 89e6, time.UTC)
	host := newHost(t, lambda.Config{Now: func() time.Time { return now }}, echo())
	url := urlServer(t, host, lambda.URLConfig{URLID: "abc"})
	address := strings.TrimPrefix(url, "http://")
	_, port, _ := net.SplitHostPort(address)
	response, body := call(t, "POST", url+"/a%2Fb/%E6%9D%B1//c%20d/?q=1&q=a%26b&empty&plus=a+b", http.Header{
		"Content-Type":    {"text/plain; charset=utf-8"},
		"X-Tag":           {"one", "two, three"},
		"Cookie":          {"a=1; b=2", "c=3"},
		"User-Agent":      {"test/1"},
		"Connection":      {"X-Hop"},
		"X-Hop":           {"gone"},
		"Te":              {"trailers"},
		"X-Forwarded-For": {"192.0.2.7"},
		"Accept-Encoding": {"br"},
	}, []byte("grüß dich"))
	event, raw := eventOf(t, response, body)
	trace := strings.Split(response.Header.Get("X-Amzn-Trace-Id"), ";")[0]
	id := response.Header.Get("X-Amzn-RequestId")
	want := events.LambdaFunctionURLRequest{
		Version:               "2.0",
		RawPath:               "/a%2Fb/%E6%9D%B1//c%20d/",
		RawQueryString:        "q=1&q=a%26b&empty&plus=a+b",
		Cookies:               []string{"a=1", "b=2", "c=3"},
		QueryStringParameters: map[string]string{"q": "1,a&b", "empty": "", "plus": "a b"},
		Headers: map[string]string{
			"content-type": "text/plain; charset=utf-8", "content-length": "11", "x-tag": "one,two, three", "accept-encoding": "br", "user-agent": "test/1", "host": address,
			"x-forwarded-for": "192.0.2.7, 127.0.0.1", "x-forwarded-proto": "http", "x-forwarded-port": port, "x-amzn-trace-id": trace,
		},
		Body: "grüß dich",
		RequestContext: events.LambdaFunctionURLRequestContext{
			AccountID: "anonymous", RequestID: id, APIID: "abc", DomainName: address, DomainPrefix: "abc",
			Time: "01/Mar/2026:09:05:07 +0000", TimeEpoch: now.UnixMilli(),
			HTTP: events.LambdaFunctionURLRequestContextHTTPDescription{
				Method: "POST", Path: "/a%2Fb/%E6%9D%B1//c%20d/", Protocol: "HTTP/1.1", SourceIP: "127.0.0.1", UserAgent: "test/1",
			},
		},
	}
	if diff := cmp.Diff(want, event); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
	context := raw["requestContext"].(map[string]any)
	if raw["routeKey"] != "$default" || context["routeKey"] != "$default" || context["stage"] != "$default" {
		t.Errorf("route and stage are %v, %v, %v", raw["routeKey"], context["routeKey"], context["stage"])
	}
	if _, ok := context["authorizer"]; ok {
		t.Error("an unsigned request has an authorizer")
	}
}

func TestTheRequestIDOfTheURLIsTheFunctions(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo())
	response, body := call(t, "POST", urlServer(t, host, lambda.URLConfig{}), http.Header{"Content-Type": {"application/json"}}, []byte(`{}`))
	var r report
	if err := json.Unmarshal(body, &r); err != nil {
		t.Fatal(err)
	}
	if id := response.Header.Get("X-Amzn-RequestId"); r.RequestID != id {
		t.Errorf("the function's is %q, the response's %q", r.RequestID, id)
	}
}

func TestABodyIsBase64UnlessItIsTextByTypeAndContent(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo())
	url := urlServer(t, host, lambda.URLConfig{})
	for _, test := range []struct {
		contentType, body string
		encoded           bool
	}{
		{"text/html", "<b>&amp;</b>\u2028", false},
		{"TEXT/Plain", "a", false},
		{"application/json", `[1]`, false},
		{"application/json; charset=utf-8", `[1]`, false},
		{"application/problem+json", `[]`, false},
		{"application/xml", `<a/>`, false},
		{"image/svg+xml", `<a/>`, false},
		{"application/javascript", `1`, false},
		{"application/x-www-form-urlencoded", "a=1", true},
		{"application/octet-stream", "abc", true},
		{"image/png", "\x89PNG\x00\xff", true},
		{"text/plain", "\xff\xfe", true},
		{"application/json", "\x1f\x8b\x08\xff", true}, // compressed
		{"", "abc", true},
		{"nonsense;;", "abc", true},
	} {
		header := http.Header{}
		if test.contentType != "" {
			header.Set("Content-Type", test.contentType)
		}
		response, body := call(t, "PUT", url, header, []byte(test.body))
		event, _ := eventOf(t, response, body)
		got := event.Body
		if event.IsBase64Encoded {
			decoded, err := base64.StdEncoding.DecodeString(got)
			if err != nil {
				t.Errorf("%s: %v", test.contentType, err)
			}
			got = string(decoded)
		}
		if event.IsBase64Encoded != test.encoded || got != test.body {
			t.Errorf("%q with type %q: encoded %v, body %q", test.body, test.contentType, event.IsBase64Encoded, got)
		}
	}
}

func TestAChunkedBodyArrivesWithItsLength(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo())
	request, _ := http.NewRequest("POST", urlServer(t, host, lambda.URLConfig{}), io.MultiReader(strings.NewReader("ab"), strings.NewReader("cd")))
	request.Header.Set("Content-Type", "text/plain")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	event, _ := eventOf(t, response, body)
	if event.Body != "abcd" || event.Headers["content-length"] != "4" || event.Headers["transfer-encoding"] != "" {
		t.Errorf("body %q, headers %v", event.Body, event.Headers)
	}
}

func TestABareRequestHasNeitherBodyNorQueryNorCookies(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo())
	response, body := call(t, "GET", urlServer(t, host, lambda.URLConfig{}), nil, nil)
	event, raw := eventOf(t, response, body)
	for _, name := range []string{"body", "cookies", "queryStringParameters"} {
		if value, ok := raw[name]; ok {
			t.Errorf("%s is %v", name, value)
		}
	}
	if event.RawPath != "/" || event.RawQueryString != "" || event.IsBase64Encoded {
		t.Errorf("%+v", event)
	}
}

// answering has the function answer with the JSON that is given.
func answering(t testing.TB, url, method, answer string) (*http.Response, []byte) {
	t.Helper()
	return call(t, method, url+"/", http.Header{"Content-Type": {"application/json"}}, []byte(`{"answer":`+answer+`}`))
}

func TestAnAnswerWithAStatusIsTheResponse(t *testing.T) {
	url := urlServer(t, newHost(t, lambda.Config{}, echo()), lambda.URLConfig{})
	binary := []byte{0, 1, 0xff, '\n'}
	response, body := answering(t, url, "POST", `{"statusCode":418,"headers":{"content-type":"application/octet-stream","X-Number":7,"x-flag":true,"Connection":"close","Date":"yesterday","WWW-Authenticate":"Bearer","Content-Length":"999","transfer-encoding":"chunked"},
		"cookies":["a=1; Path=/","b=2"],"isBase64Encoded":true,"body":"`+base64.StdEncoding.EncodeToString(binary)+`"}`)
	if response.StatusCode != http.StatusTeapot || !bytes.Equal(body, binary) {
		t.Errorf("%s %q", response.Status, body)
	}
	want := http.Header{
		"Content-Type":                     {"application/octet-stream"},
		"Content-Length":                   {"4"},
		"X-Number":                         {"7"},
		"X-Flag":                           {"true"},
		"Set-Cookie":                       {"a=1; Path=/", "b=2"},
		"X-Amzn-Remapped-Connection":       {"close"},
		"X-Amzn-Remapped-Date":             {"yesterday"},
		"X-Amzn-Remapped-Www-Authenticate": {"Bearer"},
		"X-Amzn-Remapped-Content-Length":   {"999"},
	}
	got := response.Header.Clone()
	if _, err := http.ParseTime(got.Get("Date")); err != nil {
		t.Errorf("Date: %v", err)
	}
	for _, name := range []string{"Date", "X-Amzn-Requestid", "X-Amzn-Trace-Id"} {
		if got.Get(name) == "" {
			t.Errorf("no %s", name)
		}
		got.Del(name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
}

func TestAnAnswerWithoutAStatusIsTheBody(t *testing.T) {
	url := urlServer(t, newHost(t, lambda.Config{}, echo()), lambda.URLConfig{})
	for _, answer := range []string{`{"message":"hello"}`, `"hello"`, `[1,2]`, `7`, `true`, `{"StatusCode":500}`} {
		response, body := answering(t, url, "POST", answer)
		if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "application/json" || string(body) != answer {
			t.Errorf("%s became %s %s %s", answer, response.Status, response.Header.Get("Content-Type"), body)
		}
	}
}

func TestTheTypeOfABodyWithoutOneIsJSON(t *testing.T) {
	url := urlServer(t, newHost(t, lambda.Config{}, echo()), lambda.URLConfig{})
	response, body := answering(t, url, "POST", `{"statusCode":200,"body":"<p>","headers":null,"cookies":null}`)
	if response.Header.Get("Content-Type") != "application/json" || string(body) != "<p>" {
		t.Errorf("%v %s", response.Header, body)
	}
}

func TestMalformedAnswersAndFunctionErrorsAre502(t *testing.T) {
	url := urlServer(t, newHost(t, lambda.Config{}, echo(func(f *lambda.Function) { f.Timeout = time.Second })), lambda.URLConfig{})
	path, _ := hold(t)
	for _, instruction := range []string{
		`{"answer":{"statusCode":"200"}}`,
		`{"answer":{"statusCode":0}}`,
		`{"answer":{"statusCode":101}}`,
		`{"answer":{"statusCode":600}}`,
		`{"answer":{"statusCode":20.5}}`,
		`{"answer":{"statusCode":null}}`,
		`{"answer":{"statusCode":200,"body":{"a":1}}}`,
		`{"answer":{"statusCode":200,"body":"%%%","isBase64Encoded":true}}`,
		`{"answer":{"statusCode":200,"isBase64Encoded":"yes"}}`,
		`{"answer":{"statusCode":200,"headers":["a"]}}`,
		`{"answer":{"statusCode":200,"headers":{"a":["b"]}}}`,
		`{"answer":{"statusCode":200,"headers":{"a b":"c"}}}`,
		`{"answer":{"statusCode":200,"headers":{"a":"b\r\nc: d"}}}`,
		`{"answer":{"statusCode":200,"cookies":["a=1\n"]}}`,
		`{"answer":{"statusCode":200,"cookies":"a=1"}}`,
		`{"error":"no"}`,
		`{"exit":1}`,
		`{"size":6291557}`,
		`{"hold":"` + path + `"}`,
	} {
		response, body := call(t, "POST", url, http.Header{"Content-Type": {"application/json"}}, []byte(instruction))
		if response.StatusCode != http.StatusBadGateway || string(body) != `{"message":"Internal Server Error"}` || response.Header.Get("X-Amzn-RequestId") == "" {
			t.Errorf("%s: %s %s", instruction, response.Status, body)
		}
	}
}

func TestAHEADRequestHasTheLengthWithoutTheBody(t *testing.T) {
	url := urlServer(t, newHost(t, lambda.Config{}, echo()), lambda.URLConfig{})
	response, body := call(t, "HEAD", url, nil, nil)
	if response.StatusCode != http.StatusOK || len(body) > 0 || response.ContentLength < 100 {
		t.Errorf("%s, %d bytes, length %d", response.Status, len(body), response.ContentLength)
	}
}

// What is no length does not become one.
func TestAnAnswerToHEADKeepsTheLengthThatTheFunctionGives(t *testing.T) {
	url := urlServer(t, newHost(t, lambda.Config{}, echo()), lambda.URLConfig{})
	for given, want := range map[string]struct{ length, remapped string }{
		"1234": {"1234", ""},
		"0":    {"0", ""},
		"much": {"0", "much"},
		"-1":   {"0", "-1"},
	} {
		response, body := answering(t, url, "HEAD", fmt.Sprintf(`{"statusCode":200,"headers":{"content-length":"%s"}}`, given))
		if length, remapped := response.Header.Get("Content-Length"), response.Header.Get("X-Amzn-Remapped-Content-Length"); response.StatusCode != 200 ||
			len(body) > 0 || length != want.length || remapped != want.remapped {
			t.Errorf("%s: %s, Content-Length %q, remapped %q; want %q and %q", given, response.Status, length, remapped, want.length, want.remapped)
		}
	}
}

func TestA304And204HaveNoBody(t *testing.T) {
	url := urlServer(t, newHost(t, lambda.Config{}, echo()), lambda.URLConfig{})
	for _, status := range []int{http.StatusNoContent, http.StatusNotModified} {
		response, body := answering(t, url, "POST", fmt.Sprintf(`{"statusCode":%d,"headers":{"etag":"\"1\""},"body":"lost"}`, status))
		if response.StatusCode != status || len(body) > 0 || response.Header.Get("Etag") != `"1"` {
			t.Errorf("%s %s %v", response.Status, body, response.Header)
		}
	}
}

// net/http takes the type out of every 304.
func TestA304And204HaveNoTypeThatTheFunctionDoesNotGive(t *testing.T) {
	url := urlServer(t, newHost(t, lambda.Config{}, echo()), lambda.URLConfig{})
	for answer, want := range map[string][]string{
		`{"statusCode":204}`: nil,
		`{"statusCode":304}`: nil,
		`{"statusCode":204,"headers":{"Content-Type":"text/html"}}`: {"text/html"},
	} {
		response, _ := answering(t, url, "POST", answer)
		if got := response.Header["Content-Type"]; !slices.Equal(got, want) {
			t.Errorf("%s has the type %q, want %q", answer, got, want)
		}
	}
}

func TestARequestThatDoesNotFitIs413(t *testing.T) {
	url := urlServer(t, newHost(t, lambda.Config{}, echo()), lambda.URLConfig{})
	for name, size := range map[string]int{
		"the body alone":       lambda.MaxRequestPayload + 1,
		"the event, in base64": lambda.MaxRequestPayload * 3 / 4,
	} {
		response, body := call(t, "POST", url, http.Header{"Content-Type": {"image/png"}}, make([]byte, size))
		if response.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(string(body), "6291456 bytes") {
			t.Errorf("%s: %s %s", name, response.Status, body)
		}
	}
	// 4 KB are more than the rest of the event takes.
	text := `{"answer":"fits","padding":"` + strings.Repeat("x", lambda.MaxRequestPayload-4096) + `"}`
	response, body := call(t, "POST", url, http.Header{"Content-Type": {"application/json"}}, []byte(text))
	if string(body) != `"fits"` {
		t.Errorf("a body of %d bytes: %s %.100s", len(text), response.Status, body)
	}
}

func TestThrottlingIs429(t *testing.T) {
	url := urlServer(t, newHost(t, lambda.Config{}, echo(func(f *lambda.Function) { f.ReservedConcurrency = reserve(0) })), lambda.URLConfig{})
	response, body := call(t, "GET", url, nil, nil)
	if response.StatusCode != http.StatusTooManyRequests || response.Header.Get("X-Amzn-ErrorType") != "TooManyRequestsException" ||
		string(body) != `{"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}` {
		t.Errorf("%s %v %s", response.Status, response.Header, body)
	}
}

func TestAURLWithIAMAsksForASignature(t *testing.T) {
	url := urlServer(t, newHost(t, lambda.Config{AccountID: "123456789012"}, echo()), lambda.URLConfig{AuthType: lambda.AuthIAM})
	scope := "/20261121/us-east-1/lambda/aws4_request"
	signed := "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE" + scope + ", SignedHeaders=host;x-amz-date, Signature=0123abcd"
	for name, test := range map[string]struct {
		query, authorization string
	}{
		"unsigned":              {"", ""},
		"another scheme":        {"", "Bearer token"},
		"no signature":          {"", "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE" + scope + ", SignedHeaders=host"},
		"half a signed query":   {"?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00", ""},
		"query of another kind": {"?X-Amz-Algorithm=none&X-Amz-Signature=00&X-Amz-Credential=AKIAEXAMPLE", ""},
	} {
		response, body := call(t, "GET", url+"/"+test.query, http.Header{"Authorization": {test.authorization}}, nil)
		if response.StatusCode != http.StatusForbidden || string(body) != `{"Message":"Forbidden"}` {
			t.Errorf("%s: %s %s", name, response.Status, body)
		}
	}
	want := &events.LambdaFunctionURLRequestContextAuthorizerIAMDescription{
		AccessKey: "AKIAEXAMPLE", AccountID: "123456789012", CallerID: "AIDAAKIAEXAMPLE",
		UserARN: "arn:aws:iam::123456789012:user/AKIAEXAMPLE", UserID: "AIDAAKIAEXAMPLE",
	}
	for name, test := range map[string]struct {
		query, authorization string
	}{
		"in the header": {"", signed},
		"in the query":  {"?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAEXAMPLE" + strings.ReplaceAll(scope, "/", "%2F") + "&X-Amz-Signature=00", ""},
	} {
		response, body := call(t, "GET", url+"/"+test.query, http.Header{"Authorization": {test.authorization}}, nil)
		event, _ := eventOf(t, response, body)
		if event.RequestContext.AccountID != "123456789012" {
			t.Errorf("%s: account %s", name, event.RequestContext.AccountID)
		}
		if diff := cmp.Diff(want, event.RequestContext.Authorizer.IAM); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestACallerWhoLeavesDoesNotEndTheFunction(t *testing.T) {
	var logged logs
	host := newHost(t, lambda.Config{Log: logged.add}, echo())
	url := urlServer(t, host, lambda.URLConfig{})
	path, release := hold(t)
	ctx, leave := context.WithCancel(context.Background())
	request, _ := http.NewRequestWithContext(ctx, "POST", url, strings.NewReader(`{"log":["running"],"hold":"`+path+`"}`))
	request.Header.Set("Content-Type", "application/json")
	ended := make(chan error)
	go func() {
		_, err := http.DefaultClient.Do(request)
		ended <- err
	}()
	eventually(t, "the function runs", func() bool { return len(logged.of(lambda.LogFunction)) == 1 })
	leave()
	if err := <-ended; err == nil {
		t.Error("the request ended without an error")
	}
	release()
	eventually(t, "the function has ended", func() bool { return len(logged.of(lambda.LogReport)) == 1 })
	if report := logged.of(lambda.LogReport)[0].Report; report.Status != lambda.StatusSuccess {
		t.Errorf("%+v", report)
	}
}

func TestTheURLOfAnUnknownFunctionIs404AndOfAClosedHost503(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo())
	server := httptest.NewServer(lambda.FunctionURL(host, "echo:none", lambda.URLConfig{}))
	defer server.Close()
	if response, body := call(t, "GET", server.URL, nil, nil); response.StatusCode != http.StatusNotFound {
		t.Errorf("%s %s", response.Status, body)
	}
	host.Close()
	if response, body := call(t, "GET", urlServer(t, host, lambda.URLConfig{}), nil, nil); response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("%s %s", response.Status, body)
	}
}

func TestEveryByteOfABinaryBodyComesBack(t *testing.T) {
	url := urlServer(t, newHost(t, lambda.Config{}, echo()), lambda.URLConfig{})
	binary := make([]byte, 100<<10)
	for i := range binary {
		binary[i] = byte(i * 7)
	}
	response, body := answering(t, url, "POST", `{"statusCode":200,"isBase64Encoded":true,"body":"`+base64.StdEncoding.EncodeToString(binary)+`"}`)
	if !bytes.Equal(body, binary) || response.Header.Get("Content-Length") != strconv.Itoa(len(binary)) {
		t.Errorf("%s, %d bytes of %d", response.Status, len(body), len(binary))
	}
}
