package dynamodb

// updateSections are the keywords that begin a section of an update expression.
var updateSections = []string{"SET", "REMOVE", "ADD", "DELETE"}

// kindNames are what the messages about ADD and DELETE call the types.
var kindNames = map[kind]string{
	binaryKind: "BINARY", binarySetKind: "BINARY_SET", booleanKind: "BOOLEAN", listKind: "LIST", mapKind: "MAP",
	nullKind: "NULL", numberKind: "NUMBER", numberSetKind: "NUMBER_SET", stringKind: "STRING", stringSetKind: "STRING_SET",
}

// parseUpdate reads an update expression. It is nil if there is no text.
func (p *placeholders) parseUpdate(text *string) (*update, error) {
	if text == nil {
		return nil, nil
	}
	parser, err := p.parser(expressionText{"UpdateExpression", text}, updateSections...)
	if err != nil {
		return nil, err
	}
	read := &update{}
	used := map[string]bool{}
	for parser.peek().kind != endToken {
		section, err := parser.section()
		if err != nil {
			return nil, err
		}
		if used[section] {
			parser.reject("The %q section can only be used once in an update expression;", section)
		}
		used[section] = true
		for more := true; more; more = parser.accept(",") {
			a, err := parser.action(section)
			if err != nil {
				return nil, err
			}
			read.actions = append(read.actions, a)
		}
	}
	if len(read.actions) == 0 {
		return nil, parser.unexpected()
	}
	parser.checkSeparate(read.paths())
	return read, parser.end()
}

// section takes the keyword that begins a section.
func (p *parser) section() (string, error) {
	for _, keyword := range updateSections {
		if p.acceptKeyword(keyword) {
			return keyword, nil
		}
	}
	return "", p.unexpected()
}

// action reads one of the actions of a section.
func (p *parser) action(section string) (action, error) {
	target, err := p.path()
	if err != nil {
		return nil, err
	}
	switch section {
	case "SET":
		if err := p.expect("="); err != nil {
			return nil, err
		}
		f, err := p.sum()
		return set{target, f}, err
	case "REMOVE":
		return remove{target}, nil
	}
	if p.peek().kind != valueToken {
		return nil, p.unexpected()
	}
	given := p.literal()
	if !given.isSet() && (section != "ADD" || given.kind != numberKind) {
		p.reject("Incorrect operand type for operator or function; operator: %s, operand type: %s, typeSet: ALLOWED_FOR_%s_OPERAND",
			section, kindNames[given.kind], section)
	}
	if section == "ADD" {
		return add{target, given.value}, nil
	}
	return deleteElements{target, given.value}, nil
}

// sum reads the right side of a SET action: a formula, or two with a sign between them.
func (p *parser) sum() (formula, error) {
	left, err := p.formula()
	if err != nil {
		return nil, err
	}
	sign := p.peek().text
	if !p.accept("+") && !p.accept("-") {
		return left, nil
	}
	right, err := p.formula()
	if err != nil {
		return nil, err
	}
	p.checkFormulas(sign, numberKind, left, right)
	return sum{left, right, sign == "-"}, nil
}

// formula reads a path, a value, a function, or a right side in parentheses.
func (p *parser) formula() (formula, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	switch {
	case p.accept("("):
		f, err := p.sum()
		if err != nil {
			return nil, err
		}
		return f, p.expect(")")
	case p.peek().kind == valueToken:
		return p.literal(), nil
	case !p.isCall():
		return p.path()
	}
	name, operands, err := arguments(p, "an update", updateFunctions, conditionFunctions, p.formula)
	if err != nil || name == "" {
		return literal{}, err
	}
	if name == "list_append" {
		p.checkFormulas(name, listKind, operands...)
		return listAppend{operands[0], operands[1]}, nil
	}
	target, isPath := operands[0].(path)
	if !isPath {
		p.reject("Operator or function requires a document path; operator or function: %s", name)
	}
	return ifNotExists{target, operands[1]}, nil
}

// checkFormulas rejects values of another type, where the request itself gives them.
func (p *parser) checkFormulas(operator string, wanted kind, operands ...formula) {
	for _, f := range operands {
		if l, isLiteral := f.(literal); isLiteral && l.kind != wanted {
			p.rejectType(operator, l.kind)
		}
	}
}
