package credential

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/aws/smithy-go"
)

// Secrets are those of AWS Secrets Manager.
type Secrets interface {
	// SecretString reads the text of a secret in its current version, by its ARN or its name. It is nil if the secret is
	// binary.
	SecretString(ctx context.Context, id string) (*string, error)
}

// A secret is one of AWS Secrets Manager, or one field of it.
type secret struct {
	id    string // its ARN or its name
	field string // of the JSON object that its text is; empty for the whole text

	secrets Secrets
}

// text reads the secret's text, or that of its field: the value of a string, and the JSON of an object.
func (s secret) text(ctx context.Context) (string, error) {
	whole, err := s.secrets.SecretString(ctx, s.id)
	if err != nil {
		return "", s.unread(err)
	}
	if whole == nil {
		return "", s.unavailable("it is binary; expected is text", nil)
	}
	if s.field == "" {
		return *whole, nil
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(*whole), &fields) != nil {
		return "", s.unavailable("a field of it is named, and it is no JSON object", nil)
	}
	value, found := fields[s.field]
	if !found {
		return "", s.unavailable("it has no field of the name that is given", nil)
	}
	var text string
	if json.Unmarshal(value, &text) == nil && !isNull(value) {
		return text, nil
	}
	if isObject(string(value)) {
		return string(value), nil
	}
	return "", s.unavailable("the field that is named is no string", nil)
}

// unread is the error of a secret that could not be read. What the service says of it names the secret and the function's
// role, and is for those who run this only.
func (s secret) unread(err error) *Error {
	var answered smithy.APIError
	switch {
	case errors.As(err, &answered) && isCode(answered.ErrorCode()):
		return s.unavailable("AWS Secrets Manager answered "+answered.ErrorCode(), err)
	case errors.Is(err, context.DeadlineExceeded):
		return s.unavailable("AWS Secrets Manager did not answer in time", err)
	}
	return s.unavailable("AWS Secrets Manager could not be asked", err)
}

// isCode says whether a text is the code of an error, such as ResourceNotFoundException.
func isCode(text string) bool {
	return text != "" && len(text) <= 60 && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < 'A' || 'Z' < r) && (r < 'a' || 'z' < r)
	})
}

func (s secret) unavailable(details string, err error) *Error { return unavailable(s.id, details, err) }

// isObject says whether a text is a JSON object.
func isObject(text string) bool {
	var object map[string]json.RawMessage
	return strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "{") && json.Unmarshal([]byte(text), &object) == nil
}

func isNull(value json.RawMessage) bool { return string(value) == "null" }
