package asl

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// maxNesting is how deep calls of intrinsic functions may be nested.
const maxNesting = 10

// parseExpression reads what may stand where a value is taken from the data: a path or a call of an intrinsic function.
func parseExpression(text string) (expression, error) {
	if strings.HasPrefix(text, "$") {
		return parsePath(text)
	}
	if !strings.HasPrefix(text, "States.") {
		return nil, fmt.Errorf("%q is neither a path, which begins with $, nor an intrinsic function such as States.Format()", text)
	}
	p := intrinsicParser{text: text}
	call, err := p.call(1)
	if err == nil {
		p.spaces()
		if p.rest() != "" {
			err = fmt.Errorf("%q is left over behind the call", p.rest())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("intrinsic function %q: %w", text, err)
	}
	return call, nil
}

// A call is a call of an intrinsic function.
type call struct {
	text     string
	function function
	args     []expression
}

// A stringLiteral is a quoted string in a call. States.Format looks at its raw form, in which braces can be escaped.
type stringLiteral struct {
	literal
	raw string
}

func (c *call) String() string { return c.text }

func (c *call) eval(s *scope) (any, error) {
	args := make([]any, len(c.args))
	for i, a := range c.args {
		v, err := a.eval(s)
		if err != nil {
			return nil, err
		}
		args[i] = v
	}
	if c.function.format {
		if l, ok := c.args[0].(stringLiteral); ok {
			args[0] = l.raw
		}
	}
	v, err := c.function.apply(s, args)
	if err != nil {
		var f *Failure
		if errors.As(err, &f) {
			return nil, f
		}
		return nil, failure(IntrinsicFailure, "The function '%s' had the following error: %v", c.text, err)
	}
	return v, nil
}

type intrinsicParser struct {
	text string
	pos  int
}

func (p *intrinsicParser) rest() string { return p.text[p.pos:] }

func (p *intrinsicParser) spaces() {
	for p.pos < len(p.text) && p.text[p.pos] == ' ' {
		p.pos++
	}
}

func (p *intrinsicParser) take(c byte) bool {
	p.spaces()
	if p.pos < len(p.text) && p.text[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

func (p *intrinsicParser) call(depth int) (*call, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("calls are nested more than %d deep", maxNesting)
	}
	start := p.pos
	end := strings.IndexAny(p.rest(), "( ,)")
	if end < 0 {
		return nil, errors.New("an opening ( is missing")
	}
	name := p.rest()[:end]
	f, known := functions[name]
	if !known {
		return nil, fmt.Errorf("there is no function %s; there are %s", name, strings.Join(sortedNames(functions), ", "))
	}
	p.pos += end
	if !p.take('(') {
		return nil, fmt.Errorf("an opening ( is missing after %s", name)
	}
	var args []expression
	if !p.take(')') {
		for {
			arg, err := p.argument(depth)
			if err != nil {
				return nil, err
			}
			args = append(args, arg)
			if p.take(')') {
				break
			}
			if !p.take(',') {
				return nil, fmt.Errorf("a comma or a closing ) is missing before %q", p.rest())
			}
		}
	}
	if err := f.checkCount(name, len(args)); err != nil {
		return nil, err
	}
	return &call{text: p.text[start:p.pos], function: f, args: args}, nil
}

func (p *intrinsicParser) argument(depth int) (expression, error) {
	p.spaces()
	rest := p.rest()
	switch {
	case rest == "":
		return nil, errors.New("an argument is missing at the end")
	case rest[0] == '\'':
		return p.stringLiteral()
	case rest[0] == '$':
		text := rest[:pathEnd(rest)]
		p.pos += len(text)
		return parsePath(strings.TrimRight(text, " "))
	case strings.HasPrefix(rest, "States."):
		return p.call(depth + 1)
	}
	end := strings.IndexAny(rest, ",)")
	if end < 0 {
		end = len(rest)
	}
	text := strings.TrimRight(rest[:end], " ")
	p.pos += len(text)
	if v, err := decode([]byte(text)); err == nil {
		switch v.(type) {
		case nil, bool, json.Number:
			return literal{v}, nil
		}
	}
	return nil, fmt.Errorf("the argument %q is none of a path, a string in single quotes, a number, true, false, null and a call", text)
}

// pathEnd finds where a path among arguments ends: at a comma or parenthesis outside brackets.
func pathEnd(text string) int {
	inBrackets := false
	var quote byte
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quote != 0:
			if c == '\\' {
				i++
			} else if c == quote {
				quote = 0
			}
		case inBrackets && (c == '\'' || c == '"'):
			quote = c
		case c == '[':
			inBrackets = true
		case c == ']':
			inBrackets = false
		case !inBrackets && (c == ',' || c == ')'):
			return i
		}
	}
	return len(text)
}

// stringLiteral reads a string in single quotes, in which a backslash stands before ', {, } and itself.
func (p *intrinsicParser) stringLiteral() (expression, error) {
	start := p.pos + 1
	var value strings.Builder
	for i := start; i < len(p.text); i++ {
		switch c := p.text[i]; c {
		case '\\':
			i++
			if i == len(p.text) || !strings.ContainsRune(`'{}\`, rune(p.text[i])) {
				return nil, errors.New(`a backslash in a string may stand only before ', {, } or another backslash`)
			}
			value.WriteByte(p.text[i])
		case '\'':
			p.pos = i + 1
			return stringLiteral{literal: literal{value.String()}, raw: p.text[start:i]}, nil
		default:
			value.WriteByte(c)
		}
	}
	return nil, errors.New("a closing ' is missing")
}
