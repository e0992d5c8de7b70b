package idempotency

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
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
	w := canonicalizers.Get().(*canonicalizer)
	defer w.keep()
	if !w.read(document) {
		return nil, notJSON(document)
	}
	written := sink{buffer: make([]byte, 0, len(w.form))}
	w.writePart(&written, 0, len(w.form), 0)
	return written.buffer, nil
}

// A canonicalizer writes the canonical form of a document while it reads it, in the document's order. Where the members of
// an object are not in order, it takes down where each is, and what is written in the end goes from member to member. So
// every byte is read once and copied at most twice, however the document is nested, and no object becomes a map.
type canonicalizer struct {
	scanner
	form    []byte
	names   []byte   // those that are not in the document as they are
	members []member // of the objects that are open
	sorted  []member // of the objects that were out of order, in order
	objects []object // those that are out of order or have such within, in the order in which they begin
	missing bool     // the document is no key: see missing
}

// A member of an object stands in form[start:end], name and value, and the first object within is that of this index. Its
// name is document[nameStart:nameEnd], or if it was unquoted, names[nameStart:nameEnd]. There are no pointers in it, so
// that the garbage collector has nothing to look for.
type member struct {
	nameStart, nameEnd int
	unquoted           bool
	start, end         int
	firstObject        int
}

func (w *canonicalizer) nameOf(m *member) []byte {
	if m.unquoted {
		return w.names[m.nameStart:m.nameEnd]
	}
	return w.document[m.nameStart:m.nameEnd]
}

// An object stands in form[start:end]. The members from first to last of canonicalizer.sorted are what to write, unless
// it is in order itself. The first object that begins behind it has the index next.
type object struct {
	start, end  int
	inOrder     bool
	first, last int
	next        int
}

// canonicalizers are kept for their buffers, unless those are larger than maxKeptBytes.
var canonicalizers = sync.Pool{New: func() any { return new(canonicalizer) }}

const maxKeptBytes = 1 << 20

// digestDocument is the digest of a document's canonical form. It says whether the document is no key.
func digestDocument(document []byte, h hash.Hash) (digest string, isMissing bool, err error) {
	w := canonicalizers.Get().(*canonicalizer)
	defer w.keep()
	if !w.read(document) {
		return "", false, notJSON(document)
	}
	if w.missing {
		return "", true, nil
	}
	written := sink{hash: h, buffer: w.names[:0]} // which are needed no more
	w.writePart(&written, 0, len(w.form), 0)
	written.flush()
	w.names = written.buffer
	return hex.EncodeToString(h.Sum(nil)), false, nil
}

// keep empties a canonicalizer for the next document.
func (w *canonicalizer) keep() {
	const memberBytes, objectBytes = 48, 48
	if cap(w.form)+cap(w.names)+memberBytes*(cap(w.members)+cap(w.sorted))+objectBytes*cap(w.objects) > maxKeptBytes {
		return
	}
	*w = canonicalizer{form: w.form[:0], names: w.names[:0], members: w.members[:0], sorted: w.sorted[:0], objects: w.objects[:0]}
	canonicalizers.Put(w)
}

// read takes the document.
func (w *canonicalizer) read(document []byte) bool {
	w.document = document
	w.form = slices.Grow(w.form, len(document)+len(document)/4)
	return w.value() && w.end()
}

func (w *canonicalizer) value() bool {
	switch c := w.next(); c {
	case '{':
		return w.object()
	case '[':
		return w.list()
	case '"':
		raw, isPlain, ok := w.string()
		if ok {
			w.writeString(raw, isPlain)
			w.missing = len(raw) == 0
		}
		return ok
	case 't':
		w.form = append(w.form, "true"...)
		return w.literal("true")
	case 'f':
		w.form = append(w.form, "false"...)
		return w.literal("false")
	case 'n':
		w.form = append(w.form, "null"...)
		w.missing = true
		return w.literal("null")
	default:
		token, integer, ok := w.number()
		if ok {
			w.form = appendCanonicalNumber(w.form, token, integer)
		}
		return ok
	}
}

func (w *canonicalizer) list() bool {
	if !w.open() {
		return false
	}
	w.form = append(w.form, '[')
	isMissing := true // as far as it has been read
	for first := true; ; first = false {
		more, ok := w.more(first, ']')
		if !ok {
			return false
		}
		if !more {
			break
		}
		if !first {
			w.form = append(w.form, ", "...)
		}
		start := len(w.form)
		if !w.value() {
			return false
		}
		isMissing = isMissing && string(w.form[start:]) == "null"
	}
	w.form = append(w.form, ']')
	w.missing = isMissing
	return true
}

func (w *canonicalizer) object() bool {
	if !w.open() {
		return false
	}
	index := len(w.objects)
	w.objects = append(w.objects, object{start: len(w.form), inOrder: true})
	w.form = append(w.form, '{')
	base := len(w.members)
	inOrder := true
	for first := true; ; first = false {
		more, ok := w.more(first, '}')
		if !ok {
			return false
		}
		if !more {
			break
		}
		if !first {
			w.form = append(w.form, ", "...)
		}
		m := member{nameStart: w.at + len(`"`), start: len(w.form), firstObject: len(w.objects)}
		raw, isPlain, ok := w.name()
		if !ok {
			return false
		}
		m.nameEnd = m.nameStart + len(raw)
		if !isPlain {
			m.unquoted = true
			m.nameStart = len(w.names)
			w.names = appendUnquoted(w.names, raw)
			m.nameEnd = len(w.names)
		}
		inOrder = inOrder && (first || bytes.Compare(w.nameOf(&w.members[len(w.members)-1]), w.nameOf(&m)) < 0)
		w.members = append(w.members, m)
		w.writeString(raw, isPlain)
		w.form = append(w.form, ": "...)
		if !w.value() {
			return false
		}
		w.members[len(w.members)-1].end = len(w.form)
	}
	w.form = append(w.form, '}')
	members := w.members[base:]
	if !inOrder {
		o := &w.objects[index]
		o.inOrder, o.first = false, len(w.sorted)
		w.sorted = append(w.sorted, members...)
		members = w.inOrderOfNames(w.sorted[o.first:])
		w.sorted = w.sorted[:o.first+len(members)]
		o.last = len(w.sorted)
	}
	if w.depth == 0 {
		w.missing = !slices.ContainsFunc(members, func(m member) bool { return !bytes.HasSuffix(w.form[m.start:m.end], []byte(": null")) })
	}
	w.members = w.members[:base]
	if inOrder && index == len(w.objects)-1 {
		w.objects = w.objects[:index] // what need not be moved need not be known
		return true
	}
	w.objects[index].end, w.objects[index].next = len(w.form), len(w.objects)
	return true
}

