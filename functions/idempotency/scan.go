package idempotency

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep documents may be nested, as in encoding/json.
const maxDepth = 10_000

// A scanner goes through a JSON document once, from front to back, and checks it on the way. What reads with it asks for
// one token after the other; a false result means that the document is none, and is final.
type scanner struct {
	document []byte
	at       int // the next byte
	depth    int // of lists and objects that are open
}

// A class is what a byte means within a string.
type class byte

const (
	plain     class = iota // stands for itself, in documents and in canonical form
	quote                  // ends the string
	backslash              // begins an escape
	control                // must be escaped
	other                  // is escaped in canonical form only: DEL, and the bytes of UTF-8 sequences
)

var classes = func() (table [256]class) {
	for c := range table {
		switch {
		case c == '"':
			table[c] = quote
		case c == '\\':
			table[c] = backslash
		case c < ' ':
			table[c] = control
		case c > '~':
			table[c] = other
		}
	}
	return table
}()

// next skips white space and returns the byte that follows, without taking it; 0 at the end.
func (s *scanner) next() byte {
	for ; s.at < len(s.document); s.at++ {
		if c := s.document[s.at]; c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c
		}
	}
	return 0
}

// end says whether nothing but white space follows.
func (s *scanner) end() bool { return s.next() == 0 && s.at == len(s.document) }

// open takes the first byte of a list or an object.
func (s *scanner) open() bool {
	s.at++
	s.depth++
	return s.depth <= maxDepth
}

// more goes on to the next member of a list or an object that ends with the byte end, or takes that.
func (s *scanner) more(first bool, end byte) (more, ok bool) {
	switch c := s.next(); {
	case c == end:
		s.at++
		s.depth--
		return false, true
	case first:
		return true, true
	case c == ',':
		s.at++
		s.next()
		return true, true
	}
	return false, false
}

// literal takes null, true or false.
func (s *scanner) literal(text string) bool {
	if len(s.document)-s.at < len(text) || string(s.document[s.at:s.at+len(text)]) != text {
		return false
	}
	s.at += len(text)
	return true
}

// name takes a member's name and the colon.
func (s *scanner) name() (raw []byte, isPlain, ok bool) {
	raw, isPlain, ok = s.string()
	if !ok || s.next() != ':' {
		return nil, false, false
	}
	s.at++
	return raw, isPlain, true
}

// string takes a string and returns what is between the quotes, and whether all of it stands for itself.
func (s *scanner) string() (raw []byte, isPlain, ok bool) {
	if s.next() != '"' {
		return nil, false, false
	}
	s.at++
	start := s.at
	isPlain = true
	for s.at < len(s.document) {
		switch c := s.document[s.at]; classes[c] {
		case plain:
			s.at++
			continue
		case quote:
			raw = s.document[start:s.at]
			s.at++
			return raw, isPlain, true
		case backslash:
			if !s.escape() {
				return nil, false, false
			}
		case control:
			return nil, false, false
		default:
			r, size := utf8.DecodeRune(s.document[s.at:])
			if r == utf8.RuneError && size == 1 {
				return nil, false, false
			}
			s.at += size
		}
		isPlain = false
	}
	return nil, false, false
}

// escape takes a backslash and what belongs to it.
func (s *scanner) escape() bool {
	s.at++
	if s.at == len(s.document) {
		return false
	}
	switch s.document[s.at] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.at++
		return true
	case 'u':
		if len(s.document)-s.at < 5 {
			return false
		}
		for _, c := range s.document[s.at+1 : s.at+5] {
			if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F') {
				return false
			}
		}
		s.at += 5
		return true
	}
	return false
}

// number takes a number, and says whether it has neither fraction nor exponent.
func (s *scanner) number() (token []byte, integer, ok bool) {
	start := s.at
	digits := func() bool {
		before := s.at
		for s.at < len(s.document) && '0' <= s.document[s.at] && s.document[s.at] <= '9' {
			s.at++
		}
		return s.at > before
	}
	is := func(c byte) bool { return s.at < len(s.document) && s.document[s.at] == c }
	if is('-') {
		s.at++
	}
	if is('0') {
		s.at++
	} else if !digits() {
		return nil, false, false
	}
	integer = true
	if is('.') {
		s.at++
		integer = false
		if !digits() {
			return nil, false, false
		}
	}
	if is('e') || is('E') {
		s.at++
		integer = false
		if is('+') || is('-') {
			s.at++
		}
		if !digits() {
			return nil, false, false
		}
	}
	return s.document[start:s.at], integer, true
}

// notJSON says what is wrong with a document that a scanner has refused.
func notJSON(document []byte) error {
	if !utf8.Valid(document) {
		return errors.New("not a JSON document: not valid UTF-8")
	}
	var v any
	err := json.Unmarshal(document, &v)
	return fmt.Errorf("not a JSON document: %w", err)
}

// appendUnquoted decodes what is between the quotes of a string that a scanner has taken.
//
// An escaped surrogate without a partner is kept, as the three bytes that its code point would have in UTF-8, where
// encoding/json puts U+FFFD for every one of them: otherwise different payloads would have one key.
func appendUnquoted(decoded, raw []byte) []byte {
	for len(raw) > 0 {
		if raw[0] != '\\' {
			decoded = append(decoded, raw[0])
			raw = raw[1:]
			continue
		}
		c := raw[1]
		raw = raw[2:]
		switch c {
		case 'b':
			decoded = append(decoded, '\b')
		case 'f':
			decoded = append(decoded, '\f')
		case 'n':
			decoded = append(decoded, '\n')
		case 'r':
			decoded = append(decoded, '\r')
		case 't':
			decoded = append(decoded, '\t')
		case 'u':
			r := hexRune(raw)
			raw = raw[4:]
			if utf16.IsSurrogate(r) && len(raw) >= 6 && raw[0] == '\\' && raw[1] == 'u' {
				if pair := utf16.DecodeRune(r, hexRune(raw[2:])); pair != utf8.RuneError {
					r = pair
					raw = raw[6:]
				}
			}
			decoded = appendCodePoint(decoded, r)
		default:
			decoded = append(decoded, c)
		}
	}
	return decoded
}

// hexRune reads four hexadecimal digits.
func hexRune(digits []byte) (r rune) {
	for _, c := range digits[:4] {
		switch {
		case c <= '9':
			r = r<<4 | rune(c-'0')
		default:
			r = r<<4 | rune(c|0x20-'a'+10)
		}
	}
	return r
}

// appendCodePoint is utf8.AppendRune, but for surrogates, which it encodes as UTF-8 would if it had them. The order of
// bytes is then that of code points for them too.
func appendCodePoint(b []byte, r rune) []byte {
	if utf16.IsSurrogate(r) {
		return append(b, 0xE0|byte(r>>12), 0x80|byte(r>>6)&0xBF, 0x80|byte(r)&0xBF)
	}
	return utf8.AppendRune(b, r)
}
