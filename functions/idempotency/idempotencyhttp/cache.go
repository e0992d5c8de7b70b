package idempotencyhttp

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A Cache says which header fields for caches recorded responses get, where the handler has set none. Only those with the
// status 2xx, 301 or 308 get any: a browser would keep a recorded 404 for as long as its max-age says, without asking again.
type Cache struct {
	// ETag adds an entity tag to 2xx, so that a client can repeat a request with If-None-Match; see [Options.NotModified].
	// Default: false.
	//
	// It is a tag of the response's body. After a PUT, or in a 201, HTTP has it mean the resource (RFC 9110, sections 9.3.4
	// and 15.3.2), so where clients send If-Match for resources, the handler has to set the ETag itself.
	ETag bool

	// MaxAge adds Cache-Control: private, max-age=…, as far as the record lives that long; in seconds. It also adds
	// Idempotency-Key to Vary, since a cache would answer a GET with one key from its copy for another otherwise (RFC 9111,
	// section 4.1). Default: 0, none.
	MaxAge time.Duration

	// Vary adds these field names to Vary, if there is none, or if MaxAge has added Cache-Control. Default: none.
	Vary []string
}

// Decorate adds the fields to a recorded response. left is how long its record still lives.
func (c Cache) Decorate(r Response, left time.Duration) Response {
	r = r.withHeaders()
	success := succeeded(r.StatusCode)
	if !success && r.StatusCode != http.StatusMovedPermanently && r.StatusCode != http.StatusPermanentRedirect {
		return r
	}
	if c.ETag && success && r.Headers["etag"] == "" {
		r.Headers["etag"] = entityTag(r)
	}
	added := false
	if seconds := int64(min(c.MaxAge, left) / time.Second); c.MaxAge > 0 && r.Headers["cache-control"] == "" && r.Headers["expires"] == "" {
		r.Headers["cache-control"] = "private, max-age=" + strconv.FormatInt(max(seconds, 0), 10)
		added = true
	}
	// A response that is kept because of our max-age must not answer a request with another key, whatever else it varies
	// by.
	if added || r.Headers["vary"] == "" {
		for _, name := range c.Vary {
			vary(r, name)
		}
	}
	if added {
		vary(r, keyFieldName)
	}
	return r
}

// succeeded says whether a status is 2xx.
func succeeded(status int) bool { return status >= 200 && status <= 299 }

// vary adds a name to the Vary field of a response, whose header fields may be changed.
func vary(r Response, name string) {
	switch old := r.Headers["vary"]; {
	case old == "":
		r.Headers["vary"] = name
	case old != "*" && !containsField(old, name):
		r.Headers["vary"] = old + ", " + name
	}
}

// containsField says whether a name is in a list of field names.
func containsField(list, name string) bool {
	for member := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(member), name) {
			return true
		}
	}
	return false
}
