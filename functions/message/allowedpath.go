package message

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// An allowedPath is a path below which requests are forwarded.
type allowedPath struct {
	segments []string

	// readings are the segments that servers may read instead, see readings.
	readings [][]string
}

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
	escaped := strings.TrimRight(EscapedPath(path), "/")
	a := allowedPath{segments: segments(escaped)}
	texts, _ := readings(escaped)
	for _, text := range texts[1:] {
		a.readings = append(a.readings, strings.Split(text, "/"))
	}
	return a
}

// above says whether an escaped path is the allowed one or lies below it, whoever reads it: a server that splits it at its
// slashes and then unescapes the segments, as it is right (RFC 3986 section 2.4), or one that unescapes first.
func (a allowedPath) above(escaped string) bool {
	if !startsWith(segments(escaped), a.segments) {
		return false
	}
	texts, all := readings(escaped)
	for _, text := range texts[1:] {
		read := strings.Split(text, "/")
		if !startsWith(read, a.segments) && !slices.ContainsFunc(a.readings, func(r []string) bool { return startsWith(read, r) }) {
			return false
		}
	}
	return all
}

// segments splits an escaped path, and unescapes what is between the slashes.
func segments(escaped string) []string {
	split := strings.Split(escaped, "/")
	for i := range split {
		split[i] = unescape(split[i])
	}
	return split
}

// startsWith says whether a list begins with another one.
func startsWith(list, start []string) bool {
	return len(list) >= len(start) && slices.Equal(list[:len(start)], start)
}
