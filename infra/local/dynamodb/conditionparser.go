package dynamodb

import (
	"encoding/json"
	"slices"
	"strings"
)

var comparators = []string{"=", "<>", "<", "<=", ">", ">="}

// attributeTypes are what attribute_type() accepts, in the order of the service's message.
var attributeTypes = []string{"B", "NULL", "SS", "BOOL", "L", "BS", "N", "NS", "S", "M"}

// conditionFunctions are the functions that conditions have, with the number of their operands.
var conditionFunctions = map[string]int{
	"attribute_exists":     1,
	"attribute_not_exists": 1,
	"attribute_type":       2,
	"begins_with":          2,
	"contains":             2,
	"size":                 1,
}

// updateFunctions are the functions that update expressions have, with the number of their operands.
var updateFunctions = map[string]int{
	"if_not_exists": 2,
	"list_append":   2,
}

// A term is what a rule of the condition grammar has read: an operand or a condition, since only what comes after it
// tells which was meant. parenthesized says that it stood in parentheses of its own.
type term struct {
	operand       operand
	condition     condition
	parenthesized bool
}

// parseCondition reads a condition or filter expression. It is nil if there is no text.
func (p *placeholders) parseCondition(parameter string, text *string) (condition, error) {
	if text == nil {
		return nil, nil
	}
	parser, err := p.parser(expressionText{parameter, text})
	if err != nil {
		return nil, err
	}
	return parser.wholeCondition()
}

// wholeCondition reads a condition and nothing after it.
func (p *parser) wholeCondition() (condition, error) {
	read, err := p.disjunction()
	if err == nil && (read.condition == nil || p.peek().kind != endToken) {
		err = p.unexpected()
	}
	return read.condition, err
}

// disjunction reads conditions with OR between them.
func (p *parser) disjunction() (term, error) {
	return p.chain("OR", p.conjunction, func(left, right condition) condition { return or{left, right} })
}

// conjunction reads conditions with AND between them.
func (p *parser) conjunction() (term, error) {
	return p.chain("AND", p.negation, func(left, right condition) condition { return and{left, right} })
}

func (p *parser) chain(keyword string, part func() (term, error), join func(left, right condition) condition) (term, error) {
	left, err := part()
	for err == nil && p.peek().is(keyword) {
		if left.condition == nil {
			return term{}, p.unexpected()
		}
		p.next()
		var right term
		if right, err = part(); err == nil && right.condition == nil {
			err = p.unexpected()
		}
		left = term{condition: join(left.condition, right.condition)}
	}
	return left, err
}

// negation reads a condition with or without NOT before it.
func (p *parser) negation() (term, error) {
	if !p.acceptKeyword("NOT") {
		return p.predicate()
	}
	if err := p.enter(); err != nil {
		return term{}, err
	}
	defer p.leave()
	negated, err := p.negation()
	if err == nil && negated.condition == nil {
		err = p.unexpected()
	}
	return term{condition: not{negated.condition}}, err
}

// predicate reads a comparison, BETWEEN, IN, a function, or anything in parentheses.
func (p *parser) predicate() (term, error) {
	left, err := p.primary()
	if err != nil || left.operand == nil {
		return left, err
	}
	switch t := p.peek(); {
	case t.kind == symbolToken && slices.Contains(comparators, t.text):
		p.next()
		right, err := p.operand()
		if err != nil {
			return term{}, err
		}
		if t.text != "=" && t.text != "<>" {
			err = p.checkOrdered(t.text, left.operand, right)
		}
		return term{condition: comparison{t.text, left.operand, right}}, firstError(err, p.checkDistinctOperand(t.text, left.operand, right))
	case t.is("BETWEEN"):
		p.next()
		return p.between(left.operand)
	case t.is("IN"):
		p.next()
		return p.in(left.operand)
	}
	return left, nil
}

// firstError is the first of the errors that is one.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) between(tested operand) (term, error) {
	lower, err := p.operand()
	if err != nil {
		return term{}, err
	}
	if !p.acceptKeyword("AND") {
		return term{}, p.unexpected()
	}
	upper, err := p.operand()
	if err != nil {
		return term{}, err
	}
	return term{condition: between{tested, lower, upper}}, firstError(
		p.checkOrdered("BETWEEN", tested, lower, upper), p.checkBounds(lower, upper), p.checkDistinctOperand("BETWEEN", tested, lower, upper))
}

