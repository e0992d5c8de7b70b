package idempotency

import (
	"cmp"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// appendTypeScript writes a value as Powertools for TypeScript hashes it: JSON.stringify of the value with the names of
// every object sorted. It is what JSON.parse, deepSort and JSON.stringify make of the document, byte for byte, but for
// objects with two names that differ in case only: TypeScript keeps their order in the document, which is not known here.
//
// What is special about it: numbers are doubles, and those out of range null; names that are array indices come first, in
// numerical order; a member named __proto__ is lost.
func appendTypeScript(b []byte, value any) []byte {
	switch v := value.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case string:
		return appendTypeScriptString(b, v)
	case json.Number:
		f, _ := strconv.ParseFloat(string(v), 64) // out of range gives an infinity, as in JavaScript
		return appendTypeScriptNumber(b, f)
	case float64:
		return appendTypeScriptNumber(b, v)
	case []any:
		b = append(b, '[')
		for i, member := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendTypeScript(b, member)
		}
		return append(b, ']')
	default:
		object := v.(map[string]any) // nothing else comes out of parseJSON or JMESPath
		b = append(b, '{')
		empty := true
		for _, name := range typeScriptNames(object) {
			if !empty {
				b = append(b, ',')
			}
			empty = false
			b = appendTypeScriptString(b, name)
			b = append(b, ':')
			b = appendTypeScript(b, object[name])
		}
		return append(b, '}')
	}
}

// typeScriptNames are the names of an object in the order in which JavaScript lists the members of a sorted one.
func typeScriptNames(object map[string]any) []string {
	type sortable struct {
		name  string
		index uint64   // an array index: see arrayIndex
		units []uint16 // the name in lower case, in UTF-16, by whose units JavaScript compares
	}
	names := make([]sortable, 0, len(object))
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if name == "__proto__" {
			continue // assigning to it sets the prototype
		}
		s := sortable{name: name, index: arrayIndex(name)}
		if s.index == notAnIndex {
			s.units = utf16Units(lowerCase(name))
		}
		names = append(names, s)
	}
	slices.SortStableFunc(names, func(a, b sortable) int {
		return cmp.Or(cmp.Compare(a.index, b.index), slices.Compare(a.units, b.units))
	})
	sorted := make([]string, len(names))
	for i, s := range names {
		sorted[i] = s.name
	}
	return sorted
}

// notAnIndex comes after all array indices.
const notAnIndex = math.MaxUint64

// arrayIndex reads a name that is an array index (ECMA-262, section 6.1.7): an integer from 0 to 2^32 - 2, as it is
// written without zeros before it.
func arrayIndex(name string) uint64 {
	if name == "" || len(name) > 1 && name[0] == '0' || name[0] == '+' {
		return notAnIndex
	}
	if index, err := strconv.ParseUint(name, 10, 32); err == nil && index < math.MaxUint32 {
		return index
	}
	return notAnIndex
}

// lowerCase is JavaScript's toLowerCase: that of Unicode with the two special cases that do not depend on a language, a
// sigma at the end of a word and an I with a dot (ECMA-262, section 22.1.3.28; Unicode's SpecialCasing.txt).
func lowerCase(s string) string {
	lower := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			lower = append(lower, s[i]) // a part of a surrogate without a partner
		case r == 'İ':
			lower = append(lower, "i̇"...)
		case r == 'Σ' && casedBefore(s[:i]) && !casedAfter(s[i+size:]):
			lower = append(lower, "ς"...)
		default:
			lower = utf8.AppendRune(lower, unicode.ToLower(r))
		}
		i += size
	}
	return string(lower)
}

// casedBefore says whether a cased letter comes before, with nothing in between but what case ignores.
func casedBefore(s string) bool {
	for len(s) > 0 {
		r, size := utf8.DecodeLastRuneInString(s)
		if !caseIgnorable(r) {
			return cased(r)
		}
		s = s[:len(s)-size]
	}
	return false
}

func casedAfter(s string) bool {
	for _, r := range s {
		if !caseIgnorable(r) {
			return cased(r)
		}
	}
	return false
}

func cased(r rune) bool {
	return unicode.In(r, unicode.Lu, unicode.Ll, unicode.Lt, unicode.Other_Lowercase, unicode.Other_Uppercase)
}

// caseIgnorable is Unicode's property Case_Ignorable (The Unicode Standard, section 3.13, D136).
func caseIgnorable(r rune) bool {
	return unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk) ||
		strings.ContainsRune("'.:··՟״‘’․‧︓﹒﹕＇．：", r)
}

// utf16Units are the code units of a string, with those of surrogates as parseJSON keeps them.
func utf16Units(s string) []uint16 {
	units := make([]uint16, 0, len(s))
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && size == 1 {
			if r, size = surrogateOrByte(s); utf16.IsSurrogate(r) {
				units = append(units, uint16(r))
				s = s[size:]
				continue
			}
		}
		units = utf16.AppendRune(units, r)
		s = s[size:]
	}
	return units
}

// appendTypeScriptNumber writes a number as JavaScript does (ECMA-262, section 6.1.6.1.20): an exponent below 1e-6 and
// from 1e21, and null for what JSON has not.
func appendTypeScriptNumber(b []byte, f float64) []byte {
	abs := math.Abs(f)
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return append(b, "null"...)
	case f == 0:
		return append(b, '0')
	case abs >= 1e-6 && abs < 1e21:
		return strconv.AppendFloat(b, f, 'f', -1, 64)
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'e', -1, 64), "e")
	b = append(b, mantissa...)
	b = append(b, 'e', exponent[0])
	return append(b, strings.TrimLeft(exponent[1:], "0")...)
}

// appendTypeScriptString writes a string as JSON.stringify does: what must be escaped is, and surrogates without a
// partner.
func appendTypeScriptString(b []byte, s string) []byte {
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
		case r < 0x20 || utf16.IsSurrogate(r):
			b = appendEscape(b, r)
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}