// inOrderOfNames sorts members by name. Of those with one name the last is left.
func (w *canonicalizer) inOrderOfNames(members []member) []member {
	slices.SortFunc(members, func(a, b member) int {
		if c := bytes.Compare(w.nameOf(&a), w.nameOf(&b)); c != 0 {
			return c
		}
		return cmp.Compare(a.start, b.start)
	})
	left := members[:0]
	for i, m := range members {
		if i+1 == len(members) || !bytes.Equal(w.nameOf(&m), w.nameOf(&members[i+1])) {
			left = append(left, m)
		}
	}
	return left
}

// writePart writes form[from:to], in which the first object is that of the index next.
func (w *canonicalizer) writePart(s *sink, from, to, next int) {
	for next < len(w.objects) && w.objects[next].start < to {
		o := &w.objects[next]
		if o.inOrder {
			next++ // there are others within
			continue
		}
		s.write(w.form[from : o.start+1])
		for i, m := range w.sorted[o.first:o.last] {
			if i > 0 {
				s.write(separator)
			}
			w.writePart(s, m.start, m.end, m.firstObject)
		}
		from, next = o.end-1, o.next
	}
	s.write(w.form[from:to])
}

var separator = []byte(", ")

// A sink hashes what is written, or without a hash keeps it.
type sink struct {
	hash   hash.Hash
	buffer []byte
}

// sinkBytes is what a sink collects for its hash; what is longer goes there at once.
const sinkBytes = 4 << 10

func (s *sink) write(p []byte) {
	if s.hash != nil && len(s.buffer)+len(p) > sinkBytes {
		s.flush()
		if len(p) > sinkBytes {
			s.hash.Write(p)
			return
		}
	}
	s.buffer = append(s.buffer, p...)
}

func (s *sink) flush() {
	s.hash.Write(s.buffer)
	s.buffer = s.buffer[:0]
}

// writeString writes the string that a scanner has taken.
func (w *canonicalizer) writeString(raw []byte, isPlain bool) {
	w.form = append(w.form, '"')
	if isPlain {
		w.form = append(w.form, raw...)
	} else {
		w.form = appendCanonicalOf(w.form, raw)
	}
	w.form = append(w.form, '"')
}

// appendCanonicalOf writes what is between the quotes of a string that a scanner has taken.
func appendCanonicalOf(b, raw []byte) []byte {
	for len(raw) > 0 {
		n := 0
		for n < len(raw) && classes[raw[n]] == plain {
			n++
		}
		b = append(b, raw[:n]...)
		if raw = raw[n:]; len(raw) == 0 {
			break
		}
		switch {
		case raw[0] != '\\':
			r, size := utf8.DecodeRune(raw)
			b = appendCanonicalRune(b, r)
			raw = raw[size:]
		case raw[1] == 'u':
			b = appendCanonicalRune(b, hexRune(raw[2:])) // the halves of a pair are written as they are read
			raw = raw[6:]
		case raw[1] == '/':
			b = append(b, '/')
			raw = raw[2:]
		default:
			b = append(b, raw[:2]...)
			raw = raw[2:]
		}
	}
	return b
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
		return appendCanonicalNumber(b, []byte(v), !strings.ContainsAny(string(v), ".eE"))
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
func appendCanonicalNumber(b, token []byte, integer bool) []byte {
	if !integer {
		f, _ := strconv.ParseFloat(string(token), 64) // out of range gives an infinity, as in Python
		return appendFloat(b, f)
	}
	if string(token) == "-0" {
		return append(b, '0')
	}
	return append(b, token...)
}

// appendComputedNumber writes a number that went through JMESPath, where integers and floats are one type. Floats with
// an integral value do not go through it (see parseForJMESPath), so that what is integral here was an integer.
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
		b = appendCanonicalRune(b, r)
	}
	return append(b, '"')
}

// appendCanonicalRune writes a code point, or half of a surrogate pair.
func appendCanonicalRune(b []byte, r rune) []byte {
	switch {
	case r == '"' || r == '\\':
		return append(b, '\\', byte(r))
	case r >= 0x20 && r <= 0x7E:
		return append(b, byte(r))
	case r == '\b':
		return append(b, `\b`...)
	case r == '\f':
		return append(b, `\f`...)
	case r == '\n':
		return append(b, `\n`...)
	case r == '\r':
		return append(b, `\r`...)
	case r == '\t':
		return append(b, `\t`...)
	case r > 0xFFFF:
		high, low := utf16.EncodeRune(r)
		return appendEscape(appendEscape(b, high), low)
	default:
		return appendEscape(b, r)
	}
}

// surrogateOrByte reads what appendCodePoint wrote for a surrogate. Any other byte that is not UTF-8 becomes U+FFFD:
// a scanner lets none through, but a JMESPath function may cut a surrogate apart.
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
