package s3

import (
	"net/http"
	"strings"
	"time"
)

// writeConditions are what has to hold for an object to be written.
type writeConditions struct {
	absent bool   // If-None-Match: *
	match  string // If-Match
}

func writeConditionsIn(header http.Header) (writeConditions, error) {
	for _, name := range []string{"If-Modified-Since", "If-Unmodified-Since"} {
		if header.Get(name) != "" {
			return writeConditions{}, unsupported("the header field %s in PutObject", strings.ToLower(name))
		}
	}
	absent := header.Get("If-None-Match")
	if absent != "" && absent != "*" {
		return writeConditions{}, refusal(CodeNotImplemented, "A header you provided implies functionality that is not implemented").
			with("Header", "If-None-Match")
	}
	return writeConditions{absent: absent != "", match: header.Get("If-Match")}, nil
}

// check checks the conditions against the object that is there, or nil.
func (c writeConditions) check(key string, there *object) error {
	switch {
	case c.absent && there != nil:
		return preconditionFailed("If-None-Match")
	case c.match != "" && there == nil:
		return noSuchKey(key)
	case c.match != "" && !matches(c.match, there.ETag):
		return preconditionFailed("If-Match")
	}
	return nil
}

// checkRead checks the conditions of a request that reads, in the order of RFC 9110 section 13.2.2.
func checkRead(header http.Header, there *object) error {
	modified := there.Modified.Truncate(time.Second)
	since := func(name string) (time.Time, bool) {
		t, err := http.ParseTime(header.Get(name))
		return t, err == nil // what is no date is ignored
	}
	if match := header.Get("If-Match"); match != "" {
		if !matches(match, there.ETag) {
			return preconditionFailed("If-Match")
		}
	} else if t, given := since("If-Unmodified-Since"); given && modified.After(t) {
		return preconditionFailed("If-Unmodified-Since")
	}
	if match := header.Get("If-None-Match"); match != "" {
		if matches(match, there.ETag) {
			return refusal(CodeNotModified, "Not Modified")
		}
	} else if t, given := since("If-Modified-Since"); given && !modified.After(t) {
		return refusal(CodeNotModified, "Not Modified")
	}
	return nil
}

// matches says whether an entity tag is in a list of them, with quotation marks or without.
func matches(list, etag string) bool {
	for one := range strings.SplitSeq(list, ",") {
		one = strings.TrimSpace(one)
		if one == "*" || strings.Trim(strings.TrimPrefix(one, "W/"), `"`) == etag {
			return true
		}
	}
	return false
}
