//go:build !race

package apiproxy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

// shop lets the page of the shop call, and whichever changes say.
func shop(changes ...func(*awslambda.FunctionUrlCorsOptions)) *awslambda.FunctionUrlCorsOptions {
	cors := &awslambda.FunctionUrlCorsOptions{AllowedOrigins: jsii.Strings("https://shop.example")}
	for _, change := range changes {
		change(cors)
	}
	return cors
}

// methods is a list of methods as the CDK takes it.
func methods(names ...awslambda.HttpMethod) *[]awslambda.HttpMethod { return &names }

// exposed are the fields that pages may read without being named.
var exposed = []any{"Proxy-Status", "Idempotent-Replayed", "Retry-After", "Location", "Preference-Applied", "X-Amzn-Requestid"}

func TestPagesOfOtherOriginsMayNotCallByDefault(t *testing.T) {
	for _, name := range []string{"Minimal", "Open", "NoFlags"} {
		if cors := variants()[name].the("AWS::Lambda::Url").at("Cors"); cors != nil {
			t.Errorf("%s: Cors is %v", name, cors)
		}
	}
}

func TestTheUrlIsToldCorsAndWhatPagesNeedToRead(t *testing.T) {
	for name, want := range map[string]map[string]any{
		"Pages": {
			"AllowOrigins":  []any{"https://shop.example"},
			"AllowMethods":  []any{"*"},
			"ExposeHeaders": exposed,
		},
		"Everything": {
			"AllowCredentials": true,
			"AllowOrigins":     []any{"https://shop.example", "http://localhost:3000"},
			"AllowMethods":     []any{"GET", "POST", "DELETE"},
			"AllowHeaders":     []any{"Content-Type", "Idempotency-Key"},
			"ExposeHeaders":    append([]any{"ETag", "retry-after"}, "Proxy-Status", "Idempotent-Replayed", "Location", "Preference-Applied", "X-Amzn-Requestid"),
			"MaxAge":           600.0,
		},
		"PagesThatReadAll": {
			"AllowOrigins":  []any{"*"},
			"AllowMethods":  []any{"*"},
			"AllowHeaders":  []any{"*"},
			"ExposeHeaders": []any{"*"},
			"MaxAge":        0.0,
		},
	} {
		if difference := cmp.Diff(want, variants()[name].the("AWS::Lambda::Url").at("Cors")); difference != "" {
			t.Errorf("%s (-want +got):\n%s", name, difference)
		}
	}
}

// Browsers refuse an answer that has the fields of both.
func TestTheGatewayTakesOutWhatTheUpstreamSaysToPagesIfTheUrlHasCors(t *testing.T) {
	for name, want := range map[string]any{"Pages": "true", "Everything": "true", "Minimal": nil} {
		if got := variants()[name].gateway().at("Environment", "Variables", "CROSS_ORIGIN"); got != want {
			t.Errorf("%s: it is told %v, want %v", name, got, want)
		}
	}
}

func TestThePropCorsIsNotChanged(t *testing.T) {
	names := make([]*string, 1, 10) // with room for more
	names[0] = jsii.String("ETag")
	props := minimal()
	props.Cors = shop(func(c *awslambda.FunctionUrlCorsOptions) { c.ExposedHeaders = &names })
	app := newApp(nothingBundled)
	apiproxy.NewRetryingApiProxy(awscdk.NewStack(app, jsii.String("Stack"), nil), jsii.String("Orders"), props)
	if got := *props.Cors.ExposedHeaders; len(got) != 1 || *got[0] != "ETag" || slices.ContainsFunc(names[:10], func(name *string) bool {
		return name != nil && *name != "ETag"
	}) {
		t.Errorf("it exposes %d fields now, and the list behind it is %v", len(got), names[:10])
	}
}

