package idempotency

// A Selection picks a part of JSON documents with a JMESPath expression, as [Config.Key] and [Config.Validation] do, for
// programs that work out keys or fingerprints of their own. It is safe for concurrent use.
type Selection struct{ expression *expression }

// NewSelection compiles an expression, which may be all that [Config.Key] may be, with functions of one's own. The error
// says what is wrong with it, or with them.
func NewSelection(expression string, own ...Function) (*Selection, error) {
	if err := checkFunctions(own); err != nil {
		return nil, err
	}
	compiled, err := compileExpression(expression, own)
	if err != nil {
		return nil, err
	}
	return &Selection{compiled}, nil
}

// Canonical is what the expression selects in a document, in the form of [CanonicalJSON]; null if it selects nothing. An
// error is returned for what is not one JSON document, and if the expression cannot be evaluated on it.
func (s *Selection) Canonical(document []byte) ([]byte, error) {
	selected, err := s.expression.selectFrom(document)
	if err != nil {
		return nil, err
	}
	return appendCanonical(nil, selected), nil
}
