package idempotency

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// CanonicalJSON rewrites a JSON document in the form that keys are computed from: that of Python's json.dumps(document,
// sort_keys=True), byte for byte.
//
// Members are sorted by the code points of their names, and of members with one name the last counts. Separators are ",
// " and ": ". Whatever lies outside printable ASCII is escaped. A number without fraction and exponent is an integer of
// any size; any other is a float64 with the fewest digits that identify it. Escaped surrogates without a partner stay
// as they are.
//
// An error is returned for what is not one JSON document in valid UTF-8.
func CanonicalJSON(document []byte) ([]byte, error) {
	value, err := parseJSON(document)
	if err != nil {
		return nil, err
	}
	return appendCanonical(make([]byte, 0, len(document)+len(document)/4), value), nil
}

// parseJSON reads one document into nil, bool, json.Number, string, []any and map[string]any.
//
// It differs from encoding/json in two points that matter to a key: an escaped surrogate without a partner is kept (as
// the three bytes that its code point would have in UTF-8) where encoding/json puts U+FFFD for every one of them, and
// bytes that are not UTF-8 are refused. Otherwise different payloads would have one key.
func parseJSON(document []byte) (any, error) {
	if !utf8.Valid(document) {
		return nil, errors.New("not a JSON document: not valid UTF-8")
	}
	if !json.Valid(document) {
		var v any
		err := json.Unmarshal(document, &v)
		return nil, fmt.Errorf("not a JSON document: %w", err)
	}
	r := reader{document}
	return r.value(), nil
}

// A reader takes apart a document that is known to be valid.
type reader struct{ rest []byte }

// next skips white space and returns the byte that follows, without taking it.
func (r *reader) next() byte {
	r.rest = bytes.TrimLeft(r.rest, " \t\r\n")
	return r.rest[0]
}

func (r *reader) take(n int) []byte {
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *reader) value() any {
	switch c := r.next(); c {
	case '{':
		object := map[string]any{}
		for r.take(1); r.next() != '}'; {
			if r.next() == ',' {
				r.take(1)
				r.next()
			}
			name := r.string()
			r.next()
			r.take(1) // the colon
			object[name] = r.value()
		}
		r.take(1)
		return object
	case '[':
		list := []any{}
		for r.take(1); r.next() != ']'; {
			if r.next() == ',' {
				r.take(1)
			}
			list = append(list, r.value())
		}
		r.take(1)
		return list
	case '"':
		return r.string()
	case 't':
		r.take(len("true"))
		return true
	case 'f':
		r.take(len("false"))
		return false
	case 'n':
		r.take(len("null"))
		return nil
	default:
		n := 0
		for n < len(r.rest) && strings.IndexByte("+-.0123456789Ee", r.rest[n]) >= 0 {
			n++
		}
		return json.Number(r.take(n))
	}
}

func (r *reader) string() string {
	r.take(1)
	if end := bytes.IndexByte(r.rest, '"'); bytes.IndexByte(r.rest[:end], '\\') < 0 {
		s := string(r.take(end))
		r.take(1)
		return s
	}
	var s []byte
	for {
		c := r.take(1)[0]
		if c == '"' {
			return string(s)
		}
		if c != '\\' {
			s = append(s, c)
			continue
		}
		switch c := r.take(1)[0]; c {
		case 'b':
			s = append(s, '\b')
		case 'f':
			s = append(s, '\f')
		case 'n':
			s = append(s, '\n')
		case 'r':
			s = append(s, '\r')
		case 't':
			s = append(s, '\t')
		case 'u':
			s = appendCodePoint(s, r.escapedRune())
		default:
			s = append(s, c)
		}
	}
}

// escapedRune reads the digits after \u, and the other half of a surrogate pair if it follows.
func (r *reader) escapedRune() rune {
	first := hexRune(r.take(4))
	if utf16.IsSurrogate(first) && len(r.rest) >= 6 && r.rest[0] == '\\' && r.rest[1] == 'u' {
		if pair := utf16.DecodeRune(first, hexRune(r.rest[2:6])); pair != utf8.RuneError {
			r.take(6)
			return pair
		}
	}
	return first
}

func hexRune(digits []byte) rune {
	n, _ := strconv.ParseUint(string(digits), 16, 16) // the document is valid, so these are four hexadecimal digits
	return rune(n)
}

