package message

import (
	"fmt"
	"maps"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/dunglas/httpsfv"
	"github.com/google/go-cmp/cmp"
)

// forwarding is what an environment with these two variables allows.
func forwarding(t testing.TB, methods, paths string) Forwarding {
	t.Helper()
	f, err := ForwardingFrom(func(name string) string {
		return map[string]string{"UPSTREAM_ALLOWED_METHODS": methods, "UPSTREAM_ALLOWED_PATHS": paths}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestMethodsAreForwardedAsTheEnvironmentSays(t *testing.T) {
	for _, c := range []struct {
		allowed   string
		forwarded []string
		refused   []string
		allow     string
	}{
		{"", []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "get", "M-SEARCH", "QUERY"}, []string{"TRACE", "trace", "Trace"}, "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"},
		{"GET,HEAD", []string{"GET", "HEAD"}, []string{"POST", "OPTIONS", "TRACE", "get", "Get", "GETS"}, "GET, HEAD"},
		{"GET, TRACE", []string{"GET", "TRACE"}, []string{"HEAD", "trace"}, "GET, TRACE"},
		{"PROPFIND", []string{"PROPFIND"}, []string{"GET"}, "PROPFIND"},
	} {
		f := forwarding(t, c.allowed, "")
		for _, method := range c.forwarded {
			if refusal := f.Refuse(&Request{Method: method, Path: "/"}); refusal != nil {
				t.Errorf("with %q, %s is refused: %+v", c.allowed, method, refusal)
			}
		}
		for _, method := range c.refused {
			if refusal := f.Refuse(&Request{Method: method, Path: "/"}); refusal == nil || refusal.Status != 405 || !strings.Contains(refusal.Detail, method) {
				t.Errorf("with %q, %s: %+v, want 405", c.allowed, method, refusal)
			}
		}
		if got := f.Allow(); got != c.allow {
			t.Errorf("with %q, Allow is %s, want %s", c.allowed, got, c.allow)
		}
	}
}

func TestPathsAreForwardedAsTheEnvironmentSays(t *testing.T) {
	f := forwarding(t, "", "/orders /a,b /v1/caf%C3%A9")
	for path, status := range map[string]int{
		"/orders": 0, "/orders/5": 0, "/a,b": 0, "/a,b/c": 0, "/v1/caf%C3%A9/x": 0,
		"/": 403, "/a": 403, "/b": 403, "/ordersX": 403, "/v1": 403, "/v1/orders": 403,
		"/orders/../admin": 400, "/orders/%2e%2e/admin": 400, "/orders/..%c0%afadmin": 400, "/orders/..%20/admin": 400,
	} {
		refusal := f.Refuse(&Request{Method: "GET", Path: path})
		if refusal == nil && status != 0 || refusal != nil && refusal.Status != status {
			t.Errorf("%s: %+v, want %d", path, refusal, status)
		}
	}
}

func TestFieldsThatAskForAnotherMethodOrPathAreLookedAt(t *testing.T) {
	limited := forwarding(t, "GET,POST,COPY", "/orders")
	for _, c := range []struct {
		f           Forwarding
		method      string
		name, value string
		status      int
	}{
		{limited, "POST", "x-http-method-override", "DELETE", 405},
		{limited, "POST", "x-http-method-override", "delete", 405},
		{limited, "POST", "x-http-method-override", "GET, DELETE", 405},
		{limited, "POST", "X-HTTP-Method", "PUT", 405},
		{limited, "GET", "x-method-override", "PUT", 405},
		{limited, "GET", "x_http_method_override", "PUT", 405},
		{limited, "POST", "x-http-method-override", "GET", 0},
		{limited, "POST", "x-http-method-override", "get", 0},
		{limited, "POST", "x-http-method-override", "", 0},
		{limited, "GET", "x-original-url", "/admin", 403},
		{limited, "GET", "x-rewrite-url", "/admin", 403},
		{limited, "GET", "X_Original_URL", "/admin", 403},
		{limited, "COPY", "destination", "https://api.example.com/admin", 403},
		{limited, "POST", "destination", "Berlin", 0},
		{Forwarding{}, "POST", "x-http-method-override", "DELETE", 0},
		{Forwarding{}, "POST", "x-http-method-override", "TRACE", 405},
		{Forwarding{}, "GET", "x-original-url", "/admin", 0},
		{Forwarding{}, "MOVE", "destination", "https://api.example.com/admin", 0},
	} {
		refusal := c.f.Refuse(&Request{Method: c.method, Path: "/orders", Headers: map[string]string{c.name: c.value}})
		if refusal == nil && c.status != 0 || refusal != nil && refusal.Status != c.status {
			t.Errorf("%s with %s: %s is %+v, want %d", c.method, c.name, c.value, refusal, c.status)
		}
	}
}

func TestWhatCannotBeForwardedIsRefused(t *testing.T) {
	for what, r := range map[string]Request{
		"no method":                       {Path: "/"},
		"CONNECT":                         {Method: "CONNECT", Path: "/"},
		"connect":                         {Method: "connect", Path: "/"},
		"a method that is two":            {Method: "GET POST", Path: "/"},
		"a method with a line break":      {Method: "GET\r\nX: y", Path: "/"},
		"a method that is not ASCII":      {Method: "GÉT", Path: "/"},
		"a path that climbs":              {Method: "GET", Path: "/a/../b"},
		"a path that is none":             {Method: "GET", Path: "@elsewhere.example/"},
		"no path":                         {Method: "GET"},
		"a line break in the query":       {Method: "GET", Path: "/", Query: "a=1\r\nx: y"},
		"a space in the query":            {Method: "GET", Path: "/", Query: "a=1 HTTP/1.1"},
		"a fragment behind the query":     {Method: "GET", Path: "/", Query: "a=1#b"},
		"a line break in a field":         {Method: "GET", Path: "/", Headers: map[string]string{"x": "a\r\ny: b"}},
		"a NUL in a field":                {Method: "GET", Path: "/", Headers: map[string]string{"x": "a\x00"}},
		"a delete in a field":             {Method: "GET", Path: "/", Headers: map[string]string{"x": "\x7f"}},
		"a line feed in a dropped field":  {Method: "GET", Path: "/", Headers: map[string]string{"connection": "\n"}},
		"a field without a name":          {Method: "GET", Path: "/", Headers: map[string]string{"": "a"}},
		"a field with a colon in it":      {Method: "GET", Path: "/", Headers: map[string]string{"x:y": "a"}},
		"a field with a space in it":      {Method: "GET", Path: "/", Headers: map[string]string{"x y": "a"}},
		"a field with a line break in it": {Method: "GET", Path: "/", Headers: map[string]string{"x\r\ny": "a"}},
	} {
		refusal := Forwarding{}.Refuse(&r)
		if refusal == nil || refusal.Status != 400 {
			t.Errorf("%s: %+v, want 400", what, refusal)
			continue
		}
		if strings.ContainsFunc(refusal.Detail, func(r rune) bool { return r > '~' || unicode.IsControl(r) }) {
			t.Errorf("%s: the detail is not printable: %q", what, refusal.Detail)
		}
	}
	ordinary := Request{Method: "GET", Path: "/", Query: "q=%20%0a&x[]=1", Headers: map[string]string{"accept": "*/*", "x-tab": "a\tb", "x-name": "café", "x-empty": ""}}
	if refusal := (Forwarding{}).Refuse(&ordinary); refusal != nil {
		t.Errorf("an ordinary request is refused: %+v", refusal)
	}
}

func TestAllProblemsOfWhatIsAllowedAreReportedAtOnce(t *testing.T) {
	_, err := ForwardingFrom(func(name string) string {
		return map[string]string{"UPSTREAM_ALLOWED_METHODS": "GET,get,CONNECT,(", "UPSTREAM_ALLOWED_PATHS": "/orders orders /a/../b"}[name]
	})
	if err == nil {
		t.Fatal("it is taken")
	}
	for _, want := range []string{
		`UPSTREAM_ALLOWED_METHODS: "get" is not in capitals`, `"CONNECT" cannot be forwarded`, `"(" is not a method such as GET`,
		`UPSTREAM_ALLOWED_PATHS: "orders" does not start with a slash`, `"/a/../b" holds a dot segment`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the message does not say %s:\n%v", want, err)
		}
	}
	if lines := strings.Count(err.Error(), "\n") + 1; lines != 5 {
		t.Errorf("%d lines; want 5:\n%v", lines, err)
	}
}

func TestFieldsThatAreNotForTheUpstreamAreRemoved(t *testing.T) {
	headers := map[string]string{
		"accept": "*/*", "authorization": "Bearer token", "x-api-key": "k", "via": "1.1 gateway", "cookie": "a=1", "x-forwarded": "stays", "x-amz": "stays", "x-amzn": "stays", "forwarded-to": "stays",

		"connection": "close, X-Private,\tx-Other ,", "x-private": "a", "X-Other": "b",
		"keep-alive": "timeout=5", "proxy-connection": "close", "proxy-authenticate": "Basic", "proxy-authorization": "Basic eA==", "te": "trailers",
		"trailer": "x-sum", "transfer-encoding": "chunked", "upgrade": "websocket", "content-length": "5", "expect": "100-continue", "host": "a",
		"forwarded": "for=192.0.2.1", "x-forwarded-for": "192.0.2.1", "X-Forwarded-Host": "a", "x_forwarded_for": "192.0.2.1", "x-forwarded-anything": "a",
		"x-amz-date": "1", "x-amz-security-token": "t", "X-Amz-Content-Sha256": "0", "x-amz-target": "a", "x-amz-meta-a": "a", "x_amz_date": "1",
		"x-amzn-trace-id": "Root=1", "x-amzn-tls-version": "TLSv1.3", "x-amzn-tls-cipher-suite": "a", "x-amzn-requestid": "r", "x-amzn-oidc-identity": "root", "X-Amzn-Oidc-Data": "a", "x_amzn_oidc_identity": "root",
		"Transfer_Encoding": "chunked", "TRANSFER-ENCODING": "chunked",
	}
	want := map[string]string{
		"accept": "*/*", "authorization": "Bearer token", "x-api-key": "k", "via": "1.1 gateway", "cookie": "a=1", "x-forwarded": "stays", "x-amz": "stays", "x-amzn": "stays", "forwarded-to": "stays",
	}
	Forwarding{}.RemoveFields(headers)
	if diff := cmp.Diff(want, headers); diff != "" {
		t.Errorf("other fields are left (-want +got):\n%s", diff)
	}
	Forwarding{}.RemoveFields(nil)
}

func TestAnUpstreamCannotSpeakForTheGatewayOrForAWS(t *testing.T) {
	headers := map[string]string{
		"content-type": "text/plain", "etag": `"v1"`, "retry-after": "5", "x-should-retry": "true", "x-amzn-bedrock-model": "m", "x-amz-version-id": "1", "x-amz-request-id": "s3", "via": "1.1 origin", "www-authenticate": "Basic",

		"x-amzn-requestid": "forged", "x-amzn-trace-id": "Root=1", "x-amzn-errortype": "AccessDenied", "x-amz-function-error": "Unhandled", "x-amz-executed-version": "1", "x-amz-log-result": "eA==",
		"x-amzn-remapped-www-authenticate": "Basic", "x-amzn-remapped-date": "now", "x-amzn-remapped-anything": "a", "idempotent-replayed": "true",
		"preference-applied": "wait=600, return=minimal, Attempts = 9", "proxy-status": "proxy-1; received-status=200",
	}
	want := map[string]string{
		"content-type": "text/plain", "etag": `"v1"`, "retry-after": "5", "x-should-retry": "true", "x-amzn-bedrock-model": "m", "x-amz-version-id": "1", "x-amz-request-id": "s3", "via": "1.1 origin", "www-authenticate": "Basic",
		"preference-applied": "return=minimal",
	}
	Forwarding{}.RemoveForged(headers)
	if diff := cmp.Diff(want, headers); diff != "" {
		t.Errorf("other fields are left (-want +got):\n%s", diff)
	}
	Forwarding{}.RemoveForged(nil)
}

func TestFieldsForAWSGoBothWaysWhereRequestsAreSignedForIt(t *testing.T) {
	f, err := ForwardingFrom(func(name string) string { return map[string]string{"UPSTREAM_AWS_FIELDS": "true"}[name] })
	if err != nil {
		t.Fatal(err)
	}
	sent := map[string]string{
		"x-amz-target": "DynamoDB_20120810.GetItem", "x-amz-meta-a": "a", "X-Amz-Acl": "private", "accept": "*/*",
		"x-amz-date": "1", "x-amz-security-token": "t", "X-Amz-Content-Sha256": "0", "x_amz_date": "1", "x-amz-signature": "a", "x-amz-decoded-content-length": "5",
		"x-amzn-trace-id": "Root=1", "x-amzn-oidc-identity": "root", "x-forwarded-for": "192.0.2.1", "host": "a",
	}
	f.RemoveFields(sent)
	if diff := cmp.Diff(map[string]string{"x-amz-target": "DynamoDB_20120810.GetItem", "x-amz-meta-a": "a", "X-Amz-Acl": "private", "accept": "*/*"}, sent); diff != "" {
		t.Errorf("other fields go upstream (-want +got):\n%s", diff)
	}
	answered := map[string]string{"x-amzn-errortype": "ResourceNotFoundException", "x-amzn-requestid": "forged", "x-amz-function-error": "Unhandled", "x-amz-id-2": "a"}
	f.RemoveForged(answered)
	if diff := cmp.Diff(map[string]string{"x-amzn-errortype": "ResourceNotFoundException", "x-amz-id-2": "a"}, answered); diff != "" {
		t.Errorf("other fields come back (-want +got):\n%s", diff)
	}
	if _, err := ForwardingFrom(func(name string) string { return map[string]string{"UPSTREAM_AWS_FIELDS": "yes"}[name] }); err == nil || !strings.Contains(err.Error(), `UPSTREAM_AWS_FIELDS is "yes"`) {
		t.Errorf("yes gives %v", err)
	}
}

func TestMembersOfProxyStatusThatAreNamedLikeOursAreTakenOut(t *testing.T) {
	for field, want := range map[string]string{
		"cdn; received-status=200":                                "cdn; received-status=200",
		"cdn;  received-status=200 ,  ExampleCDN;error=dns_error": "cdn;  received-status=200 ,  ExampleCDN;error=dns_error", // as it was written
		`"edge.example"; details="a, proxy-1; b"`:                 `"edge.example"; details="a, proxy-1; b"`,
		"proxy-1": "",
		"proxy-1; received-status=200, proxy-22; error=dns_error": "",
		"cdn; received-status=200, proxy-9; received-status=500":  "cdn;received-status=200",
		`proxy-9, cdn; details="x, \"y\"", proxy-10`:              `cdn;details="x, \"y\""`,
		`"proxy-1", cdn`:        "cdn",
		"Proxy-1, PROXY-2, cdn": "cdn",
		"proxy-007, cdn":        "cdn",
		"proxy-1x, proxy-, proxy, myproxy-1, proxy-1.example": "proxy-1x, proxy-, proxy, myproxy-1, proxy-1.example",
		"cdn; received-status=200; a=(":                       "", // no list: ours behind it could not be read
		`cdn; details="caf` + "\u00e9" + `"`:                  "",
		"cdn,":                                                "",
		"1.1 varnish":                                         "",
		"":                                                    "",
	} {
		headers := map[string]string{"proxy-status": field}
		Forwarding{}.RemoveForged(headers)
		if got := headers["proxy-status"]; got != want {
			t.Errorf("%s became %s, want %s", field, got, want)
		}
		if _, found := headers["proxy-status"]; found != (want != "") {
			t.Errorf("%s: an empty field is left", field)
		}
	}
}

func FuzzFieldsThatMustNotPassDoNot(f *testing.F) {
	for _, seed := range [][4]string{
		{"connection", "x-a, close", "x-a", "b"},
		{"Connection", "Keep-Alive", "CONNECTION", "x-forwarded-for"},
		{"x_forwarded_for", "192.0.2.1", "X-Amzn-Oidc-Identity", "root"},
		{"x-amz-target", "a", "X-AMZ-SECURITY-TOKEN", "t"},
		{"proxy-status", "cdn, proxy-1; received-status=200", "preference-applied", "wait=1, return=minimal"},
		{"proxy-status", `"proxy-1";a, (a b);c`, "idempotent-replayed", "true"},
		{"x-amzn-remapped-date", "a", "x-amzn-requestid", "b"},
		{"transfer-encoding", "chunked", "content-length", "1"},
		{"\u212Aeep-alive", "a", "te\u017F", "b"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, name, value, name2, value2 string) {
		sent := map[string]string{name: value, name2: value2}
		before := maps.Clone(sent)
		Forwarding{}.RemoveFields(sent)
		for name, value := range sent {
			lower := strings.ReplaceAll(strings.ToLower(name), "_", "-")
			switch {
			case before[name] != value:
				t.Fatalf("the field %q became %q", name, value)
			case strings.HasPrefix(lower, "x-amz-"), strings.HasPrefix(lower, "x-amzn-"), strings.HasPrefix(lower, "x-forwarded-"),
				strings.Contains(" connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade host content-length expect forwarded ", " "+lower+" "):
				t.Fatalf("the field %q goes upstream", name)
			}
			for option, options := range before {
				if strings.EqualFold(option, "connection") && strings.EqualFold(strings.Trim(options, " \t"), name) && name != "" {
					t.Fatalf("the field %q goes upstream although Connection names it", name)
				}
			}
		}
		answered := map[string]string{strings.ToLower(name): value, strings.ToLower(name2): value2}
		Forwarding{}.RemoveForged(answered)
		for name, value := range answered {
			switch {
			case strings.HasPrefix(name, "x-amzn-remapped-"), strings.Contains(" idempotent-replayed x-amzn-requestid x-amzn-trace-id x-amzn-errortype x-amz-function-error ", " "+name+" "):
				t.Fatalf("the field %q comes back", name)
			case name == "proxy-status":
				others, err := ownMembers(value)
				if err != nil || others > 0 {
					t.Fatalf("Proxy-Status comes back as %q: %d members are ours, %v", value, others, err)
				}
			case name == "preference-applied":
				for _, member := range Members(value) {
					if p, _, _ := strings.Cut(strings.ToLower(member), "="); strings.Trim(p, " \t") == "wait" || strings.Trim(p, " \t") == "attempts" {
						t.Fatalf("Preference-Applied comes back as %q", value)
					}
				}
			}
		}
	})
}

// ownMembers counts the members of a Proxy-Status that are named like our proxies, of whatever type their names are.
func ownMembers(field string) (int, error) {
	list, err := httpsfv.UnmarshalList([]string{field})
	if err != nil {
		return 0, err
	}
	own := 0
	for _, member := range list {
		if item, ok := member.(httpsfv.Item); ok && ourName.MatchString(fmt.Sprint(item.Value)) {
			own++
		}
	}
	return own, nil
}

var ourName = regexp.MustCompile(`(?i)^\s*proxy-[0-9]+\s*$`)
