package lambda_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
)

// page is the origin of the page that calls in these tests, and stranger one of another page.
const (
	page     = "https://shop.example"
	stranger = "https://stranger.example"
)

// shop lets the page of the shop call, and whichever changes say.
func shop(changes ...func(*lambda.CORS)) lambda.URLConfig {
	cors := &lambda.CORS{
		AllowOrigins:  []string{"https://other.example", page},
		AllowMethods:  []string{"GET", "POST"},
		AllowHeaders:  []string{"Content-Type", "Idempotency-Key"},
		ExposeHeaders: []string{"Retry-After", "Proxy-Status"},
	}
	for _, change := range changes {
		change(cors)
	}
	return lambda.URLConfig{CORS: cors}
}

// crossOrigin are the fields of an answer that are about other origins, and Vary.
func crossOrigin(response *http.Response) http.Header {
	fields := http.Header{}
	for name, values := range response.Header {
		if name == "Vary" || strings.HasPrefix(name, "Access-Control-") {
			fields[name] = values
		}
	}
	return fields
}

// asks are the fields of a preflight for a POST with a key.
func asks(origin string) http.Header {
	return http.Header{
		"Origin": {origin}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"content-type,idempotency-key"},
	}
}

func wantFields(t *testing.T, name string, want http.Header, response *http.Response) {
	t.Helper()
	if diff := cmp.Diff(want, crossOrigin(response)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// invocations is how often the echo function has been invoked.
func invocations(t *testing.T, host *lambda.Host) int {
	t.Helper()
	return invokeReport(t, host, `{}`).Count - 1 // less this time
}

func TestAPreflightIsAnsweredByTheURLAndNotByTheFunction(t *testing.T) {
	seconds := 600
	host := newHost(t, lambda.Config{}, echo())
	url := urlServer(t, host, shop(func(c *lambda.CORS) { c.MaxAge = &seconds }))
	response, body := call(t, "OPTIONS", url+"/orders", asks(page), nil)
	if response.StatusCode != http.StatusOK || len(body) > 0 || response.Header.Get("Content-Type") != "" || response.Header.Get("X-Amzn-RequestId") == "" {
		t.Errorf("%s %v %s; want 200 with a request ID and nothing in it", response.Status, response.Header, body)
	}
	wantFields(t, "a preflight", http.Header{
		"Vary":                          {"Origin"},
		"Access-Control-Allow-Origin":   {page},
		"Access-Control-Allow-Methods":  {"GET,POST"},
		"Access-Control-Allow-Headers":  {"Content-Type,Idempotency-Key"},
		"Access-Control-Expose-Headers": {"Retry-After,Proxy-Status"},
		"Access-Control-Max-Age":        {"600"},
	}, response)
	if n := invocations(t, host); n != 0 {
		t.Errorf("the function was invoked %d times, want never", n)
	}
}

func TestAPreflightOfAnotherOriginIsAnsweredWithoutPermission(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo())
	url := urlServer(t, host, shop())
	for _, origin := range []string{stranger, "http://shop.example", "https://shop.example:8443", "https://shop.example.stranger.example", "null"} {
		response, body := call(t, "OPTIONS", url, asks(origin), nil)
		if response.StatusCode != http.StatusOK || len(body) > 0 {
			t.Errorf("%s: %s %s", origin, response.Status, body)
		}
		wantFields(t, origin, http.Header{"Vary": {"Origin"}}, response)
	}
	if n := invocations(t, host); n != 0 {
		t.Errorf("the function was invoked %d times, want never", n)
	}
}

func TestAnOPTIONSRequestThatIsNoPreflightReachesTheFunction(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo())
	with, without := urlServer(t, host, shop()), urlServer(t, host, lambda.URLConfig{})
	for name, test := range map[string]struct {
		url    string
		header http.Header
	}{
		"no origin":               {with, http.Header{"Access-Control-Request-Method": {"POST"}}},
		"no method asked for":     {with, http.Header{"Origin": {page}}},
		"nothing":                 {with, nil},
		"a URL that says nothing": {without, asks(page)},
	} {
		response, body := call(t, "OPTIONS", test.url, test.header, nil)
		if event, _ := eventOf(t, response, body); event.RequestContext.HTTP.Method != "OPTIONS" {
			t.Errorf("%s: the function was sent %+v", name, event)
		}
	}
}

func TestAPreflightNeedsNoSignature(t *testing.T) {
	config := shop()
	config.AuthType = lambda.AuthIAM
	url := urlServer(t, newHost(t, lambda.Config{}, echo()), config)
	response, _ := call(t, "OPTIONS", url, asks(page), nil)
	if response.StatusCode != http.StatusOK || response.Header.Get("Access-Control-Allow-Origin") != page {
		t.Errorf("%s %v", response.Status, response.Header)
	}
	response, _ = call(t, "OPTIONS", url, http.Header{"Origin": {page}}, nil)
	if response.StatusCode != http.StatusForbidden {
		t.Errorf("another OPTIONS request is answered with %s, want 403", response.Status)
	}
}

func TestAPageMayReadWhatTheFunctionAnswersAndTheFieldsThatAreExposed(t *testing.T) {
	url := urlServer(t, newHost(t, lambda.Config{}, echo()), shop())
	for _, method := range []string{"GET", "POST", "DELETE"} {
		response, _ := call(t, method, url, http.Header{"Origin": {page}}, nil)
		wantFields(t, method, http.Header{
			"Vary":                          {"Origin"},
			"Access-Control-Allow-Origin":   {page},
			"Access-Control-Expose-Headers": {"Retry-After,Proxy-Status"},
		}, response)
	}
}

