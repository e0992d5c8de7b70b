package dynamodb

import (
	"slices"
	"strings"
)

// conditionKeywords are the words of the grammar of conditions.
var conditionKeywords = []string{"AND", "OR", "NOT", "BETWEEN", "IN"}

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

// parseCondition reads a condition or filter expression and lists its paths. It is nil if there is no text.
func (p *placeholders) parseCondition(parameter string, text *string) (condition, []path, error) {
	if text == nil {
		return nil, nil, nil
	}
	parser, err := p.parser(expressionText{parameter, text}, conditionKeywords...)
	if err != nil {
		return nil, nil, err
	}
	c, err := parser.wholeCondition()
	return c, parser.paths, err
}

// wholeCondition reads a condition and nothing after it.
func (p *parser) wholeCondition() (condition, error) {
	read, err := p.disjunction()
	if err == nil && read.condition == nil {
		err = p.unexpected()
	}
	if err != nil {
		return nil, err
	}
	return read.condition, p.end()
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
		if t.text != "=" && t.text != "<>" {
			p.checkOrdered(t.text, left.operand, right)
		}
		p.checkDistinct(t.text, left.operand, right)
		return term{condition: comparison{t.text, left.operand, right}}, err
	case t.is("BETWEEN"):
		p.next()
		return p.between(left.operand)
	case t.is("IN"):
		p.next()
		return p.in(left.operand)
	}
	return left, nil
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
	p.checkOrdered("BETWEEN", tested, lower, upper)
	p.checkBounds(lower, upper)
	p.checkDistinct("BETWEEN", tested, lower, upper)
	return term{condition: between{tested, lower, upper}}, nil
}

func (p *parser) in(tested operand) (term, error) {
	if err := p.expect("("); err != nil {
		return term{}, err
	}
	list, err := list(p, p.operand)
	if len(list) > MaxInOperands {
		p.reject("The IN operator is provided with too many operands; number of operands: %d", len(list))
	}
	p.checkDistinct("IN", tested, list...)
	return term{condition: in{tested, list}}, err
}

// list reads what comes between the commas up to a closing parenthesis.
func list[E any](p *parser, element func() (E, error)) ([]E, error) {
	var all []E
	for {
		one, err := element()
		if err != nil {
			return nil, err
		}
		all = append(all, one)
		if p.accept(")") {
			return all, nil
		}
		if err := p.expect(","); err != nil {
			return nil, err
		}
	}
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
		if read.parenthesized {
			p.reject("The expression has redundant parentheses;")
		}
		read.parenthesized = true
		return read, p.expect(")")
	case p.peek().kind == valueToken:
		return term{operand: p.literal()}, nil
	case p.isCall():
		return p.call()
	}
	read, err := p.path()
	return term{operand: read}, err
}

// call reads a function. All but size() are conditions.
func (p *parser) call() (term, error) {
	name, operands, err := arguments(p, "a condition", conditionFunctions, updateFunctions, p.operand)
	if err != nil || name == "" {
		// A function that was rejected may stand anywhere.
		return term{operand: literal{}, condition: not{}}, err
	}
	target, isPath := operands[0].(path)
	if strings.HasPrefix(name, "attribute_") && !isPath {
		p.reject("Operator or function requires a document path; operator or function: %s", name)
	}
	for i, o := range operands {
		if l, isLiteral := o.(literal); isLiteral && !acceptsLiteral(name, i, l.value) {
			p.rejectType(name, l.kind)
		}
	}
	p.checkDistinct(name, operands[0], operands[1:]...)
	switch name {
	case "size":
		return term{operand: sizeOf{operands[0]}}, nil
	case "attribute_exists":
		return term{condition: attributeExists{target}}, nil
	case "attribute_not_exists":
		return term{condition: attributeNotExists{target}}, nil
	case "begins_with":
		return term{condition: beginsWith{operands[0], operands[1]}}, nil
	case "contains":
		return term{condition: contains{operands[0], operands[1]}}, nil
	}
	given, isLiteral := operands[1].(literal)
	if !isLiteral {
		p.reject("The second operand of the function attribute_type has to be an expression attribute value")
	} else if !slices.Contains(attributeTypes, given.text) {
		p.reject("Invalid attribute type name found; type: %s, valid types: {%s}", given.text, strings.Join(attributeTypes, ","))
	}
	return term{condition: attributeType{target, kind(given.text)}}, nil
}

// arguments reads a function's name and operands. The name is empty if the function was rejected: one that nobody knows,
// one of the other kind of expressions, or one with too many or too few operands.
func arguments[O any](p *parser, here string, allowed, elsewhere map[string]int, operand func() (O, error)) (string, []O, error) {
	name := p.next().text
	p.next() // the parenthesis
	operands, err := list(p, operand)
	if err != nil {
		return "", nil, err
	}
	count, known := allowed[name]
	_, knownElsewhere := elsewhere[name]
	switch {
	case knownElsewhere:
		p.reject("The function is not allowed in %s expression; function: %s", here, name)
	case !known:
		p.reject("Invalid function name; function: %s", name)
	case len(operands) != count:
		p.reject("Incorrect number of operands for operator or function; operator or function: %s, number of operands: %d", name, len(operands))
	default:
		return name, operands, nil
	}
	return "", nil, nil
}