// appendCodePoint is utf8.AppendRune, but for surrogates, which it encodes as UTF-8 would if it had them. The order of
// bytes is then that of code points for them too.
func appendCodePoint(b []byte, r rune) []byte {
	if utf16.IsSurrogate(r) {
		return append(b, 0xE0|byte(r>>12), 0x80|byte(r>>6)&0xBF, 0x80|byte(r)&0xBF)
	}
	return utf8.AppendRune(b, r)
}

func appendCanonical(b []byte, value any) []byte {
	switch v := value.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case string:
		return appendCanonicalString(b, v)
	case json.Number:
		return appendCanonicalNumber(b, string(v))
	case float64:
		return appendComputedNumber(b, v)
	case []any:
		b = append(b, '[')
		for i, member := range v {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = appendCanonical(b, member)
		}
		return append(b, ']')
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		b = append(b, '{')
		for i, name := range names {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = appendCanonicalString(b, name)
			b = append(b, ": "...)
			b = appendCanonical(b, v[name])
		}
		return append(b, '}')
	default:
		panic(fmt.Sprintf("idempotency: no canonical form of a %T", value))
	}
}

// appendCanonicalNumber writes a number as it stands in a document: without point and exponent it is an integer.
func appendCanonicalNumber(b []byte, token string) []byte {
	if strings.ContainsAny(token, ".eE") {
		f, _ := strconv.ParseFloat(token, 64) // out of range gives an infinity, as in Python
		return appendFloat(b, f)
	}
	if token == "-0" {
		return append(b, '0')
	}
	return append(b, token...)
}

// appendComputedNumber writes a number that went through JMESPath, where integers and floats are one type. Floats with
// an integral value do not go through it (see numbersForJMESPath), so that what is integral here was an integer.
func appendComputedNumber(b []byte, f float64) []byte {
	if f == math.Trunc(f) && math.Abs(f) < maxExactInteger {
		return strconv.AppendInt(b, int64(f), 10)
	}
	return appendFloat(b, f)
}

// appendFloat writes a float as Python's repr does: an exponent below 1e-4 and from 1e16.
func appendFloat(b []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(b, "NaN"...)
	case math.IsInf(f, 1):
		return append(b, "Infinity"...)
	case math.IsInf(f, -1):
		return append(b, "-Infinity"...)
	}
	if abs := math.Abs(f); abs != 0 && (abs < 1e-4 || abs >= 1e16) {
		return strconv.AppendFloat(b, f, 'e', -1, 64)
	}
	start := len(b)
	b = strconv.AppendFloat(b, f, 'f', -1, 64)
	if bytes.IndexByte(b[start:], '.') < 0 {
		b = append(b, ".0"...)
	}
	return b
}

func appendCanonicalString(b []byte, s string) []byte {
	b = append(b, '"')
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && size == 1 {
			r, size = surrogateOrByte(s)
		}
		s = s[size:]
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r >= 0x20 && r <= 0x7E:
			b = append(b, byte(r))
		case r == '\b':
			b = append(b, `\b`...)
		case r == '\f':
			b = append(b, `\f`...)
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\r':
			b = append(b, `\r`...)
		case r == '\t':
			b = append(b, `\t`...)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			b = appendEscape(appendEscape(b, high), low)
		default:
			b = appendEscape(b, r)
		}
	}
	return append(b, '"')
}

// surrogateOrByte reads what appendCodePoint wrote for a surrogate. Any other byte that is not UTF-8 becomes U+FFFD:
// parseJSON lets none through, but a JMESPath function may cut a surrogate apart.
func surrogateOrByte(s string) (rune, int) {
	if len(s) >= 3 && s[0] == 0xED && s[1] >= 0xA0 && s[1] <= 0xBF && s[2] >= 0x80 && s[2] <= 0xBF {
		return rune(s[0]&0x0F)<<12 | rune(s[1]&0x3F)<<6 | rune(s[2]&0x3F), 3
	}
	return utf8.RuneError, 1
}

func appendEscape(b []byte, r rune) []byte {
	const digits = "0123456789abcdef"
	return append(b, '\\', 'u', digits[r>>12&0xF], digits[r>>8&0xF], digits[r>>4&0xF], digits[r&0xF])
}