func TestWhoeverIsNotAllowedGetsTheAnswerWithoutPermissionToReadIt(t *testing.T) {
	url := urlServer(t, newHost(t, lambda.Config{}, echo()), shop())
	for name, header := range map[string]http.Header{"a stranger": {"Origin": {stranger}}, "no browser": nil} {
		response, _ := call(t, "GET", url, header, nil)
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", name, response.Status)
		}
		wantFields(t, name, http.Header{"Vary": {"Origin"}}, response)
	}
}

func TestAPageMayReadTheErrorsOfTheURLItself(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		change func(*lambda.Function)
		auth   lambda.AuthType
		body   string
	}{
		"no signature": {403, func(*lambda.Function) {}, lambda.AuthIAM, ""},
		"too large":    {413, func(*lambda.Function) {}, lambda.AuthNone, strings.Repeat("x", lambda.MaxRequestPayload+1)},
		"throttled":    {429, func(f *lambda.Function) { f.ReservedConcurrency = reserve(0) }, lambda.AuthNone, ""},
		"crashed":      {502, func(*lambda.Function) {}, lambda.AuthNone, `{"exit":1}`},
	} {
		config := shop()
		config.AuthType = test.auth
		url := urlServer(t, newHost(t, lambda.Config{}, echo(test.change)), config)
		response, _ := call(t, "POST", url, http.Header{"Origin": {page}, "Content-Type": {"application/json"}}, []byte(test.body))
		if response.StatusCode != test.status || response.Header.Get("Access-Control-Allow-Origin") != page ||
			response.Header.Get("Access-Control-Expose-Headers") != "Retry-After,Proxy-Status" {
			t.Errorf("%s: %s %v", name, response.Status, response.Header)
		}
	}
}

// The function's stand first, as AWS's own example of the error has it: "*, *".
func TestFieldsOfTheFunctionStandBesideThoseOfTheURL(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo())
	answer := `{"statusCode":200,"headers":{"access-control-allow-origin":"*","Access-Control-Expose-Headers":"ETag","vary":"Accept"}}`
	post := func(url string) *http.Response {
		response, _ := call(t, "POST", url, http.Header{"Origin": {page}, "Content-Type": {"application/json"}}, []byte(`{"answer":`+answer+`}`))
		return response
	}
	wantFields(t, "a URL with settings", http.Header{
		"Vary":                          {"Accept", "Origin"},
		"Access-Control-Allow-Origin":   {"*", page},
		"Access-Control-Expose-Headers": {"ETag", "Retry-After,Proxy-Status"},
	}, post(urlServer(t, host, shop())))
	wantFields(t, "a URL without", http.Header{
		"Vary": {"Accept"}, "Access-Control-Allow-Origin": {"*"}, "Access-Control-Expose-Headers": {"ETag"},
	}, post(urlServer(t, host, lambda.URLConfig{})))
}

func TestIfAllOriginsAreAllowedEachIsToldThatItIs(t *testing.T) {
	url := urlServer(t, newHost(t, lambda.Config{}, echo()), shop(func(c *lambda.CORS) { c.AllowOrigins = []string{"*"} }))
	for _, origin := range []string{page, stranger, "null"} {
		response, _ := call(t, "GET", url, http.Header{"Origin": {origin}}, nil)
		if got := response.Header["Access-Control-Allow-Origin"]; !slices.Equal(got, []string{origin}) {
			t.Errorf("%s is told that %q may", origin, got)
		}
	}
	response, _ := call(t, "GET", url, nil, nil)
	wantFields(t, "no browser", http.Header{"Vary": {"Origin"}}, response)
}

func TestWildcardsOfMethodsAndFieldsAreSentAsTheyAre(t *testing.T) {
	url := urlServer(t, newHost(t, lambda.Config{}, echo()), shop(func(c *lambda.CORS) {
		c.AllowMethods, c.AllowHeaders, c.ExposeHeaders = []string{"*"}, []string{"*"}, []string{"*"}
	}))
	response, _ := call(t, "OPTIONS", url, asks(page), nil)
	for _, name := range []string{"Access-Control-Allow-Methods", "Access-Control-Allow-Headers", "Access-Control-Expose-Headers"} {
		if got := response.Header.Get(name); got != "*" {
			t.Errorf("%s is %q", name, got)
		}
	}
}

func TestCredentialsAreAllowedWhereTheURLSaysSo(t *testing.T) {
	url := urlServer(t, newHost(t, lambda.Config{}, echo()), shop(func(c *lambda.CORS) { c.AllowCredentials = true }))
	for _, method := range []string{"OPTIONS", "GET"} {
		for origin, want := range map[string]string{page: "true", stranger: ""} {
			response, _ := call(t, method, url, asks(origin), nil)
			if got := response.Header.Get("Access-Control-Allow-Credentials"); got != want {
				t.Errorf("%s from %s: Access-Control-Allow-Credentials is %q, want %q", method, origin, got, want)
			}
		}
	}
}

func TestAnAgeOfZeroIsSaidAndNoAgeIsNot(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo())
	zero := 0
	for want, age := range map[string]*int{"": nil, "0": &zero} {
		response, _ := call(t, "OPTIONS", urlServer(t, host, shop(func(c *lambda.CORS) { c.MaxAge = age })), asks(page), nil)
		if got := response.Header.Get("Access-Control-Max-Age"); got != want {
			t.Errorf("Access-Control-Max-Age is %q, want %q", got, want)
		}
	}
}
