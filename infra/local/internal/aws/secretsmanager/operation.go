package secretsmanager

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// operations are the supported operations by name.
var operations = map[string]func(*Store, []byte) (any, error){
	"DescribeSecret": operation((*Store).describeSecret),
	"GetSecretValue": operation((*Store).getSecretValue),
	"ListSecrets":    operation((*Store).listSecrets),
	"PutSecretValue": operation((*Store).putSecretValue),
}

// operation makes an operation read its parameters from JSON. Parameters that its input does not have are refused by
// name, so that none is ignored.
func operation[In any](run func(*Store, *In) (any, error)) func(*Store, []byte) (any, error) {
	supported := map[string]bool{}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[In]()) {
		supported[field.Name] = true
	}
	return func(s *Store, input []byte) (any, error) {
		var parameters map[string]json.RawMessage
		if err := json.Unmarshal(input, &parameters); err != nil {
			return nil, malformed(err)
		}
		for _, name := range slices.Sorted(maps.Keys(parameters)) {
			if !supported[name] && !bytes.Equal(parameters[name], []byte("null")) {
				return nil, invalid("The local Secrets Manager does not support the parameter %s here", name)
			}
		}
		var in In
		if err := json.Unmarshal(input, &in); err != nil {
			return nil, malformed(err)
		}
		return run(s, &in)
	}
}

// malformed refuses a request that cannot be read. What encoding/json says may quote a value, so it is not passed on.
func malformed(err error) *Error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field != "" {
		return refusal(CodeSerialization, "The parameter %s has the wrong type", wrong.Field)
	}
	return refusal(CodeSerialization, "The request is not what the operation takes, as JSON")
}

// checkLength refuses a parameter that is shorter or longer than it may be. A path is where the service says it is.
func checkLength(path, value string, shortest, longest int) error {
	return checkCount(" '"+value+"'", path, utf8.RuneCountInString(value), shortest, longest)
}

// checkCount refuses a parameter by its length. Quoted is the value as the error shows it, if it may.
func checkCount(quoted, path string, length, shortest, longest int) error {
	switch {
	case length < shortest:
		return invalid("1 validation error detected: Value%s at '%s' failed to satisfy constraint: Member must have length greater than or equal to %d", quoted, path, shortest)
	case length > longest:
		return invalid("1 validation error detected: Value%s at '%s' failed to satisfy constraint: Member must have length less than or equal to %d", quoted, path, longest)
	}
	return nil
}

// checkID refuses a SecretId that is not given, or too long.
func checkID(id *string) error {
	if id == nil {
		return invalid("1 validation error detected: Value null at 'secretId' failed to satisfy constraint: Member must not be null")
	}
	return checkLength("secretId", *id, 1, 2048)
}

// checkEnum refuses a parameter that is none of the values. Empty stands for an absent parameter, which is fine.
func checkEnum(path, given string, values ...string) error {
	if given == "" || slices.Contains(values, given) {
		return nil
	}
	return invalid("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must satisfy enum value set: [%s]",
		given, path, strings.Join(values, ", "))
}

// seconds is a time as the protocol has it: seconds since 1970 with a fraction of milliseconds.
type seconds time.Time

func (t seconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(time.Time(t).UnixMilli())/1000, 'f', 3, 64), nil
}

// when leaves a time that is not known out of an answer.
func when(t time.Time) *seconds {
	if t.IsZero() {
		return nil
	}
	s := seconds(t)
	return &s
}
