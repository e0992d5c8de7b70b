package terminal

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line makes a text of anybody's fit for a place in a line: what is neither a printable character nor a tab is written
// as Go would escape it, \x1b for ESC. Among them are the ends of lines, both sets of control characters, marks that
// change the direction of the text around them, and bytes that are not UTF-8.
func Line(text string) string { return escape(text, "\t") }

// Lines is Line for a text of several lines: it leaves the ends of lines as they are.
func Lines(text string) string { return escape(text, "\t\n") }

// escape escapes what is not printable, but for the characters in allowed.
func escape(text, allowed string) string {
	if !strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) || c == utf8.RuneError }) {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		c, size := utf8.DecodeRuneInString(text)
		switch {
		case c == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case unicode.IsPrint(c) || strings.ContainsRune(allowed, c):
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c < utf8.RuneSelf:
			fmt.Fprintf(&b, `\x%02x`, c)
		case c < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			fmt.Fprintf(&b, `\U%08x`, c)
		}
		text = text[size:]
	}
	return b.String()
}
