package idempotency

import (
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf8"
)

// parseForJMESPath reads one document into nil, bool, string, []any, map[string]any, and for numbers float64, which is the
// only kind that JMESPath calculates with and compares. A float with an integral value, such as 5.0, and an integer from
// 2^53 on stay as they are written, as a json.Number: as float64 they could no longer be told from the integer 5, or from
// their neighbours, and two payloads would have one key.
//
// It differs from encoding/json in two more points that matter to a key: a surrogate without a partner is kept (see
// appendUnquoted), and bytes that are not UTF-8 are refused.
func parseForJMESPath(document []byte) (any, error) {
	p := parser{scanner: scanner{document: document}, exact: true}
	value, ok := p.value()
	if !ok || !p.end() {
		return nil, notJSON(document)
	}
	return value, nil
}

// decodeJSON is json.Unmarshal into a variable that is new, and faster for documents without a type of their own.
func decodeJSON[T any](document []byte, value *T) error {
	p := parser{scanner: scanner{document: document}}
	switch v := any(value).(type) {
	case *any:
		if read, ok := p.value(); ok && p.end() {
			*v = read
			return nil
		}
	case *map[string]any:
		if p.next() != '{' {
			break
		}
		if read, ok := p.value(); ok && p.end() {
			*v = read.(map[string]any)
			return nil
		}
	}
	return json.Unmarshal(document, value)
}

// A parser makes a value of a document. If it is not exact, it makes what encoding/json would, and gives up where that
// has rules of its own.
type parser struct {
	scanner
	exact bool

	// names are some that have been read: the objects of a list mostly have the same ones, and share them.
	names [64]string
}

func (p *parser) value() (value any, ok bool) {
	switch c := p.next(); c {
	case '{':
		return p.object()
	case '[':
		return p.list()
	case '"':
		raw, isPlain, ok := p.string()
		if !ok {
			return nil, false
		}
		return p.text(raw, isPlain)
	case 't':
		return true, p.literal("true")
	case 'f':
		return false, p.literal("false")
	case 'n':
		return nil, p.literal("null")
	default:
		token, integer, ok := p.number()
		if !ok {
			return nil, false
		}
		f, err := strconv.ParseFloat(string(token), 64)
		if !p.exact {
			return f, err == nil
		}
		if err != nil || integer != (f == math.Trunc(f)) || math.Abs(f) >= maxExactInteger {
			return json.Number(token), true
		}
		return f, true
	}
}

// text is what a string says. encoding/json has another reading of surrogates without a partner.
func (p *parser) text(raw []byte, isPlain bool) (text string, ok bool) {
	if isPlain {
		return string(raw), true
	}
	unquoted := appendUnquoted(make([]byte, 0, len(raw)), raw)
	return string(unquoted), p.exact || utf8.Valid(unquoted)
}

func (p *parser) object() (any, bool) {
	if !p.open() {
		return nil, false
	}
	object := map[string]any{}
	for first := true; ; first = false {
		more, ok := p.more(first, '}')
		if !more || !ok {
			return object, ok
		}
		raw, isPlain, ok := p.name()
		if !ok {
			return nil, false
		}
		name, ok := p.memberName(raw, isPlain)
		if !ok {
			return nil, false
		}
		if object[name], ok = p.value(); !ok {
			return nil, false
		}
	}
}

// memberName is text, but the same string for the same name where that is known.
func (p *parser) memberName(raw []byte, isPlain bool) (name string, ok bool) {
	if !isPlain || len(raw) == 0 {
		return p.text(raw, isPlain)
	}
	known := &p.names[(len(raw)+int(raw[0])+int(raw[len(raw)-1])*7)%len(p.names)]
	if *known != string(raw) {
		*known = string(raw)
	}
	return *known, true
}

func (p *parser) list() (any, bool) {
	if !p.open() {
		return nil, false
	}
	list := []any{}
	for first := true; ; first = false {
		more, ok := p.more(first, ']')
		if !more || !ok {
			return list, ok
		}
		member, ok := p.value()
		if !ok {
			return nil, false
		}
		list = append(list, member)
	}
}
