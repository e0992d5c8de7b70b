package dynamodb

import (
	"slices"
)

// The errors of an update that its item does not allow.
var (
	errMissingOperand = invalid("The provided expression refers to an attribute that does not exist in the item")
	errOperandType    = invalid("An operand in the update expression has an incorrect data type")
	errUpdatePath     = invalid("The document path provided in the update expression is invalid for update")
)

// An update is an update expression. The grammar is at
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.UpdateExpressions.html
type update struct {
	actions []action
}

// An action of an update says what becomes of one place in the item.
type action interface {
	// target is the place.
	target() path

	// change is the new value of the place, given the item as it was before the update. A false result means that there
	// is none afterwards.
	change(before item) (value, bool, error)
}

// paths are the places that the update changes.
func (u *update) paths() []path {
	if u == nil {
		return nil
	}
	paths := make([]path, len(u.actions))
	for i, a := range u.actions {
		paths[i] = a.target()
	}
	return paths
}

// apply is the item after the update; the item itself stays as it was. All actions see the item as it was before, so
// their order does not matter, and the indexes of a list are those that it had before.
func (u *update) apply(before item) (item, error) {
	type place struct {
		path  path
		value value
	}
	var written []place
	var removed []path
	for _, a := range u.actions {
		changed, remains, err := a.change(before)
		if err != nil {
			return nil, err
		}
		if remains {
			written = append(written, place{a.target(), changed})
			continue
		}
		if parent, exists := a.target()[:len(a.target())-1].resolve(before); !exists || !parent.accepts(a.target()) {
			return nil, errUpdatePath
		}
		if _, exists := a.target().resolve(before); exists {
			removed = append(removed, a.target())
		}
	}
	// Elements beyond the end of a list are added in the order of their indexes. Removals come after, from the last, so
	// that none shifts what another one means.
	slices.SortFunc(written, func(a, b place) int { return a.path.compare(b.path) })
	slices.SortFunc(removed, func(a, b path) int { return b.compare(a) })

	after := value{kind: mapKind, attributes: before}
	var err error
	for _, w := range written {
		if after, err = after.with(w.path, w.value); err != nil {
			return nil, err
		}
	}
	for _, p := range removed {
		after = after.without(p)
	}
	return after.attributes, nil
}

// accepts reports whether the value can hold the last step of the path.
func (v value) accepts(p path) bool {
	if p[len(p)-1].isIndex() {
		return v.kind == listKind
	}
	return v.kind == mapKind
}

// with is the value with another one at the path. All but the last step have to exist.
func (v value) with(p path, inner value) (value, error) {
	if len(p) == 0 {
		return inner, nil
	}
	if !v.accepts(p[:1]) {
		return value{}, errUpdatePath
	}
	old, exists := v.step(p[0])
	if !exists && len(p) > 1 {
		return value{}, errUpdatePath
	}
	changed, err := old.with(p[1:], inner)
	if err != nil {
		return value{}, err
	}
	return v.replace(p[0], changed), nil
}

// replace is a map or list with another value at the step; a list grows by one if the step is beyond its end.
func (v value) replace(s step, inner value) value {
	if !s.isIndex() {
		attributes := make(item, len(v.attributes)+1)
		for name, attribute := range v.attributes {
			attributes[name] = attribute
		}
		attributes[s.attribute] = inner
		return value{kind: mapKind, attributes: attributes}
	}
	elements := slices.Clone(v.elements)
	if s.index < len(elements) {
		elements[s.index] = inner
	} else {
		elements = append(elements, inner)
	}
	return value{kind: listKind, elements: elements}
}

// without is the value without the one at the path, which exists.
func (v value) without(p path) value {
	if len(p) > 1 {
		inner, _ := v.step(p[0])
		return v.replace(p[0], inner.without(p[1:]))
	}
	if p[0].isIndex() {
		return value{kind: listKind, elements: slices.Delete(slices.Clone(v.elements), p[0].index, p[0].index+1)}
	}
	attributes := make(item, len(v.attributes))
	for name, attribute := range v.attributes {
		if name != p[0].attribute {
			attributes[name] = attribute
		}
	}
	return value{kind: mapKind, attributes: attributes}
}

// set is SET path = formula.
type set struct {
	path    path
	formula formula
}

func (s set) target() path { return s.path }

func (s set) change(before item) (value, bool, error) {
	v, err := s.formula.evaluate(before)
	return v, true, err
}

// remove is REMOVE path.
type remove struct{ path path }

func (r remove) target() path { return r.path }

func (r remove) change(item) (value, bool, error) { return value{}, false, nil }

// add is ADD path value: to a number, or into a set.
type add struct {
	path    path
	operand value
}

func (a add) target() path { return a.path }

func (a add) change(before item) (value, bool, error) {
	old, exists := a.path.resolve(before)
	switch {
	case !exists:
		return a.operand, true, nil
	case old.kind != a.operand.kind:
		return value{}, false, errOperandType
	case old.kind == numberKind:
		total, err := old.number.plus(a.operand.number)
		return value{kind: numberKind, number: total}, true, err
	}
	union := slices.Concat(old.elements, a.operand.elements)
	slices.SortFunc(union, value.compare)
	return value{kind: old.kind, elements: slices.CompactFunc(union, value.equal)}, true, nil
}

// deleteElements is DELETE path set. A set without elements does not exist.
type deleteElements struct {
	path    path
	operand value
}

func (d deleteElements) target() path { return d.path }

func (d deleteElements) change(before item) (value, bool, error) {
	old, exists := d.path.resolve(before)
	switch {
	case !exists:
		return value{}, false, nil
	case old.kind != d.operand.kind:
		return value{}, false, errOperandType
	}
	left := slices.DeleteFunc(slices.Clone(old.elements), d.operand.contains)
	return value{kind: old.kind, elements: left}, len(left) > 0, nil
}

// A formula is the right side of a SET action.
type formula interface {
	evaluate(before item) (value, error)
}

func (l literal) evaluate(item) (value, error) { return l.value, nil }

func (p path) evaluate(before item) (value, error) {
	v, exists := p.resolve(before)
	if !exists {
		return value{}, errMissingOperand
	}
	return v, nil
}

// sum is formula + formula, or with a minus.
type sum struct {
	left, right formula
	minus       bool
}

func (s sum) evaluate(before item) (value, error) {
	left, right, err := evaluateBoth(s.left, s.right, before)
	if err != nil {
		return value{}, err
	}
	if left.kind != numberKind || right.kind != numberKind {
		return value{}, errOperandType
	}
	if s.minus {
		right.number = right.number.negated()
	}
	total, err := left.number.plus(right.number)
	return value{kind: numberKind, number: total}, err
}

// ifNotExists is if_not_exists(path, otherwise).
type ifNotExists struct {
	path      path
	otherwise formula
}

func (f ifNotExists) evaluate(before item) (value, error) {
	if v, exists := f.path.resolve(before); exists {
		return v, nil
	}
	return f.otherwise.evaluate(before)
}

// listAppend is list_append(left, right).
type listAppend struct{ left, right formula }

func (f listAppend) evaluate(before item) (value, error) {
	left, right, err := evaluateBoth(f.left, f.right, before)
	if err != nil {
		return value{}, err
	}
	if left.kind != listKind || right.kind != listKind {
		return value{}, errOperandType
	}
	return value{kind: listKind, elements: slices.Concat(left.elements, right.elements)}, nil
}

func evaluateBoth(left, right formula, before item) (value, value, error) {
	first, err := left.evaluate(before)
	if err != nil {
		return value{}, value{}, err
	}
	second, err := right.evaluate(before)
	return first, second, err
}
