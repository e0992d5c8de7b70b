package cloudwatchlogs

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// matcherOf reads a filter pattern. The empty pattern matches everything.
func matcherOf(pattern string) (func(line string) bool, error) {
	pattern = strings.TrimSpace(pattern)
	switch {
	case pattern == "":
		return func(string) bool { return true }, nil
	case strings.HasPrefix(pattern, "["):
		return nil, refusal(CodeInvalidParameter, "the filter pattern is %s; patterns in square brackets, for lines of columns, are not known here", pattern)
	case strings.HasPrefix(pattern, "{"):
		return jsonMatcher(pattern)
	}
	return termsMatcher(pattern)
}

// termsMatcher reads a pattern of terms: each has to be in the line, unless it has a minus sign. Of those with a question mark, one has
// to be there, if there are no others.
func termsMatcher(pattern string) (func(string) bool, error) {
	var all, any, none []string
	s := scanner{text: pattern}
	for s.skip(); s.rest() != ""; s.skip() {
		list := &all
		if s.take("-") {
			list = &none
		} else if s.take("?") {
			list = &any
		}
		term, err := s.term()
		if err != nil {
			return nil, err
		}
		*list = append(*list, term)
	}
	return func(line string) bool {
		for _, term := range all {
			if !strings.Contains(line, term) {
				return false
			}
		}
		for _, term := range none {
			if strings.Contains(line, term) {
				return false
			}
		}
		if len(all) > 0 || len(any) == 0 {
			return true
		}
		for _, term := range any {
			if strings.Contains(line, term) {
				return true
			}
		}
		return false
	}, nil
}

// A condition is what a pattern asks of a line that is a JSON object.
type condition func(document any) bool

// jsonMatcher reads a pattern for lines of JSON, such as { $.status >= 500 && $.problem = "engine-*" }.
func jsonMatcher(pattern string) (func(string) bool, error) {
	s := scanner{text: pattern}
	s.take("{")
	matches, err := s.either()
	if err != nil {
		return nil, err
	}
	if s.skip(); !s.take("}") {
		return nil, s.unexpected(`&&, || or } `)
	}
	if s.skip(); s.rest() != "" {
		return nil, s.unexpected("the end")
	}
	return func(line string) bool {
		var document any
		return strings.HasPrefix(strings.TrimSpace(line), "{") && json.Unmarshal([]byte(line), &document) == nil && matches(document)
	}, nil
}

// A scanner reads a pattern.
type scanner struct {
	text string
	at   int
}

func (s *scanner) rest() string { return s.text[s.at:] }

func (s *scanner) skip() {
	for s.at < len(s.text) && strings.ContainsRune(" \t\r\n", rune(s.text[s.at])) {
		s.at++
	}
}

func (s *scanner) take(token string) bool {
	if strings.HasPrefix(s.rest(), token) {
		s.at += len(token)
		return true
	}
	return false
}

func (s *scanner) unexpected(wanted string) error {
	found := "its end"
	if s.rest() != "" {
		found = s.rest()
	}
	return refusal(CodeInvalidParameter, "the filter pattern is %s; after %d characters %s is expected, and there is %s",
		s.text, s.at, strings.TrimSpace(wanted), found)
}

// either reads conditions with || between.
func (s *scanner) either() (condition, error) {
	left, err := s.both()
	for err == nil {
		if s.skip(); !s.take("||") {
			return left, nil
		}
		var right condition
		before := left
		right, err = s.both()
		left = func(document any) bool { return before(document) || right(document) }
	}
	return nil, err
}

// both reads conditions with && between.
func (s *scanner) both() (condition, error) {
	left, err := s.one()
	for err == nil {
		if s.skip(); !s.take("&&") {
			return left, nil
		}
		var right condition
		before := left
		right, err = s.one()
		left = func(document any) bool { return before(document) && right(document) }
	}
	return nil, err
}

// one reads a comparison, or what is in parentheses.
func (s *scanner) one() (condition, error) {
	if s.skip(); s.take("(") {
		inside, err := s.either()
		if err != nil {
			return nil, err
		}
		if s.skip(); !s.take(")") {
			return nil, s.unexpected(")")
		}
		return inside, nil
	}
	path, err := s.selector()
	if err != nil {
		return nil, err
	}
	s.skip()
	switch {
	case s.word("IS"):
		return s.is(path)
	case s.word("NOT"):
		if s.skip(); !s.word("EXISTS") {
			return nil, s.unexpected("EXISTS")
		}
		return func(document any) bool { _, there := path.in(document); return !there }, nil
	}
	for _, operator := range []string{"!=", ">=", "<=", "=", ">", "<"} {
		if s.take(operator) {
			return s.comparison(path, operator)
		}
	}
	return nil, s.unexpected("=, !=, <, <=, >, >=, IS or NOT EXISTS")
}

