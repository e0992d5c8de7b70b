package contract

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// kept are the fields that a function URL does not let through in an answer, beside those of one connection and those of AWS:
// it writes its own, or renames them.
var kept = []string{"date", "www-authenticate"}

// mostField is how long a field of the scripted upstream may be. How long AWS lets it be is not documented.
const mostField = 8 << 10

// retryDate is a Retry-After that is a moment.
var retryDate = regexp.MustCompile(`^(?i:retry-after): *(\{date|[A-Z])`)

// unfit says why a case cannot be played by a function behind a function URL: because it breaks connections, or because what it
// says of a message does not survive the URL.
func (r *Remote) unfit(c *Case) string {
	for _, request := range c.every() {
		for _, reply := range request.Upstream {
			if reason := reply.unfitForURL(); reason != "" {
				return reason
			}
		}
		for _, name := range []string{"Content-Length", "Transfer-Encoding"} {
			if request.Raw == nil && request.Arrives.speaksOf(name) {
				return "it is about the " + name + " of what arrives, which the upstream's function URL does not tell"
			}
		}
		if request.Answer.speaksOf("Content-Type") && request.Answer.Problem == nil && slices.ContainsFunc(request.Upstream, Reply.bare) {
			return "it has the upstream send no Content-Type, and a function URL adds one"
		}
	}
	return ""
}

// bare says whether an answer has no Content-Type.
func (r Reply) bare() bool {
	return !slices.ContainsFunc(r.Fields, func(line Text) bool { return strings.EqualFold(fieldOf(string(line)).name, "Content-Type") })
}

// unfitForURL says why a function behind a function URL cannot give a reply, or nothing.
func (r *Reply) unfitForURL() string {
	switch {
	case r.silent():
		return ""
	case r.Then != "":
		return "it has the upstream break a connection, which a function cannot"
	case r.Raw != nil:
		return "it has the upstream write an answer by itself, which a function URL does not let it"
	case r.Early:
		return "it has the upstream answer before the request is there, and a function is not called before"
	case r.Status < http.StatusOK || r.Status > 599:
		return fmt.Sprintf("it has the upstream answer with %d, which a function URL does not let it", r.Status)
	}
	named := map[string]bool{}
	dated := slices.ContainsFunc(r.Fields, func(line Text) bool { return strings.EqualFold(fieldOf(string(line)).name, "Date") })
	for _, line := range r.Fields {
		f := fieldOf(values{}.atRest(line.bytes()))
		name := strings.ToLower(f.name)
		switch {
		case name == "date" && f.value == "{date}":
			// The function URL says the same.
		case slices.Contains(oneConnection, name) || slices.Contains(kept, name) || strings.HasPrefix(name, "x-amz"):
			return "it has the upstream send " + http.CanonicalHeaderKey(name) + ", which a function URL keeps to itself or renames"
		case !utf8.ValidString(f.value):
			return "it has the upstream send bytes that are not UTF-8 in a field, and the answer of a function is JSON"
		case len(f.value) > mostField:
			return "it has the upstream send a field that is longer than a function URL is known to let through"
		case named[name] && name != "set-cookie":
			return "it has the upstream send a field twice, and a function URL has each once"
		case retryDate.MatchString(string(line)) && !dated:
			return "it has the upstream send no Date, and a function URL adds one"
		}
		named[name] = true
	}
	return ""
}
