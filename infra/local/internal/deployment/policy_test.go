package deployment_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudformation"
)

// A policyDocument says what a role may do.
type policyDocument struct {
	Statement []struct {
		Effect           string
		Action, Resource texts
	}
}

// texts is a text or a list of them.
type texts []string

func (s *texts) UnmarshalJSON(data []byte) error {
	var one string
	if err := json.Unmarshal(data, &one); err == nil {
		*s = texts{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(s))
}

// policies are the inline policies of a role, by their names.
func (a *account) policies(t *testing.T, role string) map[string]policyDocument {
	t.Helper()
	var list struct {
		Names []string `xml:"ListRolePoliciesResult>PolicyNames>member"`
	}
	if err := a.query(t, "iam", "ListRolePolicies", map[string]string{"RoleName": role}, &list); err != nil {
		t.Fatal(err)
	}
	documents := map[string]policyDocument{}
	for _, name := range list.Names {
		var answer struct {
			Document string `xml:"GetRolePolicyResult>PolicyDocument"`
		}
		if err := a.query(t, "iam", "GetRolePolicy", map[string]string{"RoleName": role, "PolicyName": name}, &answer); err != nil {
			t.Fatal(err)
		}
		text, err := url.QueryUnescape(answer.Document)
		if err != nil {
			t.Fatal(err)
		}
		var document policyDocument
		if err := json.Unmarshal([]byte(text), &document); err != nil {
			t.Fatalf("the policy %s of %s: %v\n%s", name, role, err, text)
		}
		documents[name] = document
	}
	return documents
}

// checkPolicies compares the rights of the roles with those in the template, and has them name what is there.
func (a *account) checkPolicies(t *testing.T, declared template, description *stackDescription, stack *cloudformation.Stack) {
	t.Helper()
	var there []string
	for _, f := range stack.Functions {
		there = append(there, f.ARN)
	}
	for _, m := range stack.StateMachines {
		there = append(there, m.ARN)
	}
	for _, table := range stack.Tables {
		there = append(there, table.ARN)
	}
	for name := range a.logGroups(t) {
		there = append(there, "arn:aws:logs:"+region+":"+accountID+":log-group:"+name+":*")
	}
	for id, resource := range declared.Resources {
		if resource.Type != "AWS::IAM::Policy" {
			continue
		}
		for _, role := range resource.Properties.Roles {
			document, found := a.policies(t, description.Resources[role.Ref])[resource.Properties.PolicyName]
			if !found {
				t.Errorf("the role %s has not the policy %s", description.Resources[role.Ref], id)
				continue
			}
			var want, got []string
			for _, statement := range resource.Properties.PolicyDocument.Statement {
				want = append(want, strings.Join(statement.Action, " "))
			}
			for _, statement := range document.Statement {
				got = append(got, strings.Join(statement.Action, " "))
				for _, arn := range statement.Resource {
					if problem := namesNothing(arn, there); problem != "" {
						t.Errorf("%s allows %v to %s, %s", id, statement.Action, arn, problem)
					}
				}
			}
			if !slices.Equal(want, got) {
				t.Errorf("%s allows %q; the template says %q", id, got, want)
			}
		}
	}
}

// spareProxy is an alias of a proxy that there may be. The state machine may invoke all that there can be, so that none of its
// executions loses a right when there are fewer.
var spareProxy = regexp.MustCompile(`:function:[^:]+-proxy-[0-9]+:live$`)

// namesNothing says what is wrong with the resource of a statement.
func namesNothing(arn string, there []string) string {
	switch {
	case arn == "*" || spareProxy.MatchString(arn):
		return ""
	case !strings.HasPrefix(arn, "arn:aws:"):
		return "which is no ARN"
	}
	arn = strings.Replace(arn, ":execution:", ":stateMachine:", 1) // an execution is one of a state machine that is there
	service := strings.Split(arn, ":")[2]
	if !slices.Contains([]string{"lambda", "states", "dynamodb", "logs"}, service) {
		return ""
	}
	for _, other := range there {
		if arn == other || strings.HasPrefix(arn, other+":") || strings.HasPrefix(arn, other+"/") {
			return ""
		}
	}
	return "which is not there"
}

// checkPermissions compares what others may do with the gateway with what the template says.
func (a *account) checkPermissions(t *testing.T, declared template, stack *cloudformation.Stack) {
	t.Helper()
	var want, got []string
	for _, resource := range declared.Resources {
		if resource.Type == "AWS::Lambda::Permission" {
			want = append(want, resource.Properties.Action)
		}
	}
	for _, endpoint := range stack.URLs {
		answer, err := a.lambda().GetPolicy(t.Context(), &lambda.GetPolicyInput{
			FunctionName: &endpoint.FunctionName, Qualifier: &endpoint.Qualifier,
		})
		if missing := new(lambdatypes.ResourceNotFoundException); errors.As(err, &missing) {
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		var policy struct{ Statement []struct{ Action string } }
		if err := json.Unmarshal([]byte(*answer.Policy), &policy); err != nil {
			t.Fatal(err)
		}
		for _, statement := range policy.Statement {
			got = append(got, statement.Action)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		t.Errorf("the gateway permits %q; the template says %q", got, want)
	}
}