// word takes a word in capitals, which is not the beginning of a longer one.
func (s *scanner) word(word string) bool {
	after, found := strings.CutPrefix(s.rest(), word)
	if !found || after != "" && isWord(after[0]) {
		return false
	}
	return s.take(word)
}

func (s *scanner) is(path path) (condition, error) {
	s.skip()
	for word, value := range map[string]any{"TRUE": true, "FALSE": false, "NULL": nil} {
		if s.word(word) {
			return func(document any) bool { found, there := path.in(document); return there && found == value }, nil
		}
	}
	return nil, s.unexpected("TRUE, FALSE or NULL")
}

// comparison reads the value behind an operator. What has the form of a number is compared with numbers, everything else with strings,
// in which an asterisk stands for anything.
func (s *scanner) comparison(path path, operator string) (condition, error) {
	s.skip()
	quoted := strings.HasPrefix(s.rest(), `"`)
	if s.take("%") {
		end := strings.IndexByte(s.rest(), '%')
		if end < 0 {
			return nil, s.unexpected("% behind a regular expression")
		}
		expression, err := regexp.Compile(s.rest()[:end])
		if err != nil {
			return nil, refusal(CodeInvalidParameter, "the filter pattern is %s; its regular expression: %v", s.text, err)
		}
		s.at += end + 1
		return textual(path, operator, expression)
	}
	value, err := s.term()
	if err != nil {
		return nil, err
	}
	if number, err := strconv.ParseFloat(value, 64); err == nil && !quoted {
		return func(document any) bool {
			found, _ := path.in(document)
			is, numeric := found.(float64)
			return numeric && map[string]bool{"=": is == number, "!=": is != number, "<": is < number, "<=": is <= number, ">": is > number, ">=": is >= number}[operator]
		}, nil
	}
	return textual(path, operator, regexp.MustCompile(`(?s)\A`+strings.ReplaceAll(regexp.QuoteMeta(value), `\*`, `.*`)+`\z`))
}

// textual compares a string.
func textual(path path, operator string, expression *regexp.Regexp) (condition, error) {
	if operator != "=" && operator != "!=" {
		return nil, refusal(CodeInvalidParameter, "the operator %s is for numbers; strings are compared by = and !=", operator)
	}
	return func(document any) bool {
		found, _ := path.in(document)
		text, is := found.(string)
		return is && expression.MatchString(text) == (operator == "=")
	}, nil
}

// term reads what stands in quotation marks, or up to the next space or sign.
func (s *scanner) term() (string, error) {
	if !s.take(`"`) {
		begin := s.at
		for s.at < len(s.text) && !strings.ContainsRune(" \t\r\n(){}&|\"", rune(s.text[s.at])) {
			s.at++
		}
		if s.at == begin {
			return "", s.unexpected("a value")
		}
		return s.text[begin:s.at], nil
	}
	var b strings.Builder
	for s.at < len(s.text) {
		c := s.text[s.at]
		s.at++
		switch {
		case c == '"':
			return b.String(), nil
		case c == '\\' && s.at < len(s.text):
			b.WriteByte(s.text[s.at])
			s.at++
		default:
			b.WriteByte(c)
		}
	}
	return "", s.unexpected("a quotation mark")
}

// A path leads to a value in a document, by names and indexes.
type path []any

// selector reads a path, such as $.attempts[0].proxy or $['a b'].
func (s *scanner) selector() (path, error) {
	if !s.take("$") {
		return nil, s.unexpected("a selector, which begins with $.,")
	}
	var p path
	for {
		switch {
		case s.take("['"):
			end := strings.Index(s.rest(), "']")
			if end < 0 {
				return nil, s.unexpected("']")
			}
			p = append(p, s.rest()[:end])
			s.at += end + 2
		case s.take("["):
			end := strings.IndexByte(s.rest(), ']')
			index, err := strconv.Atoi(s.rest()[:max(end, 0)])
			if err != nil || index < 0 {
				return nil, s.unexpected("an index and ]")
			}
			p = append(p, index)
			s.at += end + 1
		case s.take("."):
			begin := s.at
			for s.at < len(s.text) && isWord(s.text[s.at]) {
				s.at++
			}
			if s.at == begin {
				return nil, s.unexpected("a name")
			}
			p = append(p, s.text[begin:s.at])
		case len(p) == 0:
			return nil, s.unexpected("a name behind $")
		default:
			return p, nil
		}
	}
}

func isWord(c byte) bool {
	return c == '_' || c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// in finds the value in a document.
func (p path) in(document any) (value any, there bool) {
	for _, step := range p {
		switch at := document.(type) {
		case map[string]any:
			if document, there = at[fmt.Sprint(step)]; !there {
				return nil, false
			}
		case []any:
			index, is := step.(int)
			if !is || index >= len(at) {
				return nil, false
			}
			document = at[index]
		default:
			return nil, false
		}
	}
	return document, true
}
