package asl

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// MaxPayload is the largest input, output or result that a state can hold, in bytes of its JSON text in UTF-8.
const MaxPayload = 262144

// A document is a JSON value with its text. Values are never changed once made, so that states can share them. Numbers
// are json.Number, so that they come out as they went in.
type document struct {
	value any
	text  string
}

// decode reads one JSON value.
func decode(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more text after the end of the JSON value")
	}
	return v, nil
}

// encode writes a value as compact JSON, with the members of objects in the order of their names.
func encode(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		// Values come from decode and from the functions of this package, all of which can be encoded.
		panic(fmt.Sprintf("asl: a value cannot be written as JSON: %v", err))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func newDocument(v any) document { return document{value: v, text: encode(v)} }

// repeatedNames finds objects that name a member twice, which a JSON decoder would pass over in silence.
func repeatedNames(text []byte) error {
	type level struct {
		object bool
		name   bool // the next string is a name
		path   string
		names  map[string]bool
	}
	d := json.NewDecoder(bytes.NewReader(text))
	var stack []*level
	var problems []error
	last := ""
	for {
		token, err := d.Token()
		if err != nil {
			return errors.Join(problems...) // decode has reported a syntax error before
		}
		top := func() *level {
			if len(stack) == 0 {
				return &level{}
			}
			return stack[len(stack)-1]
		}
		switch t := token.(type) {
		case json.Delim:
			switch t {
			case '{', '[':
				inner := &level{object: t == '{', name: t == '{', path: top().path, names: map[string]bool{}}
				if top().object {
					inner.path += "." + last
				}
				stack = append(stack, inner)
				continue
			default:
				stack = stack[:len(stack)-1]
			}
		case string:
			if l := top(); l.name {
				if l.names[t] {
					problems = append(problems, &Problem{Message: fmt.Sprintf("the field %q is there twice in %q", t, "$"+l.path)})
				}
				l.names[t] = true
				l.name = false
				last = t
				continue
			}
		}
		if l := top(); l.object {
			l.name = true
		}
	}
}
