package message

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// An allowedPath is a path below which requests are forwarded: its segments, with their escapes undone.
type allowedPath []string

// CheckAllowedPath says what is wrong with a path that is to be allowed.
func CheckAllowedPath(path string) error {
	if strings.ContainsAny(path, "?#") {
		return fmt.Errorf("%q has a question mark or a number sign; give a path alone, such as /orders", path)
	}
	escaped := EscapedPath(path)
	if reason := RefusedPath(escaped); reason != "" || path == "" {
		if path == "" {
			reason = "is empty"
		}
		return fmt.Errorf("%q %s; give a path below the base URL, such as /orders", path, reason)
	}
	if !utf8.ValidString(unescape(escaped)) {
		return fmt.Errorf("%q is not in UTF-8", path)
	}
	return nil
}

// newAllowedPath allows a path and all below it. A slash at its end makes no difference.
func newAllowedPath(path string) allowedPath {
	return segments(strings.TrimRight(EscapedPath(path), "/"))
}

// above says whether an escaped path is the allowed one or lies below it. The path is split at its slashes, and then its
// segments are unescaped, once, as it is right (RFC 3986 section 2.4). Who unescapes it first, or again, reads the same: the
// segments of the allowed path are followed by a slash or by nothing, and RefusedPath has seen to it that what is behind
// does not climb.
func (a allowedPath) above(escaped string) bool {
	path := segments(escaped)
	return len(path) >= len(a) && slices.Equal(path[:len(a)], a)
}

// segments splits an escaped path, and unescapes what is between the slashes.
func segments(escaped string) []string {
	split := strings.Split(escaped, "/")
	for i := range split {
		split[i] = unescape(split[i])
	}
	return split
}
