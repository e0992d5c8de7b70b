package asl

import (
	"strings"
	"time"
)

// A choice is one of the Choices of a Choice state.
type choice struct {
	condition condition
	next      string
}

// A condition is a Boolean expression of a Choice.
type condition interface {
	holds(s *scope) (bool, error)
}

type (
	allOf  []condition
	anyOf  []condition
	noneOf struct{ condition }
)

func (c allOf) holds(s *scope) (bool, error) {
	for _, inner := range c {
		if ok, err := inner.holds(s); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (c anyOf) holds(s *scope) (bool, error) {
	for _, inner := range c {
		if ok, err := inner.holds(s); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

func (c noneOf) holds(s *scope) (bool, error) {
	ok, err := c.condition.holds(s)
	return !ok, err
}

// A comparison compares the value of a path with a fixed value or with that of another path.
type comparison struct {
	variable *path
	operator string
	compare  func(variable, operand any) bool
	operand  any
	from     *path // where the operand comes from, for the operators that end in Path; nil for the others
}

func (c comparison) holds(s *scope) (bool, error) {
	v, err := c.variable.find(s)
	if c.operator == "IsPresent" {
		return (err == nil) == c.operand.(bool), nil
	}
	if err != nil {
		return false, invalidChoicePath(c.variable)
	}
	operand := c.operand
	if c.from != nil {
		if operand, err = c.from.find(s); err != nil {
			return false, invalidChoicePath(c.from)
		}
	}
	return c.compare(v, operand), nil
}

func invalidChoicePath(p *path) error {
	return failure(Runtime, "Invalid path '%s': The choice state's condition path references an invalid value.", p.text)
}

// An operand type says what a comparison operator may be given in the definition.
type operandType string

const (
	stringOperand    operandType = "a string"
	numberOperand    operandType = "a number"
	booleanOperand   operandType = "true or false"
	timestampOperand operandType = "a timestamp such as 2016-03-14T01:59:00Z"
)

func (t operandType) allows(v any) bool {
	switch t {
	case numberOperand:
		_, ok := number(v)
		return ok
	case booleanOperand:
		_, ok := v.(bool)
		return ok
	case timestampOperand:
		_, ok := timestamp(v)
		return ok
	}
	_, ok := v.(string)
	return ok
}

type operator struct {
	operand operandType
	compare func(variable, operand any) bool
	noPath  bool // there is no form of it that ends in Path
}

// operators holds the comparison operators. Values of different types never compare: the condition does not hold.
var operators = map[string]operator{
	"IsPresent":   {operand: booleanOperand, noPath: true},
	"IsNull":      isType(func(v any) bool { return v == nil }),
	"IsString":    isType(stringOperand.allows),
	"IsNumeric":   isType(numberOperand.allows),
	"IsBoolean":   isType(booleanOperand.allows),
	"IsTimestamp": isType(timestampOperand.allows),

	"BooleanEquals": {operand: booleanOperand, compare: func(v, w any) bool {
		a, ok := v.(bool)
		b, ok2 := w.(bool)
		return ok && ok2 && a == b
	}},
	"StringMatches": {operand: stringOperand, noPath: true, compare: func(v, w any) bool {
		text, ok := v.(string)
		return ok && matchesPattern(text, w.(string))
	}},
}

func init() {
	ordered := map[string]func(order int) bool{
		"Equals":            func(o int) bool { return o == 0 },
		"LessThan":          func(o int) bool { return o < 0 },
		"LessThanEquals":    func(o int) bool { return o <= 0 },
		"GreaterThan":       func(o int) bool { return o > 0 },
		"GreaterThanEquals": func(o int) bool { return o >= 0 },
	}
	for name, accepts := range ordered {
		operators["String"+name] = operator{operand: stringOperand, compare: func(v, w any) bool {
			a, ok := v.(string)
			b, ok2 := w.(string)
			return ok && ok2 && accepts(strings.Compare(a, b))
		}}
		operators["Numeric"+name] = operator{operand: numberOperand, compare: func(v, w any) bool {
			a, ok := number(v)
			b, ok2 := number(w)
			return ok && ok2 && accepts(compareNumbers(a, b))
		}}
		operators["Timestamp"+name] = operator{operand: timestampOperand, compare: func(v, w any) bool {
			a, ok := timestamp(v)
			b, ok2 := timestamp(w)
			return ok && ok2 && accepts(a.Compare(b))
		}}
	}
}

func isType(is func(any) bool) operator {
	return operator{operand: booleanOperand, noPath: true, compare: func(v, w any) bool { return is(v) == w.(bool) }}
}

func compareNumbers(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// timestamp reads a time as the language has it: RFC 3339, with an upper-case T, and an upper-case Z where there is no
// offset.
func timestamp(v any) (time.Time, bool) {
	text, ok := v.(string)
	if !ok {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	return t, err == nil
}

// matchesPattern matches text with a pattern in which * stands for any number of characters, and \* and \\ for
// themselves.
func matchesPattern(text, pattern string) bool {
	var parts []string // what stands between the wildcards
	var part strings.Builder
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\' && i+1 < len(pattern):
			i++
			part.WriteByte(pattern[i])
		case c == '*':
			parts = append(parts, part.String())
			part.Reset()
		default:
			part.WriteByte(c)
		}
	}
	last := part.String()
	if len(parts) == 0 {
		return text == last
	}
	rest, ok := strings.CutPrefix(text, parts[0])
	if !ok {
		return false
	}
	for _, p := range parts[1:] {
		_, after, found := strings.Cut(rest, p)
		if !found {
			return false
		}
		rest = after
	}
	return strings.HasSuffix(rest, last)
}
