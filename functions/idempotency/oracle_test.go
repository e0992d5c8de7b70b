package idempotency_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
)

// The oracle of this file works out canonical forms in a plain way, which is too slow for use: it validates the document
// with encoding/json, makes maps and lists of it, and sorts the names of each map.

func oracle(document []byte) ([]byte, error) {
	value, err := oracleParse(document)
	if err != nil {
		return nil, err
	}
	return oracleForm(nil, value), nil
}

// brokenDocument is a document in which a byte or two are others, more, or fewer.
func brokenDocument(r *rand.Rand) []byte {
	document := []byte(randomDocument(r, 4))
	for range 1 + r.IntN(2) {
		at := r.IntN(len(document))
		c := []byte("{}[]\",:\\u0-.eE+x \x00\x1f\x7f\x80\xc3\xed\xa0\xff")[r.IntN(25)]
		switch r.IntN(3) {
		case 0:
			document[at] = c
		case 1:
			document = slices.Insert(document, at, c)
		default:
			if len(document) > 1 {
				document = slices.Delete(document, at, at+1)
			}
		}
	}
	return document
}

// outOfOrder is a document of objects within objects, the names of which are few, so that many come twice, and in any
// order.
func outOfOrder(r *rand.Rand, depth int) string {
	if depth == 0 {
		return randomNumber(r)
	}
	members := make([]string, r.IntN(5))
	for i := range members {
		value := outOfOrder(r, depth-1)
		if r.IntN(4) == 0 {
			value = "[" + value + "," + outOfOrder(r, depth-1) + "]"
		}
		members[i] = []string{`"a":`, `"b":`, `"\u0061":`, `"":`, `"é":`, `"\ud83d\ude00":`, `"\uffff":`}[r.IntN(7)] + value
	}
	return "{" + strings.Join(members, ",") + "}"
}

func TestCanonicalJSONAndKeysAreThoseOfTheOracle(t *testing.T) {
	const documents = 20_000
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	whole := setUp(t, idempotency.Config{})
	selected := setUp(t, idempotency.Config{Key: "@"})
	refused, missing := 0, 0
	for i := range documents {
		var document []byte
		switch i % 4 {
		case 0:
			document = []byte(randomDocument(random, 4))
		case 1:
			document = brokenDocument(random)
		case 2:
			document = []byte(outOfOrder(random, 4))
		default:
			document = []byte([]string{`[%s]`, `{"a":%s}`, `{"b":null,"a":%s}`, `{"a":%s,"a":null}`, `[null,%s]`, `%s`}[random.IntN(6)])
			document = bytes.ReplaceAll(document, []byte("%s"), []byte([]string{`null`, `""`, `"null"`, `": null"`, `[]`, `{}`, `{"a": null}`, `0`}[random.IntN(8)]))
		}
		want, wantErr := oracle(document)
		got, err := idempotency.CanonicalJSON(document)
		if (err == nil) != (wantErr == nil) || !bytes.Equal(got, want) {
			t.Fatalf("seed %d: %q\n got %s, %v\nwant %s, %v", seed, document, got, err, want, wantErr)
		}
		for _, m := range []*fixture{whole, selected} {
			id, _, err := m.Key(json.RawMessage(document))
			switch {
			case wantErr != nil:
				refused++
				if !errors.Is(err, idempotency.ErrKeyMalformed) || !strings.Contains(err.Error(), wantErr.Error()) {
					t.Fatalf("seed %d: the key of %q: %s, %v; want ErrKeyMalformed that says %v", seed, document, id, err, wantErr)
				}
			case oracleMissing(document):
				missing++
				if !errors.Is(err, idempotency.ErrKeyMissing) {
					t.Fatalf("seed %d: the key of %q: %s, %v; want ErrKeyMissing", seed, document, id, err)
				}
			default:
				if sum := md5.Sum(want); err != nil || id != "test#"+hex.EncodeToString(sum[:]) {
					t.Fatalf("seed %d: the key of %q: %s, %v; want that of %s", seed, document, id, err, want)
				}
			}
		}
	}
	if refused < documents/10 || missing < documents/100 {
		t.Errorf("%d keys refused and %d missing: too few to show anything", refused, missing)
	}
	t.Logf("%d documents agree with the oracle", documents)
}

// oracleMissing restates what is no key: null, "", and lists and objects of nothing but null.
func oracleMissing(document []byte) bool {
	var value any
	if json.Unmarshal(document, &value) != nil {
		return false
	}
	switch v := value.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return !slices.ContainsFunc(v, func(m any) bool { return m != nil })
	case map[string]any:
		for _, m := range v {
			if m != nil {
				return false
			}
		}
		return true
	}
	return false
}

func TestNestingOutOfOrderTakesTimeInProportion(t *testing.T) {
	// Were the members of each object moved when it ends, this would move 9,000 times 4 MB.
	const levels = 9_000
	document := strings.Repeat(`{"b":`, levels) + `"` + strings.Repeat("x", 4<<20) + `"` + strings.Repeat(`,"a":1}`, levels)
	want := strings.Repeat(`{"a": 1, "b": `, levels) + `"` + strings.Repeat("x", 4<<20) + `"` + strings.Repeat(`}`, levels)
	if got, err := idempotency.CanonicalJSON([]byte(document)); err != nil || string(got) != want {
		t.Errorf("%d bytes, %v; want %d", len(got), err, len(want))
	}
}

