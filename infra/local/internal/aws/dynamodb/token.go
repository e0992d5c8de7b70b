package dynamodb

import "strings"

// A tokenKind says what a token of an expression is.
type tokenKind int

const (
	endToken        tokenKind = iota // after the last
	identifierToken                  // a keyword, a function or an attribute's name
	nameToken                        // #name, with the number sign
	valueToken                       // :value, with the colon
	indexToken                       // digits
	symbolToken                      // an operator, a bracket, or a character that means nothing
)

// A token is the smallest part of an expression; start and end are its place in the text.
type token struct {
	kind       tokenKind
	text       string
	start, end int
}

// is reports whether the token is the keyword, in any case.
func (t token) is(keyword string) bool {
	return t.kind == identifierToken && strings.EqualFold(t.text, keyword)
}

// tokens takes an expression apart. It never fails: what means nothing becomes a symbol that no rule accepts.
func tokens(expression string) []token {
	var all []token
	for start := 0; ; {
		for start < len(expression) && strings.IndexByte(" \t\r\n", expression[start]) >= 0 {
			start++
		}
		if start == len(expression) {
			return append(all, token{kind: endToken, text: "<EOF>", start: start, end: start})
		}
		kind, end := symbolToken, start+1
		switch first := expression[start]; {
		case isLetter(first):
			kind, end = identifierToken, wordEnd(expression, end)
		case isDigit(first):
			kind = indexToken
			for end < len(expression) && isDigit(expression[end]) {
				end++
			}
		case (first == '#' || first == ':') && wordEnd(expression, end) > end:
			kind, end = nameToken, wordEnd(expression, end)
			if first == ':' {
				kind = valueToken
			}
		case end < len(expression):
			switch expression[start : end+1] {
			case "<>", "<=", ">=":
				end++
			}
		}
		all = append(all, token{kind: kind, text: expression[start:end], start: start, end: end})
		start = end
	}
}

func isLetter(c byte) bool { return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// wordEnd is where the letters and digits that begin at start end.
func wordEnd(text string, start int) int {
	for start < len(text) && (isLetter(text[start]) || isDigit(text[start])) {
		start++
	}
	return start
}
