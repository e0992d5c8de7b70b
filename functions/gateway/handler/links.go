package handler

import (
	"net/url"
	"strings"

	"github.com/aws/aws-lambda-go/events"
)

// A linkRewriter makes links to an upstream lead to the endpoint, so that whoever follows one still comes through here.
// What it rewrites is a URI whose origin (RFC 6454) is that of one of the bases and whose path lies below that of the base.
type linkRewriter []*url.URL

// linkFields are the fields of an answer that hold one URI.
var linkFields = []string{"location", "content-location"}

// rewrite rewrites the links in the fields of an answer. endpoint is where the request came to, scheme and host; if it is
// empty, nothing is rewritten.
func (l linkRewriter) rewrite(headers map[string]string, endpoint string) {
	if endpoint == "" {
		return
	}
	for _, name := range linkFields {
		if reference, found := headers[name]; found {
			headers[name] = l.reference(reference, endpoint)
		}
	}
	if field, found := headers["link"]; found {
		headers["link"] = l.links(field, endpoint)
	}
}

// links rewrites a Link field, RFC 8288 section 3: a list of URIs in angle brackets, each with parameters, which may hold
// angle brackets in quotes.
func (l linkRewriter) links(field, endpoint string) string {
	var b strings.Builder
	for rest, quoted := field, false; rest != ""; {
		c := rest[0]
		end := strings.IndexByte(rest, '>')
		switch {
		case quoted && c == '\\' && len(rest) > 1:
			b.WriteString(rest[:2])
			rest = rest[2:]
			continue
		case c == '"':
			quoted = !quoted
		case c == '<' && !quoted && end > 0:
			b.WriteString("<" + l.reference(rest[1:end], endpoint) + ">")
			rest = rest[end+1:]
			continue
		}
		b.WriteByte(c)
		rest = rest[1:]
	}
	return b.String()
}

// reference rewrites one URI reference. A path is as much a link to the upstream as a whole URI, and is rewritten only
// where the base has a path, which the endpoint has not.
func (l linkRewriter) reference(text, endpoint string) string {
	target, err := url.Parse(strings.Trim(text, " \t"))
	if err != nil || target.User != nil || target.Opaque != "" {
		return text
	}
	for _, base := range l {
		prefix := strings.TrimSuffix(base.EscapedPath(), "/")
		absolute := target.Host != ""
		resolved := base.ResolveReference(target) // without dot segments
		if absolute && !sameOrigin(resolved, base) || !absolute && (prefix == "" || !strings.HasPrefix(target.Path, "/")) {
			continue
		}
		path, below := strings.CutPrefix(resolved.EscapedPath(), prefix)
		if !below || path != "" && !strings.HasPrefix(path, "/") {
			continue
		}
		rewritten := path
		if absolute {
			rewritten = endpoint + path
		}
		if path == "" && (prefix != "" || !absolute) {
			rewritten += "/"
		}
		if target.ForceQuery || target.RawQuery != "" {
			rewritten += "?" + target.RawQuery
		}
		if target.Fragment != "" {
			rewritten += "#" + target.EscapedFragment()
		}
		return rewritten
	}
	return text
}

// sameOrigin says whether two URLs have one origin, RFC 6454 section 5: scheme, host and port.
func sameOrigin(a, b *url.URL) bool {
	return strings.EqualFold(a.Scheme, b.Scheme) && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	if given := u.Port(); given != "" {
		return given
	}
	return map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)]
}

// endpoint is the origin that a request came to, as its caller wrote it, or nothing if that cannot be told.
func endpoint(event *events.LambdaFunctionURLRequest) string {
	host, scheme := field(event, "host"), field(event, "x-forwarded-proto")
	if host == "" {
		host = event.RequestContext.DomainName
	}
	if scheme == "" {
		scheme = "https"
	}
	origin := scheme + "://" + host
	parsed, err := url.Parse(origin)
	if err != nil || parsed.Host == "" || parsed.Host != host || scheme != "https" && scheme != "http" {
		return ""
	}
	return origin
}
