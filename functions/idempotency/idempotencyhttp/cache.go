package idempotencyhttp

import (
	"strconv"
	"strings"
	"time"
)

// A Cache says which header fields for caches recorded responses get, where the handler has set none.
type Cache struct {
	// ETag adds an entity tag, so that a client can repeat a request with If-None-Match and get 304. Default: false.
	ETag bool

	// MaxAge adds Cache-Control: private, max-age=…, as far as the record lives that long; in seconds. Default: 0,
	// none.
	MaxAge time.Duration

	// Vary adds these field names to Vary, if there is none, or if MaxAge has added Cache-Control. Default: none.
	Vary []string
}

// Decorate adds the fields to a recorded response. left is how long its record still lives.
func (c Cache) Decorate(r Response, left time.Duration) Response {
	r = r.withHeaders()
	if c.ETag && r.Headers["etag"] == "" {
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
	return r
}

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
