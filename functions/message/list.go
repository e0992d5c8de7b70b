package message

import "strings"

// Members splits a header field that is a list at its commas, RFC 9110 section 5.6.1, but not at those within quoted
// strings. Empty members are left out.
func Members(field string) []string {
	var list []string
	for part := range split(field, ',') {
		if part = strings.Trim(part, " \t"); part != "" {
			list = append(list, part)
		}
	}
	return list
}

// split yields what stands between the separators of a text that are outside of quoted strings.
func split(text string, separator byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		start, quoted := 0, false
		for i := 0; i < len(text); i++ {
			switch c := text[i]; {
			case quoted && c == '\\':
				i++
			case c == '"':
				quoted = !quoted
			case c == separator && !quoted:
				if !yield(text[start:i]) {
					return
				}
				start = i + 1
			}
		}
		yield(text[start:])
	}
}
