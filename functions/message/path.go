package message

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// EscapedPath escapes what cannot stand in a path as it is. Function URLs hand a path on as it was sent. What is escaped
// in it stays escaped, since an escaped slash is not a slash.
func EscapedPath(raw string) string {
	if raw == "" {
		return "/"
	}
	var b strings.Builder
	for i := range len(raw) {
		c := raw[i]
		if escapeAt(raw[i:]).size > 0 || isAlphanumeric(c) || strings.IndexByte(pathMarks, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// pathMarks are the characters beside letters and digits that may stand in a path, RFC 3986 section 3.3, and the square
// brackets, which are often sent as they are, and which [url.URL] leaves so.
const pathMarks = "-._~!$&'()*+,;=:@/[]"

// maxUnescapes is how often a server may be expected to unescape a path. Once is right, and some do it twice.
const maxUnescapes = 3

// RefusedPath says why a path, as EscapedPath writes it, may not go upstream, or nothing. A path may not climb above that
// of the base URL, in any spelling that some server would understand as doing so.
func RefusedPath(escaped string) string {
	if !strings.HasPrefix(escaped, "/") {
		return "does not start with a slash"
	}
	if EscapedPath(escaped) != escaped {
		return "holds characters that have to be escaped"
	}
	text := escaped
	for range maxUnescapes {
		text = unescape(text)
		switch {
		case hasControl(text):
			return "holds control characters"
		case strings.Contains(text, `\`):
			return "holds a backslash"
		case isOverlong(text):
			return "holds bytes that are not UTF-8, and that some servers read as a dot, a slash, a backslash or a control character"
		}
	}
	if unescape(text) != text {
		return "is escaped again and again"
	}
	texts, all := readings(escaped)
	if !all {
		return "can be read in too many ways"
	}
	for _, text := range texts {
		if climbs(text) {
			return "holds a dot segment"
		}
	}
	return ""
}

// maxReadings is the most readings that are looked at. A path that is just not in UTF-8 has fewer than ten.
const maxReadings = 100

// readings are the texts that servers may take an escaped path for, each once: those that unescape it up to maxUnescapes
// times, in the right way or in a generous one, and read the bytes that come of it right or wrong. The first is the path
// itself. It says false if there are more than maxReadings.
func readings(escaped string) (texts []string, all bool) {
	known := map[string]bool{escaped: true}
	texts = []string{escaped}
	latest := texts
	for range maxUnescapes {
		var next []string
		for _, text := range latest {
			for _, unescape := range []func(string) string{unescape, unescapeGenerously} {
				plain := unescape(text)
				if plain == text {
					continue
				}
				for _, read := range readers {
					if reading := read(plain); !known[reading] {
						known[reading] = true
						next = append(next, reading)
					}
				}
			}
			if len(known) > maxReadings {
				return texts, false
			}
		}
		texts, latest = append(texts, next...), next
	}
	return texts, true
}

// readers are the ways to make text of bytes.
var readers = []func(string) string{
	func(text string) string { return text },
	func(text string) string { return strings.ToValidUTF8(text, "") }, // without what is not UTF-8
	func(text string) string { return decodeNaively(text, true) },
	func(text string) string { return decodeNaively(text, false) },
	fold,
}

// climbs says whether a text has a dot segment. What is behind a semicolon is a parameter to some servers, and to those
// that read an unescaped path once more as a whole URL, what is behind a question mark or a number sign is no path.
func climbs(text string) bool {
	for segment := range strings.SplitSeq(fold(text), "/") {
		if end := strings.IndexAny(segment, ";?#"); end >= 0 {
			segment = segment[:end]
		}
		if isDotSegment(segment) {
			return true
		}
	}
	return false
}

// isDotSegment says whether a segment is one dot or two, or dots among what some servers leave out.
func isDotSegment(segment string) bool {
	dots, padded := 0, false
	for _, r := range segment {
		switch {
		case r == '.':
			dots++
		case isPadding(r):
			padded = true
		default:
			return false
		}
	}
	return dots > 0 && (dots <= 2 || padded)
}

// isPadding says whether some servers leave a character out: what stands for bytes that are not UTF-8, what cannot be seen,
// marks that belong to the character before, and spaces. A plus is a space to those that take a path for a form.
func isPadding(r rune) bool {
	const brailleBlank = '\u2800'
	return r == utf8.RuneError || r == '+' || r == brailleBlank || !unicode.IsGraphic(r) || unicode.IsSpace(r) ||
		unicode.In(r, unicode.M, unicode.Other_Default_Ignorable_Code_Point)
}

// fold puts plain characters in the place of those that are made of them, such as the full stop of full width, and of those
// that some servers take for a dot or a slash. A backslash is a slash to many.
func fold(text string) string { return lookAlikes.Replace(norm.NFKC.String(text)) }

// lookAlikes are the characters that are taken for a dot or a slash where text is brought into a smaller character set, as
// Windows does it, or where it is read as the name of a host (UTS 46); and those of mathematics that look the same. NFKC
// knows others.
var lookAlikes = strings.NewReplacer(
	"\u3002", ".", // ideographic full stop
	"\u2219", ".", // bullet operator
	"\u22C5", ".", // dot operator
	"\u2044", "/", // fraction slash
	"\u2215", "/", // division slash
	"\u27CB", "/", // mathematical rising diagonal
	"\u29F8", "/", // big solidus
	`\`, "/",
	"\u2216", "/", // set minus
	"\u20E5", "/", // combining reverse solidus overlay
	"\u00A5", "/", // yen sign, a backslash in Japan
	"\u20A9", "/", // won sign, a backslash in Korea
	"\u27CD", "/", // mathematical falling diagonal
	"\u29F5", "/", // reverse solidus operator
	"\u29F9", "/", // big reverse solidus
)

// isOverlong says whether a text holds a dot, a slash, a backslash or a control character in a spelling that is longer than
// UTF-8 allows (RFC 3629 section 3).
func isOverlong(text string) bool {
	for i := range len(text) {
		if r, size := naiveRune(text[i:], true); size > 1 && (r < ' ' || r == 0x7f || r == '.' || r == '/' || r == '\\') {
			return true
		}
	}
	return false
}

// decodeNaively reads bytes as UTF-8, and takes any length for the right one. If the shape is checked, the bytes after the
// first of a character have to be such that continue one.
func decodeNaively(text string, checked bool) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		r, size := naiveRune(text[i:], checked)
		if size == 1 {
			b.WriteByte(text[i])
		} else {
			b.WriteRune(r)
		}
		i += size
	}
	return b.String()
}

// naiveRune reads the character that a text begins with. Its size is 1 if the byte stands for itself.
func naiveRune(text string, checked bool) (r rune, size int) {
	first := text[0]
	switch {
	case first >= 0xfe || first < 0xc0:
		return rune(first), 1
	case first >= 0xfc:
		r, size = rune(first&0x01), 6
	case first >= 0xf8:
		r, size = rune(first&0x03), 5
	case first >= 0xf0:
		r, size = rune(first&0x07), 4
	case first >= 0xe0:
		r, size = rune(first&0x0f), 3
	default:
		r, size = rune(first&0x1f), 2
	}
	if len(text) < size {
		return rune(first), 1
	}
	for i := 1; i < size; i++ {
		if checked && text[i]&0xc0 != 0x80 {
			return rune(first), 1
		}
		r = r<<6 | rune(text[i]&0x3f)
	}
	return r, size
}

// An escape is what stands for some bytes, and how many bytes it takes. The size of none is zero.
type escape struct {
	bytes string
	size  int
}

// unescape undoes the escapes in a text, once, and leaves alone what is none, as lenient servers do.
func unescape(text string) string { return unescapeBy(text, escapeAt) }

// unescapeGenerously also undoes what some servers take for escapes: %u002E, which comes from ECMAScript's escape, and
// letters that are no hexadecimal digits, as if they were.
func unescapeGenerously(text string) string { return unescapeBy(text, generousEscapeAt) }

// unescapeBy undoes the escapes that at finds in a text.
func unescapeBy(text string, at func(string) escape) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		if found := at(text[i:]); found.size > 0 {
			b.WriteString(found.bytes)
			i += found.size
		} else {
			b.WriteByte(text[i])
			i++
		}
	}
	return b.String()
}

// escapeAt is the escape that a text begins with.
func escapeAt(text string) escape {
	if text[0] != '%' || len(text) < 3 {
		return escape{}
	}
	c, err := url.PathUnescape(text[:3])
	if err != nil {
		return escape{}
	}
	return escape{c, 3}
}

func generousEscapeAt(text string) escape {
	if found := escapeAt(text); found.size > 0 || text[0] != '%' {
		return found
	}
	if len(text) >= 6 && (text[1] == 'u' || text[1] == 'U') {
		if r, err := strconv.ParseUint(text[2:6], 16, 16); err == nil {
			return escape{string(rune(r)), 6}
		}
	}
	if len(text) >= 3 && isAlphanumeric(text[1]) && isAlphanumeric(text[2]) {
		return escape{string([]byte{digit(text[1])<<4 + digit(text[2])}), 3}
	}
	return escape{}
}

// digit is the value of a letter or a digit, in a number system that has as many digits as it needs.
func digit(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return (c | 0x20) - 'a' + 10
}

func hasControl(text string) bool {
	for _, r := range text {
		if r < ' ' || r == 0x7f {
			return true
		}
	}
	return false
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