// oracleParse reads one document into nil, bool, json.Number, string, []any and map[string]any.
//
// It differs from encoding/json in two points that matter to a key: an escaped surrogate without a partner is kept (as
// the three bytes that its code point would have in UTF-8) where encoding/json puts U+FFFD for every one of them, and
// bytes that are not UTF-8 are refused. Otherwise different payloads would have one key.
func oracleParse(document []byte) (any, error) {
	if !utf8.Valid(document) {
		return nil, errors.New("not a JSON document: not valid UTF-8")
	}
	if !json.Valid(document) {
		var v any
		err := json.Unmarshal(document, &v)
		return nil, fmt.Errorf("not a JSON document: %w", err)
	}
	r := oracleReader{document}
	return r.value(), nil
}

// An oracleReader takes apart a document that is known to be valid.
type oracleReader struct{ rest []byte }

// next skips white space and returns the byte that follows, without taking it.
func (r *oracleReader) next() byte {
	r.rest = bytes.TrimLeft(r.rest, " \t\r\n")
	return r.rest[0]
}

func (r *oracleReader) take(n int) []byte {
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *oracleReader) value() any {
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

func (r *oracleReader) string() string {
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
			s = oracleCodePoint(s, r.escapedRune())
		default:
			s = append(s, c)
		}
	}
}

// escapedRune reads the digits after \u, and the other half of a surrogate pair if it follows.
func (r *oracleReader) escapedRune() rune {
	first := oracleHex(r.take(4))
	if utf16.IsSurrogate(first) && len(r.rest) >= 6 && r.rest[0] == '\\' && r.rest[1] == 'u' {
		if pair := utf16.DecodeRune(first, oracleHex(r.rest[2:6])); pair != utf8.RuneError {
			r.take(6)
			return pair
		}
	}
	return first
}

func oracleHex(digits []byte) rune {
	n, _ := strconv.ParseUint(string(digits), 16, 16) // the document is valid, so these are four hexadecimal digits
	return rune(n)
}

// oracleCodePoint is utf8.AppendRune, but for surrogates, which it encodes as UTF-8 would if it had them. The order of
// bytes is then that of code points for them too.
func oracleCodePoint(b []byte, r rune) []byte {
	if utf16.IsSurrogate(r) {
		return append(b, 0xE0|byte(r>>12), 0x80|byte(r>>6)&0xBF, 0x80|byte(r)&0xBF)
	}
	return utf8.AppendRune(b, r)
}

func oracleForm(b []byte, value any) []byte {
	switch v := value.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case string:
		return oracleString(b, v)
	case json.Number:
		return oracleNumber(b, string(v))
	case []any:
		b = append(b, '[')
		for i, member := range v {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = oracleForm(b, member)
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
			b = oracleString(b, name)
			b = append(b, ": "...)
			b = oracleForm(b, v[name])
		}
		return append(b, '}')
	default:
		panic(fmt.Sprintf("idempotency: no canonical form of a %T", value))
	}
}

// oracleNumber writes a number as it stands in a document: without point and exponent it is an integer.
func oracleNumber(b []byte, token string) []byte {
	if strings.ContainsAny(token, ".eE") {
		f, _ := strconv.ParseFloat(token, 64) // out of range gives an infinity, as in Python
		return oracleFloat(b, f)
	}
	if token == "-0" {
		return append(b, '0')
	}
	return append(b, token...)
}

// oracleFloat writes a float as Python's repr does: an exponent below 1e-4 and from 1e16.
func oracleFloat(b []byte, f float64) []byte {
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

func oracleString(b []byte, s string) []byte {
	b = append(b, '"')
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && size == 1 {
			r, size = oracleSurrogate(s)
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
			b = oracleEscape(oracleEscape(b, high), low)
		default:
			b = oracleEscape(b, r)
		}
	}
	return append(b, '"')
}

// oracleSurrogate reads what oracleCodePoint wrote for a surrogate. Any other byte that is not UTF-8 becomes U+FFFD:
// oracleParse lets none through, but a JMESPath function may cut a surrogate apart.
func oracleSurrogate(s string) (rune, int) {
	if len(s) >= 3 && s[0] == 0xED && s[1] >= 0xA0 && s[1] <= 0xBF && s[2] >= 0x80 && s[2] <= 0xBF {
		return rune(s[0]&0x0F)<<12 | rune(s[1]&0x3F)<<6 | rune(s[2]&0x3F), 3
	}
	return utf8.RuneError, 1
}

func oracleEscape(b []byte, r rune) []byte {
	const digits = "0123456789abcdef"
	return append(b, '\\', 'u', digits[r>>12&0xF], digits[r>>8&0xF], digits[r>>4&0xF], digits[r&0xF])
}