func TestCorsThatIsAllowed(t *testing.T) {
	for name, cors := range map[string]*awslambda.FunctionUrlCorsOptions{
		"an origin":                   shop(),
		"all origins":                 {AllowedOrigins: jsii.Strings("*")},
		"pages without an origin":     {AllowedOrigins: jsii.Strings("null")},
		"a port":                      {AllowedOrigins: jsii.Strings("http://localhost:3000", "https://shop.example:8443", "http://[::1]:3000")},
		"another scheme":              {AllowedOrigins: jsii.Strings("capacitor://localhost", "chrome-extension://abcdefghijklmnop")},
		"a token":                     {AllowedOrigins: jsii.Strings("https://" + token), AllowedHeaders: jsii.Strings(token)},
		"a list that is a token":      {AllowedOrigins: jsii.Strings(listToken), AllowedHeaders: jsii.Strings(listToken)},
		"a hundred origins":           {AllowedOrigins: jsii.Strings(numbered(100, "https://shop-%d.example")...)},
		"an origin of 253 characters": {AllowedOrigins: jsii.Strings("https://" + strings.Repeat("a", 245))},
		"ninety-four fields":          shop(func(c *awslambda.FunctionUrlCorsOptions) { c.ExposedHeaders = jsii.Strings(numbered(94, "X-%d")...) }),
		"a name of 1,024 characters":  shop(func(c *awslambda.FunctionUrlCorsOptions) { c.AllowedHeaders = jsii.Strings(strings.Repeat("a", 1024)) }),
		"all six methods": shop(func(c *awslambda.FunctionUrlCorsOptions) {
			c.AllowedMethods = methods("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
		}),
		"all methods": shop(func(c *awslambda.FunctionUrlCorsOptions) { c.AllowedMethods = methods("ALL") }),
		"a day":       shop(func(c *awslambda.FunctionUrlCorsOptions) { c.MaxAge = awscdk.Duration_Days(jsii.Number(1)) }),
		"no time":     shop(func(c *awslambda.FunctionUrlCorsOptions) { c.MaxAge = awscdk.Duration_Seconds(jsii.Number(0)) }),
		"credentials, with all else named": shop(func(c *awslambda.FunctionUrlCorsOptions) {
			c.AllowCredentials, c.AllowedMethods = jsii.Bool(true), methods("GET")
		}),
		"no credentials, with nothing named": {
			AllowCredentials: jsii.Bool(false), AllowedOrigins: jsii.Strings("*"), AllowedHeaders: jsii.Strings("*"), ExposedHeaders: jsii.Strings("*"),
		},
	} {
		if err := props(func(p *apiproxy.RetryingApiProxyProps) { p.Cors = cors }).Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCorsThatCannotWorkIsNamedWithWhatIsAllowed(t *testing.T) {
	credentials := func(c *awslambda.FunctionUrlCorsOptions) {
		c.AllowCredentials, c.AllowedMethods = jsii.Bool(true), methods("GET")
	}
	origins := func(origins ...string) *awslambda.FunctionUrlCorsOptions {
		return &awslambda.FunctionUrlCorsOptions{AllowedOrigins: jsii.Strings(origins...)}
	}
	example := []string{"AllowedOrigins has", "https://www.example.com or http://localhost:3000, or *"}
	for name, test := range map[string]struct {
		cors *awslambda.FunctionUrlCorsOptions
		says []string
	}{
		"no origins":                   {&awslambda.FunctionUrlCorsOptions{}, []string{"AllowedOrigins is empty", "https://www.example.com, or *"}},
		"an empty list of origins":     {origins(), []string{"AllowedOrigins is empty"}},
		"an empty origin":              {origins(""), example},
		"an origin that is nil":        {&awslambda.FunctionUrlCorsOptions{AllowedOrigins: &[]*string{nil}}, example},
		"a slash":                      {origins("https://shop.example/"), append(example, `"https://shop.example/"`)},
		"a path":                       {origins("https://shop.example/cart"), example},
		"no scheme":                    {origins("shop.example"), example},
		"no host":                      {origins("https://"), example},
		"a capital letter":             {origins("https://Shop.example"), example},
		"letters beyond ASCII":         {origins("https://bücher.example"), example},
		"the default port":             {origins("https://shop.example:443"), example},
		"a wildcard in a host":         {origins("https://*.example"), example},
		"several origins in one":       {origins("https://shop.example,https://other.example"), example},
		"too many origins":             {origins(numbered(101, "https://shop-%d.example")...), []string{"AllowedOrigins has 101 origins", "100 at most"}},
		"too long an origin":           {origins("https://" + strings.Repeat("a", 246)), []string{"an origin of 254 characters", "253 at most"}},
		"all origins with credentials": {shop(credentials, func(c *awslambda.FunctionUrlCorsOptions) { c.AllowedOrigins = jsii.Strings("*") }), []string{`AllowedOrigins has "*"`, "AllowCredentials", "name the origins"}},
		"no origin with credentials":   {shop(credentials, func(c *awslambda.FunctionUrlCorsOptions) { c.AllowedOrigins = jsii.Strings("null") }), []string{`AllowedOrigins has "null"`, "AllowCredentials"}},
		"all headers with credentials": {shop(credentials, func(c *awslambda.FunctionUrlCorsOptions) { c.AllowedHeaders = jsii.Strings("*") }), []string{"AllowedHeaders has *", "AllowCredentials", "name the fields"}},
		"exposed all with credentials": {shop(credentials, func(c *awslambda.FunctionUrlCorsOptions) { c.ExposedHeaders = jsii.Strings("*") }), []string{"ExposedHeaders has *", "AllowCredentials", "name the fields"}},
		"all methods with credentials": {shop(credentials, func(c *awslambda.FunctionUrlCorsOptions) { c.AllowedMethods = methods("ALL") }), []string{"AllowedMethods is ALL", "AllowCredentials", "name the methods"}},
		"no methods with credentials":  {shop(credentials, func(c *awslambda.FunctionUrlCorsOptions) { c.AllowedMethods = nil }), []string{"AllowedMethods is ALL, or is left out", "AllowCredentials"}},
		"an empty list of methods":     {shop(func(c *awslambda.FunctionUrlCorsOptions) { c.AllowedMethods = methods() }), []string{"AllowedMethods is empty"}},
		"OPTIONS":                      {shop(func(c *awslambda.FunctionUrlCorsOptions) { c.AllowedMethods = methods("GET", "OPTIONS") }), []string{`AllowedMethods has "OPTIONS"`, `"GET" "HEAD" "POST" "PUT" "PATCH" "DELETE" "ALL"`, "always answered"}},
		"seven methods": {shop(func(c *awslambda.FunctionUrlCorsOptions) {
			c.AllowedMethods = methods("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "ALL")
		}), []string{"7 methods", "6 at most"}},
		"an empty list of headers":      {shop(func(c *awslambda.FunctionUrlCorsOptions) { c.AllowedHeaders = jsii.Strings() }), []string{"AllowedHeaders is empty"}},
		"an empty list of exposed ones": {shop(func(c *awslambda.FunctionUrlCorsOptions) { c.ExposedHeaders = jsii.Strings() }), []string{"ExposedHeaders is empty"}},
		"several headers in one": {shop(func(c *awslambda.FunctionUrlCorsOptions) {
			c.AllowedHeaders = jsii.Strings("Content-Type,Authorization")
		}), []string{`AllowedHeaders has "Content-Type,Authorization"`, "one in each entry"}},
		"an empty name":                   {shop(func(c *awslambda.FunctionUrlCorsOptions) { c.ExposedHeaders = jsii.Strings("ETag", "") }), []string{`ExposedHeaders has ""`}},
		"too many headers":                {shop(func(c *awslambda.FunctionUrlCorsOptions) { c.AllowedHeaders = jsii.Strings(numbered(101, "X-%d")...) }), []string{"AllowedHeaders has 101 names", "100 at most"}},
		"too many exposed ones":           {shop(func(c *awslambda.FunctionUrlCorsOptions) { c.ExposedHeaders = jsii.Strings(numbered(95, "X-%d")...) }), []string{"ExposedHeaders has 95 names", "94 at most"}},
		"too long a name":                 {shop(func(c *awslambda.FunctionUrlCorsOptions) { c.AllowedHeaders = jsii.Strings(strings.Repeat("a", 1025)) }), []string{"a name of 1025 characters", "1024 at most"}},
		"exposed ones that are not known": {shop(func(c *awslambda.FunctionUrlCorsOptions) { c.ExposedHeaders = jsii.Strings(listToken) }), []string{"ExposedHeaders is known at deployment only", "Proxy-Status"}},
		"more than a day":                 {shop(func(c *awslambda.FunctionUrlCorsOptions) { c.MaxAge = awscdk.Duration_Seconds(jsii.Number(86401)) }), []string{"MaxAge is 24h0m1s", "up to 24h0m0s"}},
		"half a second":                   {shop(func(c *awslambda.FunctionUrlCorsOptions) { c.MaxAge = awscdk.Duration_Millis(jsii.Number(500)) }), []string{"MaxAge is 500ms", "whole seconds"}},
	} {
		err := props(func(p *apiproxy.RetryingApiProxyProps) { p.Cors = test.cors }).Validate()
		if err == nil {
			t.Errorf("%s is accepted", name)
			continue
		}
		for _, want := range append(test.says, "Cors.") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the message does not say %q: %v", name, want, err)
			}
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: one mistake is told as several: %v", name, err)
		}
	}
}

func TestPagesMustBeAbleToSendTheKeyThatTheirRequestsNeed(t *testing.T) {
	for _, test := range []struct {
		required apiproxy.KeyRequirement
		methods  *[]awslambda.HttpMethod
		headers  *[]*string
		accepted bool
	}{
		{apiproxy.KeyNeverRequired, nil, nil, true},
		{apiproxy.KeyRequiredForUnsafe, nil, nil, false},
		{apiproxy.KeyRequiredForUnsafe, methods("GET", "POST"), jsii.Strings("Content-Type"), false},
		{apiproxy.KeyRequiredForUnsafe, methods("GET", "HEAD"), nil, true},
		{apiproxy.KeyRequiredForUnsafe, nil, jsii.Strings("idempotency-key"), true},
		{apiproxy.KeyAlwaysRequired, methods("GET"), nil, false},
		{apiproxy.KeyAlwaysRequired, nil, jsii.Strings("Content-Type", "Idempotency-Key"), true},
		{apiproxy.KeyAlwaysRequired, nil, jsii.Strings("*"), true},
		{apiproxy.KeyAlwaysRequired, nil, jsii.Strings(token), true},
		{apiproxy.KeyAlwaysRequired, nil, jsii.Strings(listToken), true},
	} {
		err := props(func(p *apiproxy.RetryingApiProxyProps) {
			p.Idempotency.Required = test.required
			p.Cors = shop(func(c *awslambda.FunctionUrlCorsOptions) {
				c.AllowedMethods, c.AllowedHeaders = test.methods, test.headers
			})
		}).Validate()
		if test.accepted != (err == nil) || err != nil && !strings.Contains(err.Error(), "Cors.AllowedHeaders does not have Idempotency-Key") {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

// listToken is what a list that is known at deployment only looks like before.
const listToken = "#{Token[TOKEN.42]}"

// numbered makes so many texts of a format.
func numbered(n int, format string) []string {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = fmt.Sprintf(format, i)
	}
	return texts
}
