package idempotencyhttp

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"slices"
	"strings"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
)

const (
	// MaxCanonicalBody is the size of the largest JSON document or form, in bytes, that [CanonicalBody] and [BodyFields] look
	// into. A larger one counts as it is written, so that a request cannot keep a small function busy for seconds.
	MaxCanonicalBody = 256 << 10

	// MaxCanonicalParts is how many parts a multipart body can have for [CanonicalBody] to look into it, however large they
	// are.
	MaxCanonicalParts = 1000
)

// Fingerprint is the SHA-256 hash of method, path, query and body as they are written, byte for byte. It is for
// [Options.Fingerprint] where clients are known to repeat requests without any change, as where they sign the body.
func Fingerprint(r Request) string {
	return digest(r.Method, r.Path, r.Query, ExactBody(r))
}

// CanonicalFingerprint is the SHA-256 hash of method, path, query and body by their values: [FingerprintOf] with
// [SortedQuery] and [CanonicalBody]. It is the default of [Options.Fingerprint].
//
// A client that repeats an operation builds the request again, from the same values. Many libraries write the members of an
// object, and the parameters of a query, in the order of a hash table, which may be another one next time; another version
// of the library writes other white space; and a browser that submits a form again draws a new boundary. All that is the
// same operation, and a 422 would have the client draw a new key and do it twice. Header fields do not count: a client may
// send another Accept, User-Agent or traceparent each time.
func CanonicalFingerprint(r Request) string { return canonical(r) }

var canonical = FingerprintOf(SortedQuery, CanonicalBody)

// A Part is a part of a request that counts in a fingerprint, in a form that is the same for all that counts as the same.
type Part func(Request) string

// FingerprintOf makes a rule for [Options.Fingerprint]: the SHA-256 hash of method, path and these parts.
//
//	fields, err := idempotencyhttp.BodyFields("[amount, currency]")
//	…
//	idempotencyhttp.Options{Fingerprint: idempotencyhttp.FingerprintOf(idempotencyhttp.SortedQuery, fields)}
//
// What no part takes in may differ between two requests with one key, and the second one gets the first one's response.
func FingerprintOf(parts ...Part) func(Request) string {
	return func(r Request) string {
		compared := []string{r.Method, r.Path}
		for _, part := range parts {
			compared = append(compared, part(r))
		}
		return digest(compared...)
	}
}

// ExactQuery is the query as it is written.
func ExactQuery(r Request) string { return r.Query }

// SortedQuery is the query with its parameters sorted by name. Those with one name stay in their order, and so do those that
// build one list or object, such as item[][id] and item[][count]: the name counts up to the first bracket.
func SortedQuery(r Request) string { return sortedPairs(r.Query) }

// ExactBody is the body as it is written, byte for byte.
func ExactBody(r Request) string { return string(bodyBytes(r.Body, r.IsBase64Encoded)) }

// CanonicalBody is the body by its value.
//
//   - A JSON object or array is [idempotency.CanonicalJSON]: the order of members, white space and escapes do not count.
//     Numbers do as that form has it: 1.0 and 1.00 are one, 1 and 1.0 are two. What the body is, the body says: many clients
//     send JSON with another Content-Type, or none.
//   - A form (application/x-www-form-urlencoded) is sorted as by [SortedQuery].
//   - A body of parts (multipart/form-data and the like) is the list of its parts, each with its fields and its content; the
//     boundary between them does not count.
//   - Any other body is the body as it is written, and so is one that is not what its type says, JSON and forms of more than
//     MaxCanonicalBody bytes, and more than MaxCanonicalParts parts.
func CanonicalBody(r Request) string {
	body := bodyBytes(r.Body, r.IsBase64Encoded)
	small := len(body) <= MaxCanonicalBody
	if start := bytes.TrimLeft(body, " \t\r\n"); small && len(start) > 0 && (start[0] == '{' || start[0] == '[') {
		if document, err := idempotency.CanonicalJSON(body); err == nil {
			return "json\n" + string(document)
		}
	}
	mediaType, parameters, err := mime.ParseMediaType(r.Headers["content-type"])
	switch {
	case err != nil:
	case small && mediaType == "application/x-www-form-urlencoded":
		return "form\n" + sortedPairs(string(body))
	case strings.HasPrefix(mediaType, "multipart/") && parameters["boundary"] != "":
		if parts, ok := partsOf(body, parameters["boundary"]); ok {
			return mediaType + "\n" + strings.Join(parts, "\n")
		}
	}
	return "bytes\n" + string(body)
}

// BodyFields is what a JMESPath expression selects in the JSON of the body, such as "[amount, currency]" or "order.id"; see
// [idempotency.Config.Key] for what it may be. It is payload_validation_jmespath of Powertools, with the body as its
// document. If nothing is selected, that is null. A body that is not JSON, on which the expression cannot be evaluated, or of
// more than MaxCanonicalBody bytes is taken as it is written. The error says what is wrong with the expression.
func BodyFields(expression string) (Part, error) {
	selection, err := idempotency.NewSelection(expression)
	if err != nil {
		return nil, fmt.Errorf("idempotencyhttp.BodyFields `%s`: %w", expression, err)
	}
	return func(r Request) string {
		body := bodyBytes(r.Body, r.IsBase64Encoded)
		if len(body) <= MaxCanonicalBody {
			if selected, err := selection.Canonical(body); err == nil {
				return "selected\n" + string(selected)
			}
		}
		return "bytes\n" + string(body)
	}, nil
}

// HeaderFields is the values of the header fields with these names, in any case: for fields that say what is to be done, such
// as Content-Type or the version of an API.
func HeaderFields(names ...string) Part {
	lower := make([]string, len(names))
	for i, name := range names {
		lower[i] = strings.ToLower(name)
	}
	return func(r Request) string { return Fields(r.Headers, lower) }
}

// sortedPairs sorts the pairs of a query or a form by the part of their names before the first bracket, and drops empty ones.
func sortedPairs(text string) string {
	type pair struct{ list, text string }
	var pairs []pair
	for text := range strings.SplitSeq(text, "&") {
		if text != "" {
			name, _, _ := strings.Cut(text, "=")
			list, _, _ := strings.Cut(unescaped(name), "[")
			pairs = append(pairs, pair{list, text})
		}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return cmp.Compare(a.list, b.list) })
	sorted := make([]string, len(pairs))
	for i, p := range pairs {
		sorted[i] = p.text
	}
	return strings.Join(sorted, "&")
}

// partsOf returns a digest of each part of a multipart body. It says false for what is no such body, or has too many parts.
func partsOf(body []byte, boundary string) (parts []string, ok bool) {
	for reader := multipart.NewReader(bytes.NewReader(body), boundary); ; {
		part, err := reader.NextRawPart()
		if err == io.EOF {
			return parts, true
		}
		if err != nil || len(parts) == MaxCanonicalParts {
			return nil, false
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return nil, false
		}
		var compared []string
		for _, name := range slices.Sorted(maps.Keys(part.Header)) {
			compared = append(compared, name, strings.Join(part.Header[name], ", "))
		}
		parts = append(parts, digest(append(compared, string(content))...))
	}
}
