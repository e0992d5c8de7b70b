package idempotencyhttp

import (
	"bytes"
	"encoding/json"
	"strings"
)

const (
	// ReplayedField marks a response that was recorded for an earlier request, with the value true.
	ReplayedField = "idempotent-replayed"

	// ServerCacheHit is the member that marks one in its body.
	ServerCacheHit = "serverCacheHit"
)

// ofBody are the fields that hold for one body only: its length, and its digests by RFC 9530 and by the two fields before it.
var ofBody = []string{"content-length", "content-digest", "repr-digest", "digest", "content-md5"}

// Replayed marks a recorded response as a replay. With inBody, a body that is a JSON object gets the member
// serverCacheHit, true; since the body then differs from the first one, its entity tag becomes a weak one, and the fields
// with its length or a digest of it go. A body with a content coding is left as it is.
func Replayed(r Response, inBody bool) Response {
	r = r.withHeaders()
	r.Headers[ReplayedField] = "true"
	if !inBody || r.IsBase64Encoded || isEncoded(r.Headers["content-encoding"]) || !isJSON(r.Headers["content-type"]) {
		return r
	}
	body, ok := withMember([]byte(r.Body), ServerCacheHit, "true")
	if !ok {
		return r
	}
	r.Body = string(body)
	for _, name := range ofBody {
		delete(r.Headers, name)
	}
	if tag := r.Headers["etag"]; strings.HasPrefix(tag, `"`) {
		r.Headers["etag"] = "W/" + tag
	}
	return r
}

// isEncoded says whether a Content-Encoding is one.
func isEncoded(field string) bool {
	coding := strings.TrimSpace(field)
	return coding != "" && !strings.EqualFold(coding, "identity")
}

// isJSON says whether a media type is JSON. Responses without one may be: API Gateway sends them as such.
func isJSON(mediaType string) bool {
	essence, _, _ := strings.Cut(mediaType, ";")
	essence = strings.ToLower(strings.TrimSpace(essence))
	return essence == "" || essence == "application/json" || strings.HasSuffix(essence, "+json")
}

// withMember adds a member to the end of an object, in the place of one with its name, and leaves the others as they
// are written. It says false for what is no object.
func withMember(document []byte, name, value string) ([]byte, bool) {
	if !json.Valid(document) {
		return nil, false
	}
	decoder := json.NewDecoder(bytes.NewReader(document))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return nil, false
	}
	out := []byte{'{'}
	for decoder.More() {
		before := decoder.InputOffset()
		token, err := decoder.Token()
		if err != nil {
			return nil, false
		}
		var member json.RawMessage
		if err := decoder.Decode(&member); err != nil {
			return nil, false
		}
		if token == name {
			continue
		}
		written := bytes.TrimLeft(document[before:decoder.InputOffset()], ", \t\r\n")
		out = append(append(out, written...), ',')
	}
	out = append(out, `"`+name+`":`+value+`}`...)
	return out, true
}
