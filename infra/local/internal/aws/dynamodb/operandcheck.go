package dynamodb

import (
	"encoding/json"
	"strings"
)

// What is wrong with the operands of a condition can be seen before any item is only where the request itself gives them.

// checkOrdered rejects values that have no order.
func (p *parser) checkOrdered(operator string, operands ...operand) {
	for _, o := range operands {
		if l, isLiteral := o.(literal); isLiteral && !l.isOrdered() {
			p.rejectType(operator, l.kind)
		}
	}
}

func (p *parser) rejectType(operator string, found kind) {
	p.reject("Incorrect operand type for operator or function; operator or function: %s, operand type: %s", operator, found)
}

// checkDistinct rejects a path that is compared with itself.
func (p *parser) checkDistinct(operator string, first operand, others ...operand) {
	one, isPath := first.(path)
	for _, o := range others {
		if other, areBoth := o.(path); isPath && areBoth && one.compare(other) == 0 {
			p.reject("The first operand must be distinct from the remaining operands for this operator or function; operator: %s, first operand: %s",
				operator, one)
		}
	}
}

// checkBounds rejects bounds between which nothing can be.
func (p *parser) checkBounds(lower, upper operand) {
	low, isLiteral := lower.(literal)
	high, areLiterals := upper.(literal)
	rule := ""
	switch {
	case !isLiteral || !areLiterals:
		return
	case low.kind != high.kind:
		rule = "same data type for lower and upper bounds"
	case low.compare(high.value) > 0:
		rule = "upper bound to be greater than or equal to lower bound"
	default:
		return
	}
	p.reject("The BETWEEN operator requires %s; lower bound operand: AttributeValue: %s, upper bound operand: AttributeValue: %s",
		rule, low.describe(), high.describe())
}

// describe writes the value as the service does in its messages: {N:5}.
func (v value) describe() string {
	text, err := json.Marshal(v)
	if err != nil {
		return "{" + string(v.kind) + "}"
	}
	return strings.ReplaceAll(string(text), `"`, "")
}

// acceptsLiteral reports whether the value can be the operand of a function, counted from 0.
func acceptsLiteral(function string, number int, v value) bool {
	switch function {
	case "attribute_type":
		return v.kind == stringKind
	case "begins_with":
		return v.kind == stringKind || v.kind == binaryKind
	case "contains":
		return number > 0 || v.isSet() || v.kind == listKind || v.kind == stringKind || v.kind == binaryKind
	case "size":
		_, hasLength := v.length()
		return hasLength
	}
	return true
}
