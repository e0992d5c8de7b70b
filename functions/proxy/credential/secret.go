package credential

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"
)

// SecretsManager is the part of AWS Secrets Manager that is needed.
type SecretsManager interface {
	GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
}

// A secret is one of AWS Secrets Manager, or one field of it.
type secret struct {
	id    string // its ARN or its name
	field string // of the JSON object that its text is; empty for the whole text

	client func(context.Context) (SecretsManager, error)
}

// text reads the secret's text, or that of its field: the value of a string, and the JSON of an object.
func (s secret) text(ctx context.Context) (string, error) {
	client, err := s.client(ctx)
	if err != nil {
		return "", s.unavailable("the client of AWS Secrets Manager could not be made", err)
	}
	out, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(s.id)})
	if err != nil {
		return "", s.unread(err)
	}
	if out.SecretString == nil {
		return "", s.unavailable("it is binary; expected is text", nil)
	}
	if s.field == "" {
		return *out.SecretString, nil
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(*out.SecretString), &fields) != nil {
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
