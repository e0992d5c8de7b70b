package dynamodb

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A path leads from an item to a value in it: attribute.attribute[index].
type path []step

// A step of a path goes to an attribute, or, without one, to an element of a list.
type step struct {
	attribute string
	index     int
}

func (s step) isIndex() bool { return s.attribute == "" }

func (s step) compare(other step) int {
	return cmp.Or(strings.Compare(s.attribute, other.attribute), cmp.Compare(s.index, other.index))
}

func (p path) compare(other path) int { return slices.CompareFunc(p, other, step.compare) }

// String writes the path as the service does in its messages: [attribute, [index]].
func (p path) String() string {
	steps := make([]string, len(p))
	for i, s := range p {
		steps[i] = s.attribute
		if s.isIndex() {
			steps[i] = fmt.Sprintf("[%d]", s.index)
		}
	}
	return "[" + strings.Join(steps, ", ") + "]"
}

// resolve finds the value that the path leads to.
func (p path) resolve(it item) (value, bool) {
	found := value{kind: mapKind, attributes: it}
	for _, s := range p {
		next, exists := found.step(s)
		if !exists {
			return value{}, false
		}
		found = next
	}
	return found, true
}

// step goes one step from a map or a list.
func (v value) step(s step) (value, bool) {
	if !s.isIndex() {
		next, exists := v.attributes[s.attribute]
		return next, exists && v.kind == mapKind
	}
	if v.kind != listKind || s.index >= len(v.elements) {
		return value{}, false
	}
	return v.elements[s.index], true
}

// checkSeparate rejects paths of which one leads to or through the other, or that take the same value for a list and for
// a map.
func (p *parser) checkSeparate(paths []path) {
	for i, first := range paths {
		for _, second := range paths[:i] {
			shared := 0
			for shared < min(len(first), len(second)) && first[shared] == second[shared] {
				shared++
			}
			relation := ""
			if shared == len(first) || shared == len(second) {
				relation = "overlap"
			} else if first[shared].isIndex() != second[shared].isIndex() {
				relation = "conflict"
			}
			if relation != "" {
				p.reject("Two document paths %s with each other; must remove or rewrite one of these paths; path one: %s, path two: %s",
					relation, second, first)
			}
		}
	}
}

// project is the part of the item that the paths lead to, in its place: maps keep their names, lists close up. The paths
// do not overlap.
func (it item) project(paths []path) item {
	projected := item{}
	for first, rests := range byFirstStep(paths) {
		if v, exists := it[first.attribute]; exists {
			if part, exists := v.project(rests); exists {
				projected[first.attribute] = part
			}
		}
	}
	return projected
}

// project is the part of a value that the paths lead to; a path without steps leads to all of it.
func (v value) project(paths []path) (value, bool) {
	if len(paths[0]) == 0 {
		return v, true
	}
	switch v.kind {
	case mapKind:
		part := value{kind: mapKind, attributes: v.attributes.project(paths)}
		return part, len(part.attributes) > 0
	case listKind:
		part := value{kind: listKind}
		rests := byFirstStep(paths)
		for i, element := range v.elements {
			if rest, asked := rests[step{index: i}]; asked {
				if kept, exists := element.project(rest); exists {
					part.elements = append(part.elements, kept)
				}
			}
		}
		return part, len(part.elements) > 0
	}
	return value{}, false
}

func byFirstStep(paths []path) map[step][]path {
	groups := map[step][]path{}
	for _, p := range paths {
		groups[p[0]] = append(groups[p[0]], p[1:])
	}
	return groups
}
