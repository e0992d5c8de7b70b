package apiproxy

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// Limits of CloudFormation, AWS::Lambda::Url Cors.
const (
	// maxCorsEntries is how many origins or fields a list can have.
	maxCorsEntries = 100

	// maxCorsOriginLength is how long an origin can be, and maxCorsFieldLength the name of a field.
	maxCorsOriginLength = 253
	maxCorsFieldLength  = 1024

	// maxCorsMethods is how many methods a list can have.
	maxCorsMethods = 6

	// maxCorsAge is the longest that browsers can be told to keep the answer to a preflight.
	maxCorsAge = 24 * time.Hour
)

// corsMethods are the methods that a list can have. Preflights, which are OPTIONS, are always answered.
var corsMethods = []awslambda.HttpMethod{
	awslambda.HttpMethod_GET, awslambda.HttpMethod_HEAD, awslambda.HttpMethod_POST, awslambda.HttpMethod_PUT,
	awslambda.HttpMethod_PATCH, awslambda.HttpMethod_DELETE, awslambda.HttpMethod_ALL,
}

const (
	// wildcard stands for all origins, methods or fields. Where credentials are allowed, it is only a name to browsers
	// (Fetch standard, "CORS protocol and credentials").
	wildcard = "*"

	// opaqueOrigin is what browsers send for pages without an origin. Every page can have itself shown as one.
	opaqueOrigin = "null"

	// keyField is the field that [Idempotency] is about.
	keyField = "Idempotency-Key"
)

// exposedFields are the fields of answers that tell a page what became of its request. Without being told, browsers show
// pages a few only, such as Content-Type.
var exposedFields = []string{"Proxy-Status", "Idempotent-Replayed", "Retry-After", "Location", "Preference-Applied", "X-Amzn-Requestid"}

// cors is what the function URL is told: the prop and, in a copy, the fields that the prop does not expose.
func (p RetryingApiProxyProps) cors() *awslambda.FunctionUrlCorsOptions {
	if p.Cors == nil {
		return nil
	}
	options := *p.Cors
	exposed := stringsOf(options.ExposedHeaders)
	if slices.Contains(exposed, wildcard) {
		return &options
	}
	for _, field := range exposedFields {
		if !containsField(exposed, field) {
			exposed = append(exposed, field)
		}
	}
	options.ExposedHeaders = jsii.Strings(exposed...)
	return &options
}

