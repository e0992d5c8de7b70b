package idempotency

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/jmespath-community/go-jmespath"
	"github.com/jmespath-community/go-jmespath/pkg/functions"
)

// A Function is a function of one's own for the expressions of a [Config]: see [NewFunction].
type Function struct {
	name string
	call func(argument any) (any, error)
}

// NewFunction makes a function that expressions call by its name with one argument, such as
//
//	NewFunction("digits", func(card string) (string, error) { return strings.ReplaceAll(card, " ", ""), nil })
//
// for the key `digits(card)`. Several arguments come as a list: `join_name([first, last])` for a function of a []string.
//
// The argument is decoded into an In, and what is returned encoded, as encoding/json does it. Null is not handed to the
// function and stays null, so that a member that is not there is still a missing key. An argument that is no In, and an
// error of the function, make a [KeyMalformedError].
//
// The function is called by many goroutines at a time. It has to return the same for the same argument, in every process
// and every version: a key that changes protects nothing.
func NewFunction[In, Out any](name string, call func(In) (Out, error)) Function {
	return Function{name: name, call: func(argument any) (any, error) {
		in, isIn := argument.(In)
		if !isIn {
			document, err := json.Marshal(argument)
			if err != nil {
				return nil, err
			}
			if err := json.Unmarshal(document, &in); err != nil {
				return nil, fmt.Errorf("its argument: %w", err)
			}
		}
		out, err := call(in)
		if err != nil {
			return nil, err
		}
		return searchable(out)
	}}
}

// searchable is a value as JMESPath has them.
func searchable(value any) (any, error) {
	switch value.(type) {
	case nil, bool, string:
		return value, nil
	}
	var document bytes.Buffer
	encoder := json.NewEncoder(&document)
	if err := encoder.Encode(value); err != nil {
		return nil, fmt.Errorf("what it returns: %w", err)
	}
	return parseForJMESPath(document.Bytes())
}

// functionName is an identifier of JMESPath without quotes.
var functionName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// checkFunctions returns what is wrong with functions of one's own.
func checkFunctions(own []Function) error {
	var problems []error
	problem := func(format string, a ...any) { problems = append(problems, fmt.Errorf(format, a...)) }
	known := append(append(powertoolsFunctions(), orderedFunctions()...), functions.GetDefaultFunctions()...)
	for i, f := range own {
		switch {
		case f.call == nil:
			problem("Functions[%d] is empty: make it with NewFunction", i)
		case !functionName.MatchString(f.name):
			problem("Functions[%d] is named %q: letters, digits and underscores, and no digit first", i, f.name)
		case slices.ContainsFunc(known, func(k jmespath.FunctionEntry) bool { return k.Name == f.name }):
			problem("Functions[%d] is named %s, which is a function of JMESPath or of Powertools: choose another name", i, f.name)
		case slices.ContainsFunc(own[:i], func(other Function) bool { return other.name == f.name }):
			problem("Functions[%d] is named %s, like another one", i, f.name)
		}
	}
	return errors.Join(problems...)
}

// entry is the function as JMESPath takes it.
func (f Function) entry() jmespath.FunctionEntry {
	return jmespath.FunctionEntry{
		Name:      f.name,
		Arguments: []jmespath.ArgSpec{{Types: []jmespath.JpType{jmespath.JpAny}}},
		Handler: func(arguments []any) (any, error) {
			if arguments[0] == nil {
				return nil, nil
			}
			value, err := f.call(arguments[0])
			if err != nil {
				panic(malformed{fmt.Errorf("%s: %w", f.name, err)})
			}
			return value, nil
		},
	}
}
