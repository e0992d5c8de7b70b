package retry

import (
	"fmt"
	"regexp"
	"slices"
	"sync"

	"github.com/jmespath-community/go-jmespath"
	"github.com/jmespath-community/go-jmespath/pkg/functions"
	"github.com/jmespath-community/go-jmespath/pkg/parsing"
)

// What rules are made of is compiled once for each text, however often a policy is copied: a policy is a plain value.
var (
	expressions sync.Map // of text to jmespath.JMESPath
	patterns    sync.Map // of text to *regexp.Regexp
)

// compileExpression returns the compiled form of a JMESPath expression.
func compileExpression(source string) (jmespath.JMESPath, error) {
	if compiled, known := expressions.Load(source); known {
		return compiled.(jmespath.JMESPath), nil
	}
	tree, err := parsing.NewParser().Parse(source)
	if err != nil {
		return nil, err
	}
	if err := checkFunctions(tree); err != nil {
		return nil, err
	}
	compiled, err := jmespath.Compile(source)
	if err != nil {
		return nil, err
	}
	expressions.Store(source, compiled)
	return compiled, nil
}

// checkFunctions refuses functions that JMESPath does not have, which it would notice only when it calls them.
func checkFunctions(node parsing.ASTNode) error {
	if node.NodeType == parsing.ASTFunctionExpression {
		named := func(f functions.FunctionEntry) bool { return f.Name == node.Value }
		if !slices.ContainsFunc(functions.GetDefaultFunctions(), named) {
			return fmt.Errorf("unknown function %v()", node.Value)
		}
	}
	for _, child := range node.Children {
		if err := checkFunctions(child); err != nil {
			return err
		}
	}
	return nil
}

// selectFrom evaluates an expression on a document. What cannot be evaluated, such as a function of a value that is not
// there, selects nothing.
func selectFrom(source string, document any) (selected any) {
	compiled, err := compileExpression(source)
	if err != nil {
		return nil
	}
	// The library panics on some arguments, such as find_first("ab", "b", `5`).
	defer func() {
		if recover() != nil {
			selected = nil
		}
	}()
	if selected, err = compiled.Search(document); err != nil {
		return nil
	}
	return selected
}

// compilePattern returns the compiled form of a regular expression.
func compilePattern(source string) (*regexp.Regexp, error) {
	if compiled, known := patterns.Load(source); known {
		return compiled.(*regexp.Regexp), nil
	}
	compiled, err := regexp.Compile(source)
	if err == nil {
		patterns.Store(source, compiled)
	}
	return compiled, err
}
