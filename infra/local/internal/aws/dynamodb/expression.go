package dynamodb

import (
	"slices"
	"strconv"
)

// The limits of expressions.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
const (
	// MaxExpressionSize is how many bytes an expression can have.
	MaxExpressionSize = 4096

	// MaxInOperands is how many values a list after IN can have.
	MaxInOperands = 100

	// maxParserDepth bounds how deep an expression can be nested, for the sake of the stack.
	maxParserDepth = 300
)

// A parser reads one expression of a request. Each rule of the grammar is a method, which returns the error that the
// service would send.
type parser struct {
	parameter string // the parameter that holds the expression, for messages
	source    string
	tokens    []token
	position  int
	depth     int
	keywords  []string // words of the grammar, which are never attributes
	paths     []path   // all that were read
	problem   error    // see reject
	*placeholders
}

// parser starts to read the expression, in whose grammar the keywords have a meaning.
func (p *placeholders) parser(e expressionText, keywords ...string) (*parser, error) {
	if *e.text == "" {
		return nil, invalid("Invalid %s: The expression can not be empty;", e.parameter)
	}
	if size := len(*e.text); size > MaxExpressionSize {
		return nil, invalid("Invalid %s: Expression size has exceeded the maximum allowed size; expression size: %d", e.parameter, size)
	}
	return &parser{parameter: e.parameter, source: *e.text, tokens: tokens(*e.text), keywords: keywords, placeholders: p}, nil
}

// reject notes that the expression says something that is not allowed, though it can be read. The first such problem is
// the error of the expression; but an error of the grammar, which the rules return, goes before it wherever it is.
func (p *parser) reject(format string, arguments ...any) {
	if p.problem == nil {
		p.problem = invalid("Invalid "+p.parameter+": "+format, arguments...)
	}
}

// end is called when the expression has been read. What the rules gave is of use only if there is no error.
func (p *parser) end() error {
	if p.peek().kind != endToken {
		return p.unexpected()
	}
	return p.problem
}

// unexpected is the error of the grammar for the current token, shown with its neighbours.
func (p *parser) unexpected() error {
	start, end := p.peek().start, p.peek().end
	if p.position > 0 {
		start = p.tokens[p.position-1].start
	}
	if p.position+1 < len(p.tokens) {
		end = p.tokens[p.position+1].end
	}
	return invalid(`Invalid %s: Syntax error; token: "%s", near: "%s"`, p.parameter, p.peek().text, p.source[start:end])
}

func (p *parser) peek() token { return p.tokens[p.position] }

// next takes the current token. The last one, which says that the expression ends, is never passed.
func (p *parser) next() token {
	t := p.peek()
	if t.kind != endToken {
		p.position++
	}
	return t
}

// accept takes the current token if it is the symbol.
func (p *parser) accept(symbol string) bool {
	if t := p.peek(); t.kind != symbolToken || t.text != symbol {
		return false
	}
	p.position++
	return true
}

// acceptKeyword takes the current token if it is the keyword.
func (p *parser) acceptKeyword(keyword string) bool {
	if !p.peek().is(keyword) {
		return false
	}
	p.position++
	return true
}

func (p *parser) expect(symbol string) error {
	if !p.accept(symbol) {
		return p.unexpected()
	}
	return nil
}

// enter is called where a rule contains itself, and leave when it is done.
func (p *parser) enter() error {
	if p.depth++; p.depth > maxParserDepth {
		return invalid("Invalid %s: The expression is nested too deep", p.parameter)
	}
	return nil
}

func (p *parser) leave() { p.depth-- }

// path reads a document path.
func (p *parser) path() (path, error) {
	first, err := p.attribute()
	if err != nil {
		return nil, err
	}
	read := path{first}
	for {
		switch {
		case p.accept("."):
			s, err := p.attribute()
			if err != nil {
				return nil, err
			}
			read = append(read, s)
		case p.accept("["):
			if p.peek().kind != indexToken {
				return nil, p.unexpected()
			}
			digits := p.next().text
			index, err := strconv.ParseInt(digits, 10, 32)
			if err != nil {
				p.reject("List index is not within the allowable range; index: [%s]", digits)
			}
			if err := p.expect("]"); err != nil {
				return nil, err
			}
			read = append(read, step{index: int(index)})
		default:
			if len(read) > MaxNesting {
				p.reject("The document path has too many nesting elements; nesting levels: %d", len(read))
			}
			p.paths = append(p.paths, read)
			return read, nil
		}
	}
}

// attribute reads the name of an attribute, or the placeholder for one.
func (p *parser) attribute() (step, error) {
	switch t := p.peek(); t.kind {
	case identifierToken:
		if slices.ContainsFunc(p.keywords, t.is) {
			return step{}, p.unexpected()
		}
		if isReserved(t.text) {
			p.reject("Attribute name is a reserved keyword; reserved keyword: %s", t.text)
		}
		p.next()
		return step{attribute: t.text}, nil
	case nameToken:
		p.next()
		name, defined := p.names[t.text]
		if !defined {
			p.reject("An expression attribute name used in the document path is not defined; attribute name: %s", t.text)
		}
		p.usedNames[t.text] = true
		return step{attribute: name}, nil
	}
	return step{}, p.unexpected()
}

// literal takes a value's placeholder.
func (p *parser) literal() literal {
	t := p.next()
	v, defined := p.values[t.text]
	if !defined {
		p.reject("An expression attribute value used in expression is not defined; attribute value: %s", t.text)
	}
	p.usedValues[t.text] = true
	return literal{v}
}

// isCall reports whether a function's name and its opening parenthesis come next.
func (p *parser) isCall() bool {
	if p.peek().kind != identifierToken {
		return false
	}
	after := p.tokens[p.position+1]
	return after.kind == symbolToken && after.text == "("
}

// parseProjection reads a projection expression: paths with commas between them.
func (p *placeholders) parseProjection(text *string) ([]path, error) {
	if text == nil {
		return nil, nil
	}
	parser, err := p.parser(expressionText{"ProjectionExpression", text})
	if err != nil {
		return nil, err
	}
	var paths []path
	for {
		read, err := parser.path()
		if err != nil {
			return nil, err
		}
		paths = append(paths, read)
		if !parser.accept(",") {
			break
		}
	}
	parser.checkSeparate(paths)
	return paths, parser.end()
}