// validateCors returns all problems of the prop Cors in one error, or nil. It assumes props that have their defaults.
func (p RetryingApiProxyProps) validateCors() error {
	if p.Cors == nil {
		return nil
	}
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf("Cors."+format, args...)) }
	credentials := p.Cors.AllowCredentials != nil && *p.Cors.AllowCredentials

	origins := stringsOf(p.Cors.AllowedOrigins)
	if len(origins) == 0 {
		problem("AllowedOrigins is empty, so that no page may call; give origins such as https://www.example.com, or *")
	}
	if len(origins) > maxCorsEntries {
		problem("AllowedOrigins has %d origins; give %d at most", len(origins), maxCorsEntries)
	}
	for _, origin := range origins {
		switch anyPage := origin == wildcard || origin == opaqueOrigin; {
		case isToken(origin), isListToken(origin):
			// Known at deployment only.
		case anyPage && credentials:
			problem("AllowedOrigins has %q, but with AllowCredentials every page could then act as whoever looks at it; name the origins", origin)
		case !anyPage && !isOrigin(origin):
			problem("AllowedOrigins has %q; give origins as browsers send them, such as https://www.example.com or http://localhost:3000, or *", origin)
		case len(origin) > maxCorsOriginLength:
			problem("AllowedOrigins has an origin of %d characters; give %d at most", len(origin), maxCorsOriginLength)
		}
	}

	methods := []awslambda.HttpMethod{awslambda.HttpMethod_ALL} // the CDK's default
	if p.Cors.AllowedMethods != nil {
		methods = *p.Cors.AllowedMethods
	}
	if len(methods) == 0 {
		problem("AllowedMethods is empty; name methods, or leave it out for all")
	}
	if len(methods) > maxCorsMethods {
		problem("AllowedMethods has %d methods; give %d at most, or leave it out for all", len(methods), maxCorsMethods)
	}
	for _, method := range methods {
		switch {
		case !slices.Contains(corsMethods, method):
			problem("AllowedMethods has %q; give any of %q. Preflights, which are OPTIONS, are always answered", method, corsMethods)
		case method == awslambda.HttpMethod_ALL && credentials:
			problem("AllowedMethods is ALL, or is left out, but with AllowCredentials browsers take * for a method of that name; name the methods")
		}
	}

	allowed, exposed := stringsOf(p.Cors.AllowedHeaders), stringsOf(p.Cors.ExposedHeaders)
	for _, list := range []struct {
		prop  string
		given *[]*string
		names []string
		most  int
	}{
		{"AllowedHeaders", p.Cors.AllowedHeaders, allowed, maxCorsEntries},
		{"ExposedHeaders", p.Cors.ExposedHeaders, exposed, maxCorsEntries - len(exposedFields)},
	} {
		if list.given != nil && len(list.names) == 0 {
			problem("%s is empty; name header fields, or leave it out", list.prop)
		}
		if len(list.names) > list.most {
			problem("%s has %d names; give %d at most", list.prop, len(list.names), list.most)
		}
		for _, name := range list.names {
			switch {
			case isToken(name), isListToken(name):
				// Known at deployment only.
			case name == wildcard && credentials:
				problem("%s has *, but with AllowCredentials browsers take it for a field of that name; name the fields", list.prop)
			case !message.IsToken(name):
				problem("%s has %q, which is not the name of a header field; give one in each entry", list.prop, name)
			case len(name) > maxCorsFieldLength:
				problem("%s has a name of %d characters; give %d at most", list.prop, len(name), maxCorsFieldLength)
			}
		}
	}
	if slices.ContainsFunc(exposed, isListToken) {
		problem("ExposedHeaders is known at deployment only; write the list out, since %s are added to it", strings.Join(exposedFields, ", "))
	}
	mayBeKey := func(name string) bool {
		return strings.EqualFold(name, keyField) || name == wildcard || isToken(name) || isListToken(name)
	}
	if p.needsKeyOf(methods) && !slices.ContainsFunc(allowed, mayBeKey) {
		problem("AllowedHeaders does not have %s, so that no page can send the key that Idempotency.Required asks for; add it", keyField)
	}

	if age := p.Cors.MaxAge; age != nil && !*age.IsUnresolved() {
		given := time.Duration(*age.ToSeconds(&awscdk.TimeConversionOptions{Integral: jsii.Bool(false)}) * float64(time.Second))
		if given > maxCorsAge || given%time.Second != 0 {
			problem("MaxAge is %v; give whole seconds, up to %v", given, maxCorsAge)
		}
	}
	return errors.Join(problems...)
}

// needsKeyOf says whether requests with any of these methods need a key.
func (p RetryingApiProxyProps) needsKeyOf(methods []awslambda.HttpMethod) bool {
	switch p.Idempotency.Required {
	case KeyAlwaysRequired:
		return true
	case KeyRequiredForUnsafe:
		return slices.ContainsFunc(methods, func(method awslambda.HttpMethod) bool {
			return method != awslambda.HttpMethod_GET && method != awslambda.HttpMethod_HEAD
		})
	}
	return false
}

// isOrigin says whether a text is an origin as browsers write it: in lower case, without a default port, and with nothing
// behind the host (Fetch standard, "`Origin` header"). URLs compare it as it is.
func isOrigin(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || text != u.Scheme+"://"+u.Host || strings.Contains(text, wildcard) {
		return false
	}
	if u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80" {
		return false
	}
	return !strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII || unicode.IsUpper(r) })
}

// stringsOf are the strings of a list that the CDK takes.
func stringsOf(list *[]*string) []string {
	if list == nil {
		return nil
	}
	texts := make([]string, len(*list))
	for i, text := range *list {
		if text != nil {
			texts[i] = *text
		}
	}
	return texts
}

// containsField says whether a list has the name of a field, however it is spelled.
func containsField(names []string, field string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, field) })
}

// isListToken says whether a string stands for a whole list, which is known at deployment only.
func isListToken(text string) bool { return strings.HasPrefix(text, "#{Token[") }