// checkBounds refuses bounds that the request itself gives and between which nothing can be.
func (p *parser) checkBounds(lower, upper operand) error {
	low, isLiteral := lower.(literal)
	high, areLiterals := upper.(literal)
	rule := ""
	switch {
	case !isLiteral || !areLiterals:
		return nil
	case low.kind != high.kind:
		rule = "same data type for lower and upper bounds"
	case low.compare(high.value) > 0:
		rule = "upper bound to be greater than or equal to lower bound"
	default:
		return nil
	}
	return p.invalid("The BETWEEN operator requires %s; lower bound operand: AttributeValue: %s, upper bound operand: AttributeValue: %s",
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

func (p *parser) in(tested operand) (term, error) {
	if err := p.expect("("); err != nil {
		return term{}, err
	}
	var list []operand
	for {
		one, err := p.operand()
		if err != nil {
			return term{}, err
		}
		list = append(list, one)
		if p.accept(")") {
			break
		}
		if err := p.expect(","); err != nil {
			return term{}, err
		}
	}
	if len(list) > MaxInOperands {
		return term{}, p.invalid("The IN operator is provided with too many operands; number of operands: %d", len(list))
	}
	return term{condition: in{tested, list}}, p.checkDistinctOperand("IN", tested, list...)
}

// checkOrdered refuses values without an order, where the request itself gives them.
func (p *parser) checkOrdered(operator string, operands ...operand) error {
	for _, o := range operands {
		if l, isLiteral := o.(literal); isLiteral && !l.isOrdered() {
			return p.operandType(operator, l.kind)
		}
	}
	return nil
}

func (p *parser) operandType(operator string, found kind) error {
	return p.invalid("Incorrect operand type for operator or function; operator or function: %s, operand type: %s", operator, found)
}

// checkDistinctOperand refuses a path that is compared with itself.
func (p *parser) checkDistinctOperand(operator string, first operand, others ...operand) error {
	one, isPath := first.(path)
	if !isPath {
		return nil
	}
	for _, o := range others {
		if other, isPath := o.(path); isPath && one.compare(other) == 0 {
			return p.invalid("The first operand must be distinct from the remaining operands for this operator or function; operator: %s, first operand: %s",
				operator, one)
		}
	}
	return nil
}

// operand reads a term that has to be an operand.
func (p *parser) operand() (operand, error) {
	read, err := p.primary()
	if err == nil && read.operand == nil {
		err = p.unexpected()
	}
	return read.operand, err
}

// primary reads a path, a value, a function or a term in parentheses.
func (p *parser) primary() (term, error) {
	if err := p.enter(); err != nil {
		return term{}, err
	}
	defer p.leave()
	switch {
	case p.accept("("):
		read, err := p.disjunction()
		if err != nil {
			return term{}, err
		}
		if err := p.expect(")"); err != nil {
			return term{}, err
		}
		if read.parenthesized {
			return term{}, p.invalid("The expression has redundant parentheses;")
		}
		read.parenthesized = true
		return read, nil
	case p.peek().kind == valueToken:
		read, err := p.literal()
		return term{operand: read}, err
	case p.isCall():
		return p.call()
	}
	read, err := p.path()
	return term{operand: read}, err
}

// call reads a function. All but size() are conditions.
func (p *parser) call() (term, error) {
	name, operands, err := arguments(p, "a condition", conditionFunctions, updateFunctions, p.operand)
	if err != nil {
		return term{}, err
	}
	first := operands[0]
	if strings.HasPrefix(name, "attribute_") {
		if _, isPath := first.(path); !isPath {
			return term{}, p.invalid("Operator or function requires a document path; operator or function: %s", name)
		}
	}
	for i, o := range operands {
		if l, isLiteral := o.(literal); isLiteral && !acceptsLiteral(name, i, l.value) {
			return term{}, p.operandType(name, l.kind)
		}
	}
	if err := p.checkDistinctOperand(name, first, operands[1:]...); err != nil {
		return term{}, err
	}
	switch name {
	case "size":
		return term{operand: sizeOf{first}}, nil
	case "attribute_exists":
		return term{condition: attributeExists{first.(path)}}, nil
	case "attribute_not_exists":
		return term{condition: not{attributeExists{first.(path)}}}, nil
	case "begins_with":
		return term{condition: beginsWith{first, operands[1]}}, nil
	case "contains":
		return term{condition: contains{first, operands[1]}}, nil
	}
	given, isLiteral := operands[1].(literal)
	if !isLiteral {
		return term{}, p.invalid("The second operand of function attribute_type must be an expression attribute value")
	}
	if !slices.Contains(attributeTypes, given.text) {
		return term{}, p.invalid("Invalid attribute type name found; type: %s, valid types: {%s}", given.text, strings.Join(attributeTypes, ","))
	}
	return term{condition: attributeType{first.(path), kind(given.text)}}, nil
}

// acceptsLiteral reports whether the value can stand as the function's operand of that number.
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

// arguments reads a function's name and operands. Functions of the other kind of expression are refused by name.
func arguments[O any](p *parser, here string, allowed, elsewhere map[string]int, argument func() (O, error)) (string, []O, error) {
	name := p.next().text
	count, known := allowed[name]
	if !known {
		if _, known = elsewhere[name]; known {
			return "", nil, p.invalid("The function is not allowed in %s expression; function: %s", here, name)
		}
		return "", nil, p.invalid("Invalid function name; function: %s", name)
	}
	if err := p.expect("("); err != nil {
		return "", nil, err
	}
	var operands []O
	for {
		one, err := argument()
		if err != nil {
			return "", nil, err
		}
		operands = append(operands, one)
		if p.accept(")") {
			break
		}
		if err := p.expect(","); err != nil {
			return "", nil, err
		}
	}
	if len(operands) != count {
		return "", nil, p.invalid("Incorrect number of operands for operator or function; operator or function: %s, number of operands: %d", name, len(operands))
	}
	return name, operands, nil
}
