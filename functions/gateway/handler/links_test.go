package handler

import (
	"net/url"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// linksTo makes a rewriter of links to bases.
func linksTo(t testing.TB, bases ...string) linkRewriter {
	t.Helper()
	var l linkRewriter
	for _, text := range bases {
		base, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		l = append(l, base)
	}
	return l
}

func TestLinksToTheUpstreamLeadToTheEndpoint(t *testing.T) {
	const here = "https://abc.lambda-url.eu-central-1.on.aws"
	for _, c := range []struct{ base, link, want string }{
		{"https://api.example.com", "https://api.example.com/orders/5?a=1#top", here + "/orders/5?a=1#top"},
		{"https://api.example.com", "https://api.example.com", here},
		{"https://api.example.com", "https://api.example.com/", here + "/"},
		{"https://api.example.com", "https://api.example.com?page=2", here + "?page=2"},
		{"https://api.example.com", "HTTPS://API.example.com:443/a%2Fb", here + "/a%2Fb"},
		{"https://api.example.com", "//api.example.com/a", here + "/a"},
		{"https://api.example.com/v1", "https://api.example.com/v1/orders", here + "/orders"},
		{"https://api.example.com/v1/", "https://api.example.com/v1", here + "/"},
		{"https://api.example.com/v1", "https://api.example.com/v1?page=2", here + "/?page=2"},
		{"https://api.example.com/v1", "/v1/orders", "/orders"},
		{"https://api.example.com/v1", "/v1", "/"},
		// Everything else stays as it is.
		{"https://api.example.com", "http://api.example.com/orders", "http://api.example.com/orders"},
		{"https://api.example.com", "https://api.example.com:8443/orders", "https://api.example.com:8443/orders"},
		{"https://api.example.com", "https://login.example.com/orders", "https://login.example.com/orders"},
		{"https://api.example.com", "https://api.example.com.evil.example/", "https://api.example.com.evil.example/"},
		{"https://api.example.com", "https://user@api.example.com/orders", "https://user@api.example.com/orders"},
		{"https://api.example.com", "/orders", "/orders"},
		{"https://api.example.com", "orders/5", "orders/5"},
		{"https://api.example.com", "?page=2", "?page=2"},
		{"https://api.example.com", "mailto:a@api.example.com", "mailto:a@api.example.com"},
		{"https://api.example.com", "https://api.example.com/%zz", "https://api.example.com/%zz"},
		{"https://api.example.com/v1", "https://api.example.com/v10/orders", "https://api.example.com/v10/orders"},
		{"https://api.example.com/v1", "https://api.example.com/login", "https://api.example.com/login"},
		{"https://api.example.com/v1", "https://api.example.com/v1/../login", "https://api.example.com/v1/../login"},
		{"https://api.example.com/v1", "/login", "/login"},
		{"https://api.example.com/v1", "../orders", "../orders"},
	} {
		l := linksTo(t, c.base)
		headers := map[string]string{"location": c.link, "content-location": c.link, "link": "<" + c.link + `>; rel="next"`, "x-link": c.link}
		l.rewrite(headers, here)
		if headers["location"] != c.want || headers["content-location"] != c.want || headers["link"] != "<"+c.want+`>; rel="next"` || headers["x-link"] != c.link {
			t.Errorf("below %s the link %s became %v, want %s", c.base, c.link, headers, c.want)
		}
	}
}

func TestEachLinkOfALinkFieldIsRewrittenAndNothingElseInIt(t *testing.T) {
	l := linksTo(t, "https://api.example.com")
	for field, want := range map[string]string{
		`<https://api.example.com/a?p=1,2>; rel="next", <https://other.example/>; rel=last`: `<https://x.test/a?p=1,2>; rel="next", <https://other.example/>; rel=last`,
		`<a>; title="<https://api.example.com/>", <https://api.example.com/b>`:              `<a>; title="<https://api.example.com/>", <https://x.test/b>`,
		`<a>; title="\"<https://api.example.com/>", <https://api.example.com/b>`:            `<a>; title="\"<https://api.example.com/>", <https://x.test/b>`,
		`<https://api.example.com/a`: `<https://api.example.com/a`,
		`<>, <`:                      `<>, <`,
		"":                           "",
		`"`:                          `"`,
	} {
		if got := l.links(field, "https://x.test"); got != want {
			t.Errorf("%s became %s, want %s", field, got, want)
		}
	}
}

func FuzzLinksAreRewrittenWithoutHarm(f *testing.F) {
	f.Add(`<https://api.example.com/a>; rel="next"`)
	f.Add(`<https://api.example.com`)
	f.Add("\x00<\\\"//api.example.com>")
	l := linkRewriter{{Scheme: "https", Host: "api.example.com", Path: "/v1"}}
	f.Fuzz(func(t *testing.T, field string) {
		if out := l.links(field, "https://x.test"); len(out) > len(field)+len("https://x.test/")*(1+len(field)) {
			t.Errorf("%q became %q", field, out)
		}
		l.reference(field, "https://x.test")
	})
}

func TestTheEndpointIsWhatTheCallerWrote(t *testing.T) {
	for _, c := range []struct{ host, scheme, domain, want string }{
		{"abc.lambda-url.eu-central-1.on.aws", "https", "", "https://abc.lambda-url.eu-central-1.on.aws"},
		{"127.0.0.1:8787", "http", "127.0.0.1:8787", "http://127.0.0.1:8787"},
		{"", "", "abc.on.aws", "https://abc.on.aws"},
		{"", "", "", ""},
		{"evil.example/path", "https", "", ""},
		{"user@evil.example", "https", "", ""},
		{"abc.on.aws", "javascript", "", ""},
	} {
		event := events.LambdaFunctionURLRequest{Headers: map[string]string{"host": c.host, "x-forwarded-proto": c.scheme}}
		event.RequestContext.DomainName = c.domain
		if got := endpoint(&event); got != c.want {
			t.Errorf("%+v: the endpoint is %q", c, got)
		}
	}
}

func TestAnswersAndReplaysHaveLinksToTheEndpointThatTheyWereAskedAt(t *testing.T) {
	b := newBench(t, ends(&message.Envelope{
		Outcome: retry.Succeeded, Expiration: noon.Unix() + 60,
		Response: message.Response{StatusCode: 201, Headers: map[string]string{"location": "https://api.example.com/orders/5"}},
	}))
	b.links = linksTo(t, "https://api.example.com")
	for _, host := range []string{"one.example", "two.example"} {
		if got := b.send(t, request("GET", "/", "host", host)).Headers["location"]; got != "https://"+host+"/orders/5" {
			t.Errorf("at %s, Location is %s", host, got)
		}
	}
}
