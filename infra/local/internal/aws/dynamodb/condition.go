package dynamodb

import (
	"slices"
	"strings"
)

// A condition holds for an item or not. The grammar is at
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html
type condition interface {
	holds(it item) bool
}

// An operand stands for a value that depends on the item; there is none if the item does not have the attribute.
type operand interface {
	resolve(it item) (value, bool)
}

// A literal is an operand that the request gives.
type literal struct{ value }

func (l literal) resolve(item) (value, bool) { return l.value, true }

// sizeOf is the operand size(operand).
type sizeOf struct{ of operand }

func (s sizeOf) resolve(it item) (value, bool) {
	v, exists := s.of.resolve(it)
	if !exists {
		return value{}, false
	}
	length, exists := v.length()
	return wholeNumber(length), exists
}

type and struct{ left, right condition }

func (c and) holds(it item) bool { return c.left.holds(it) && c.right.holds(it) }

type or struct{ left, right condition }

func (c or) holds(it item) bool { return c.left.holds(it) || c.right.holds(it) }

type not struct{ condition }

func (c not) holds(it item) bool { return !c.condition.holds(it) }

// A comparison is operand comparator operand. Values of different types are unequal and not ordered, and so is a
// value to one that is not there.
type comparison struct {
	comparator  string
	left, right operand
}

func (c comparison) holds(it item) bool {
	left, hasLeft := c.left.resolve(it)
	right, hasRight := c.right.resolve(it)
	both := hasLeft && hasRight
	switch c.comparator {
	case "=":
		return both && left.equal(right)
	case "<>":
		return !both || !left.equal(right)
	}
	if !both || left.kind != right.kind || !left.isOrdered() {
		return false
	}
	order := left.compare(right)
	switch c.comparator {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

// between is operand BETWEEN operand AND operand; both bounds belong to the range.
type between struct{ tested, lower, upper operand }

func (c between) holds(it item) bool {
	return comparison{">=", c.tested, c.lower}.holds(it) && comparison{"<=", c.tested, c.upper}.holds(it)
}

// in is operand IN (operand, …).
type in struct {
	operand operand
	list    []operand
}

func (c in) holds(it item) bool {
	return slices.ContainsFunc(c.list, func(one operand) bool { return comparison{"=", c.operand, one}.holds(it) })
}

type attributeExists struct{ path path }

func (c attributeExists) holds(it item) bool {
	_, exists := c.path.resolve(it)
	return exists
}

type attributeNotExists struct{ path path }

func (c attributeNotExists) holds(it item) bool {
	_, exists := c.path.resolve(it)
	return !exists
}

type attributeType struct {
	path path
	kind kind
}

func (c attributeType) holds(it item) bool {
	v, exists := c.path.resolve(it)
	return exists && v.kind == c.kind
}

type beginsWith struct{ operand, prefix operand }

func (c beginsWith) holds(it item) bool {
	v, exists := c.operand.resolve(it)
	prefix, given := c.prefix.resolve(it)
	return exists && given && v.kind == prefix.kind && (v.kind == stringKind || v.kind == binaryKind) &&
		strings.HasPrefix(v.text, prefix.text)
}

type contains struct{ operand, part operand }

func (c contains) holds(it item) bool {
	v, exists := c.operand.resolve(it)
	part, given := c.part.resolve(it)
	if !exists || !given {
		return false
	}
	switch {
	case v.kind == listKind:
		return slices.ContainsFunc(v.elements, part.equal)
	case v.isSet():
		return v.contains(part)
	}
	return v.kind == part.kind && (v.kind == stringKind || v.kind == binaryKind) && strings.Contains(v.text, part.text)
}
