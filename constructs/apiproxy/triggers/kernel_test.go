//go:build !race

// The kernel of the CDK is not for goroutines, and the race detector finds races within it.

package triggers_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		defer jsii.Close()
		return m.Run()
	}())
}

// newStack creates a stack in an app of its own, for which no handler is compiled.
func newStack() awscdk.Stack {
	app := awscdk.NewApp(&awscdk.AppProps{Context: &map[string]any{"aws:cdk:bundling-stacks": []string{}}})
	return awscdk.NewStack(app, jsii.String("Shop"), nil)
}

// newProxy creates the proxy of a stack, whose gateway has a timeout of 310 s.
func newProxy(stack awscdk.Stack) *apiproxy.RetryingApiProxy {
	return apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), &apiproxy.RetryingApiProxyProps{
		Upstream: apiproxy.Upstream{BaseURL: "https://api.example.com"}, ProxyCount: 1,
	})
}

// A resource is one of a template, with the values of its properties as JSON text.
type resource struct {
	ID         string
	Type       string
	Properties map[string]json.RawMessage
}

// at is a property as text: a string without its quotes, anything else as JSON.
func (r resource) at(name string) string {
	var text string
	if json.Unmarshal(r.Properties[name], &text) == nil {
		return text
	}
	return string(r.Properties[name])
}

// resourcesOf lists the resources of a stack's template.
func resourcesOf(t *testing.T, stack awscdk.Stack) []resource {
	t.Helper()
	text, err := json.Marshal(*assertions.Template_FromStack(stack, nil).ToJSON())
	if err != nil {
		t.Fatal(err)
	}
	var template struct{ Resources map[string]resource }
	if err := json.Unmarshal(text, &template); err != nil {
		t.Fatal(err)
	}
	var all []resource
	for id, r := range template.Resources {
		r.ID = id
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b resource) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// the is the only resource of a type whose id begins so.
func the(t *testing.T, all []resource, kind, prefix string) resource {
	t.Helper()
	var found []resource
	for _, r := range all {
		if r.Type == kind && strings.HasPrefix(r.ID, prefix) {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d resources of type %s begin with %s; want one", len(found), kind, prefix)
	}
	return found[0]
}

// panicOf is what f panics with, as text.
func panicOf(t *testing.T, f func()) (text string) {
	t.Helper()
	defer func() {
		problem := recover()
		if problem == nil {
			t.Fatal("there was no panic")
		}
		text = fmt.Sprint(problem)
	}()
	f()
	return ""
}
