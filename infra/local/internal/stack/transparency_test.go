package stack_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestEveryMethodGoesUpstreamAsItIs(t *testing.T) {
	t.Parallel()
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "REPORT"}
	answers := make([]http.HandlerFunc, len(methods))
	for i := range answers {
		answers[i] = status(http.StatusOK)
	}
	u := play(t, answers...)
	s := start(t, u.URL)
	for _, method := range methods {
		if a := send(t, s, method, "/", ""); a.Status != http.StatusOK {
			t.Errorf("%s is answered with %d %s", method, a.Status, a.Body)
		}
	}
	for i, r := range u.received() {
		if r.Method != methods[i] {
			t.Errorf("%s arrived as %s", methods[i], r.Method)
		}
	}
}

func TestPathAndQueryGoUpstreamWithTheirEscapes(t *testing.T) {
	t.Parallel()
	targets := []string{
		"/",
		"/a/b/",
		"/a//b",
		"/a%2Fb/c%20d",
		"/caf%C3%A9/%E2%82%AC",
		"/semi;v=1/comma,/colon:/at@/plus+/tilde~",
		"/q?a=1&b=2&a=3",
		"/q?empty=&flag&x=%26%3D%20+",
		"/q?list[]=1&list[]=2",
	}
	answers := make([]http.HandlerFunc, len(targets))
	for i := range answers {
		answers[i] = status(http.StatusOK)
	}
	u := play(t, answers...)
	s := start(t, u.URL)
	for _, target := range targets {
		if a := get(t, s, target); a.Status != http.StatusOK {
			t.Errorf("%s is answered with %d %s", target, a.Status, a.Body)
		}
	}
	for i, r := range u.received() {
		if r.Target != targets[i] {
			t.Errorf("%s arrived as %s", targets[i], r.Target)
		}
	}
}

func TestRequestsAreJoinedToThePathOfTheUpstream(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusOK))
	s := start(t, u.URL+"/v1")
	get(t, s, "/orders?page=2")
	if r := u.received()[0]; r.Target != "/v1/orders?page=2" {
		t.Errorf("the upstream was asked for %s", r.Target)
	}
}

func TestHeadersAndCookiesOfTheRequestGoUpstream(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusOK))
	s := start(t, u.URL)
	get(t, s, "/",
		"X-List", "one", "X-List", "two",
		"Authorization", "Bearer token",
		"Accept", "application/json",
		"User-Agent", "a test",
		"Cookie", "a=1; b=2",
		"Connection", "X-Hop", "X-Hop", "for this connection only",
		"X-Forwarded-For", "192.0.2.1",
		"Prefer", "wait=30")
	r := u.received()[0]
	for name, want := range map[string]string{
		"Authorization": "Bearer token", "Accept": "application/json", "User-Agent": "a test", "Cookie": "a=1; b=2",
		"X-Hop": "", "X-Forwarded-For": "", "X-Forwarded-Proto": "", "X-Amzn-Trace-Id": "", "Prefer": "",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s arrived as %q, want %q", name, got, want)
		}
	}
	// A list may be sent in one field or in several, RFC 9110 section 5.3.
	list := strings.Split(strings.ReplaceAll(strings.Join(r.Header.Values("X-List"), ","), " ", ""), ",")
	if !slices.Equal(list, []string{"one", "two"}) {
		t.Errorf("X-List arrived as %q, want one and two", r.Header.Values("X-List"))
	}
	if via := r.Header.Get("Via"); !strings.HasPrefix(via, "1.1 retrying-api-proxy-") {
		t.Errorf("Via arrived as %q, want the gateway in it", via)
	}
}

func TestHeadersAndCookiesOfTheAnswerComeBack(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusOK,
		"Set-Cookie", "a=1; Path=/; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "Set-Cookie", "b=2; HttpOnly",
		"X-List", "one", "X-List", "two",
		"ETag", `"v1"`, "Cache-Control", "max-age=60", "Vary", "Accept",
		"Keep-Alive", "timeout=5",
		"Via", "1.1 origin", "Proxy-Status", "origin; received-status=200"))
	s := start(t, u.URL)
	a := get(t, s, "/")
	if cookies := a.Header.Values("Set-Cookie"); !slices.Equal(cookies, []string{"a=1; Path=/; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "b=2; HttpOnly"}) {
		t.Errorf("the cookies are %q, want both, each in a field of its own", cookies)
	}
	if list := a.Header.Values("X-List"); strings.Join(list, ", ") != "one, two" {
		t.Errorf("X-List is %q, want one and two", list)
	}
	for name, want := range map[string]string{
		"ETag": `"v1"`, "Cache-Control": "max-age=60", "Vary": "Accept", "Keep-Alive": "",
		"Proxy-Status": "origin; received-status=200, proxy-1; received-status=200",
	} {
		if got := a.Header.Get(name); got != want {
			t.Errorf("%s came back as %q, want %q", name, got, want)
		}
	}
	if via := a.Header.Get("Via"); !strings.HasPrefix(via, "1.1 origin, 1.1 retrying-api-proxy-") {
		t.Errorf("Via came back as %q, want the origin and then the gateway", via)
	}
}

func TestAnswersWithoutABodyStayWithoutOne(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusNoContent, "X-Kind", "none"), respond(http.StatusOK, "for GET only", "X-Kind", "head"))
	s := start(t, u.URL)
	if a := send(t, s, http.MethodDelete, "/", ""); a.Status != http.StatusNoContent || a.Body != "" || a.Header.Get("X-Kind") != "none" {
		t.Errorf("DELETE is answered with %d %q %v", a.Status, a.Body, a.Header)
	}
	if a := send(t, s, http.MethodHead, "/", ""); a.Status != http.StatusOK || a.Body != "" || a.Header.Get("X-Kind") != "head" {
		t.Errorf("HEAD is answered with %d %q %v", a.Status, a.Body, a.Header)
	}
}

func TestARedirectIsHandedBackAndNotFollowed(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusFound, "Location", "/elsewhere"))
	s := start(t, u.URL)
	if a := get(t, s, "/"); a.Status != http.StatusFound || a.Header.Get("Location") != "/elsewhere" {
		t.Errorf("the answer is %d with Location %q, want the upstream's 302", a.Status, a.Header.Get("Location"))
	}
}

func TestAPathThatClimbsIsRefused(t *testing.T) {
	t.Parallel()
	u := play(t) // nothing may arrive
	s := start(t, u.URL+"/v1")
	for _, path := range []string{"/..%2Fadmin", "/%2e%2e/admin", "/a/%252e%252e/%252e%252e/admin", `/a%5C..%5Cadmin`} {
		get(t, s, path).problem(t, http.StatusBadRequest, "invalid-request")
	}
}

func TestAnUpstreamThatLeadsBackToTheStackIsALoop(t *testing.T) {
	t.Parallel()
	listener := listen(t)
	s := start(t, "http://"+listener.Addr().String(), func(_ testing.TB, c *config) { c.Listener = listener })
	get(t, s, "/").problem(t, http.StatusLoopDetected, "loop-detected")
}
