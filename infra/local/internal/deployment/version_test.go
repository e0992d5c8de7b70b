package deployment_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudformation"
)

// checkVersions has the gateway start those versions of the state machines that have the definitions which were deployed last.
func (a *account) checkVersions(t *testing.T, stack *cloudformation.Stack) {
	t.Helper()
	definitions := map[string]string{}
	for _, m := range stack.StateMachines {
		definitions[m.ARN] = m.Definition
	}
	for _, f := range stack.Functions {
		for name, value := range f.Environment {
			if !strings.Contains(value, ":stateMachine:") {
				continue
			}
			machine, err := a.stepFunctions().DescribeStateMachine(t.Context(), &sfn.DescribeStateMachineInput{StateMachineArn: &value})
			if err != nil {
				t.Errorf("%s has %s=%s: %v", f.Name, name, value, err)
				continue
			}
			if latest := definitions[value[:strings.LastIndex(value, ":")]]; latest != *machine.Definition {
				t.Errorf("%s has %s=%s, whose definition is not the one that was deployed last", f.Name, name, value)
			}
		}
	}
}
