package idempotency

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jmespath-community/go-jmespath"
	"github.com/jmespath-community/go-jmespath/pkg/functions"
	"github.com/jmespath-community/go-jmespath/pkg/parsing"
)

// MaxGunzippedBytes is how much powertools_base64_gzip unpacks, in bytes; more is refused as a malformed key. Without a
// limit a small request could fill the function's memory.
const MaxGunzippedBytes = 16 << 20

// maxExactInteger is 2^53: below it, every integer has a float64 of its own.
const maxExactInteger = 1 << 53

// An expression selects a part of a payload with JMESPath. It is safe for concurrent use.
type expression struct {
	source string
	path   jmespath.JMESPath

	// decodesBase64 says that the expression itself takes care of a body in base64.
	decodesBase64 bool
}

func compileExpression(source string, own []Function) (*expression, error) {
	tree, err := parsing.NewParser().Parse(source)
	if err != nil {
		return nil, err
	}
	extra := append(powertoolsFunctions(), orderedFunctions()...)
	for _, f := range own {
		extra = append(extra, f.entry())
	}
	if err := checkTree(tree, extra); err != nil {
		return nil, err
	}
	path, err := jmespath.Compile(source, extra...)
	if err != nil {
		return nil, err
	}
	return &expression{source, path, strings.Contains(source, "powertools_base64")}, nil
}

// checkTree refuses what JMESPath would accept and a key cannot bear.
func checkTree(node parsing.ASTNode, extra []jmespath.FunctionEntry) error {
	switch node.NodeType {
	case parsing.ASTValueProjection:
		return errors.New("a wildcard over an object (*) has no defined order, so that one payload could have several keys: " +
			"name the members, or use values(@), which orders them by name")
	case parsing.ASTFunctionExpression:
		named := func(f jmespath.FunctionEntry) bool { return f.Name == node.Value }
		if !slices.ContainsFunc(extra, named) && !slices.ContainsFunc(functions.GetDefaultFunctions(), named) {
			return fmt.Errorf("unknown function %v()", node.Value)
		}
	}
	for _, child := range node.Children {
		if err := checkTree(child, extra); err != nil {
			return err
		}
	}
	return nil
}

// selectFrom evaluates the expression on a document. The error is of the one who made the document.
func (e *expression) selectFrom(document []byte) (selected any, err error) {
	value, err := parseForJMESPath(document)
	if err != nil {
		return nil, err
	}
	if !e.decodesBase64 {
		decodeBody(value)
	}
	// JMESPath swallows errors below a projection, so the functions here panic with theirs, lest a malformed body look
	// like an absent one. The library itself panics on some arguments, such as find_first("ab", "b", `5`).
	defer func() {
		switch p := recover().(type) {
		case nil:
		case malformed:
			selected, err = nil, p.error
		default:
			selected, err = nil, fmt.Errorf("evaluating the expression: %v", p)
		}
	}()
	return e.path.Search(value)
}

// decodeBody undoes the base64 that API Gateway and function URLs put on a body, where the result is text.
func decodeBody(event any) {
	members, ok := event.(map[string]any)
	if !ok || members["isBase64Encoded"] != true {
		return
	}
	if body, ok := members["body"].(string); ok {
		if text, err := base64.StdEncoding.DecodeString(body); err == nil && utf8.Valid(text) {
			members["body"] = string(text)
		}
	}
}

// malformed is what the functions of powertoolsFunctions and those of Config panic with.
type malformed struct{ error }

// powertoolsFunctions are the functions that Powertools adds to JMESPath. Null, and for powertools_json an empty text,
// give null: there is no body, hence no key. Anything else that cannot be decoded makes the key malformed.
func powertoolsFunctions() []jmespath.FunctionEntry {
	function := func(name string, decode func(text string) (any, error)) jmespath.FunctionEntry {
		return jmespath.FunctionEntry{
			Name:      name,
			Arguments: []jmespath.ArgSpec{{Types: []jmespath.JpType{jmespath.JpAny}}},
			Handler: func(arguments []any) (any, error) {
				if arguments[0] == nil {
					return nil, nil
				}
				text, ok := arguments[0].(string)
				if !ok {
					panic(malformed{fmt.Errorf("%s: its argument is not a string", name)})
				}
				decoded, err := decode(text)
				if err != nil {
					panic(malformed{fmt.Errorf("%s: %w", name, err)})
				}
				return decoded, nil
			},
		}
	}
	return []jmespath.FunctionEntry{
		function("powertools_json", func(text string) (any, error) {
			if text == "" {
				return nil, nil
			}
			return parseForJMESPath([]byte(text))
		}),
		function("powertools_base64", func(text string) (any, error) {
			decoded, err := base64.StdEncoding.DecodeString(text)
			return string(decoded), err
		}),
		function("powertools_base64_gzip", func(text string) (any, error) {
			unpacked, err := gunzip(base64.NewDecoder(base64.StdEncoding, strings.NewReader(text)), MaxGunzippedBytes)
			return string(unpacked), err
		}),
	}
}

// gunzip unpacks at most limit bytes.
func gunzip(packed io.Reader, limit int64) ([]byte, error) {
	r, err := gzip.NewReader(packed)
	if err != nil {
		return nil, err
	}
	var unpacked bytes.Buffer
	if n, err := io.Copy(&unpacked, io.LimitReader(r, limit+1)); err != nil {
		return nil, err
	} else if n > limit {
		return nil, fmt.Errorf("unpacks to more than %d bytes", limit)
	}
	return unpacked.Bytes(), nil
}

// orderedFunctions replace those of JMESPath that list an object's members in the order of a Go map, which is another
// one each time.
func orderedFunctions() []jmespath.FunctionEntry {
	function := func(name string, list func(name string, value any) any) jmespath.FunctionEntry {
		return jmespath.FunctionEntry{
			Name:      name,
			Arguments: []jmespath.ArgSpec{{Types: []jmespath.JpType{jmespath.JpObject}}},
			Handler: func(arguments []any) (any, error) {
				object := arguments[0].(map[string]any)
				listed := make([]any, 0, len(object))
				for _, name := range slices.Sorted(maps.Keys(object)) {
					listed = append(listed, list(name, object[name]))
				}
				return listed, nil
			},
		}
	}
	return []jmespath.FunctionEntry{
		function("keys", func(name string, _ any) any { return name }),
		function("values", func(_ string, value any) any { return value }),
		function("items", func(name string, value any) any { return []any{name, value} }),
	}
}
