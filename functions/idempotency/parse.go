package idempotency

import (
	"encoding/json"
	"math"
	"strconv"
)

// parseForJMESPath reads one document into nil, bool, string, []any, map[string]any, and for numbers float64, which is the
// only kind that JMESPath calculates with and compares. A float with an integral value, such as 5.0, and an integer from
// 2^53 on stay as they are written, as a json.Number: as float64 they could no longer be told from the integer 5, or from
// their neighbours, and two payloads would have one key.
//
// It differs from encoding/json in two more points that matter to a key: a surrogate without a partner is kept (see
// appendUnquoted), and bytes that are not UTF-8 are refused.
func parseForJMESPath(document []byte) (any, error) {
	p := parser{scanner{document: document}}
	value, ok := p.value()
	if !ok || !p.end() {
		return nil, notJSON(document)
	}
	return value, nil
}

type parser struct{ scanner }

func (p *parser) value() (value any, ok bool) {
	switch c := p.next(); c {
	case '{':
		return p.object()
	case '[':
		return p.list()
	case '"':
		raw, isPlain, ok := p.string()
		return text(raw, isPlain), ok
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
		if err != nil || integer != (f == math.Trunc(f)) || math.Abs(f) >= maxExactInteger {
			return json.Number(token), true
		}
		return f, true
	}
}

func text(raw []byte, isPlain bool) string {
	if isPlain {
		return string(raw)
	}
	return string(appendUnquoted(make([]byte, 0, len(raw)), raw))
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
		name := text(raw, isPlain)
		if object[name], ok = p.value(); !ok {
			return nil, false
		}
	}
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
