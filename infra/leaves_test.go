//go:build !race

package main

import (
	"bytes"
	"strings"
	"testing"
)

// leavesWith is what is printed for a context.
func leavesWith(context map[string]any) string {
	var out bytes.Buffer
	leaves(newApp(context), &out)
	return out.String()
}

func TestDestroySaysWhatItLeavesAndHowToGoOn(t *testing.T) {
	const want = `make destroy leaves these in the account, with what is in them:

  AWS::DynamoDB::GlobalTable  ProxyTable3D35C42B  aws dynamodb delete-table --table-name NAME

Their names, as long as the stack is there:

  aws cloudformation describe-stack-resources --stack-name RetryingApiProxy --output text \
    --query "StackResources[?contains(['ProxyTable3D35C42B'], LogicalResourceId)].[LogicalResourceId,PhysicalResourceId]"

A stack that is deployed later has a new table, which knows none of the keys: a request that is repeated is carried out
again. make deploy TABLE=NAME has it use the old table.

It deletes these, with what is in them:

  AWS::Logs::LogGroup  5
`
	if got := leavesWith(nil); got != want {
		t.Errorf("it says\n%s\nwant\n%s", got, want)
	}
}

// What a prop adds that stays would otherwise be left without a word.
func TestDestroyNamesEveryResourceThatStaysAndHowToDeleteIt(t *testing.T) {
	context := map[string]any{
		"async": "true", "deadletters": "true", "callback": "https://hooks.example.com/orders", "largebodies": "true", "queue": "true",
	}
	got := leavesWith(context)
	named := 0
	for id, resource := range stackWith(context).Resources {
		if !strings.HasPrefix(resource.DeletionPolicy, "Retain") || resource.Type == "AWS::StepFunctions::StateMachineVersion" {
			continue
		}
		named++
		line := ""
		for _, l := range strings.Split(got, "\n") {
			if strings.HasPrefix(l, "  "+resource.Type+" ") && strings.Contains(l, " "+id+" ") {
				line = l
			}
		}
		if !strings.Contains(line, "aws ") || !strings.Contains(got, "'"+id+"'") {
			t.Errorf("%s, a %s, stays, and it says\n%s", id, resource.Type, got)
		}
	}
	if named != 2 {
		t.Errorf("%d resources stay; want the table and the bucket", named)
	}
	for _, want := range []string{"\n  AWS::Logs::LogGroup          6\n", "\n  AWS::SQS::Queue              3\n", "\n  AWS::SecretsManager::Secret  1\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("it does not say %q:\n%s", want, got)
		}
	}
}

func TestTheContextNamesATableThatIsThere(t *testing.T) {
	context := map[string]any{"table": "old-records", "proxies": 1}
	template := stackWith(context)
	for id, function := range template.ofType("AWS::Lambda::Function") {
		if got := function.at("Environment", "Variables", "TABLE_NAME"); got != "old-records" {
			t.Errorf("%s is told of the table %v", id, got)
		}
	}
	if tables := template.ofType("AWS::DynamoDB::GlobalTable"); len(tables) > 0 {
		t.Errorf("%d tables are created", len(tables))
	}
	if got := leavesWith(context); !strings.HasPrefix(got, "make destroy leaves nothing.\n\nIt deletes these") {
		t.Errorf("make destroy says\n%s", got)
	}
}
