// Package deployment_test deploys the stack with the CDK CLI into an account of moto's, which has a CloudFormation that somebody
// else wrote, changes it in the ways in which such stacks are changed, and destroys it. After each step it compares what the
// services say with the template, and runs what they have.
package deployment_test

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudformation"
)

const stackName = "RetryingApiProxy"

// A drill is one deployment's life.
type drill struct {
	*account
	upstream *upstream

	// records is the file in which the tables' items are while nothing runs.
	records string

	// declared is the template that was deployed last, description and deployed are what CloudFormation and the services said
	// then. All are zero if there is nothing.
	declared    template
	description *stackDescription
	deployed    *cloudformation.Stack

	// retained maps the physical ids of what the stack no longer has, and the template said to retain, to types.
	retained map[string]string
}

func TestTheStackIsDeployedChangedAndDestroyedByTheCLI(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: nothing is deployed")
	}
	d := &drill{
		account: newAccount(t), upstream: newUpstream(t),
		records: filepath.Join(t.TempDir(), "records.db"), retained: map[string]string{},
	}

	three := &variant{}
	five := &variant{context: map[string]any{"proxies": 5}}
	other := &variant{context: map[string]any{"architecture": foreign}}
	once := &variant{context: map[string]any{"auth": "NONE", "policy": `{"serverErrors": {"attempts": 1}}`}}
	async := &variant{context: map[string]any{"async": "true"}}
	everything := &variant{context: map[string]any{
		"async": "true", "largebodies": "true", "deadletters": "true", "callback": "https://callback.example.com/", "queue": "true",
		"flowcontrol": "adaptive", "alarms": "true", "dashboard": "true", "savedqueries": "true",
	}}
	synthesise(t, three, five, other, once, async, everything)

	d.step(t, "bootstrap", func() string {
		d.run(t, 0, "bootstrap", "aws://"+accountID+"/"+region)
		return ""
	})
	d.deploy(t, "deploy, with 3 proxies", three)
	d.noDifferences(t, three)
	d.called(t, "order-1", carriedOut)
	d.called(t, "order-1", replayed)

	d.deploy(t, "update to 5 proxies", five)
	d.called(t, "order-1", replayed)
	d.called(t, "order-2", carriedOut)
	d.deploy(t, "update to 3 proxies", three)
	d.called(t, "order-2", replayed)

	d.deploy(t, "update to "+foreign, other) // whose code this machine cannot run: what is looked at is what it is for
	d.deploy(t, "update to "+native+", AUTH=NONE and another policy", once)
	d.called(t, "order-2", replayed)
	d.failsAfter(t, 1)
	d.deploy(t, "update to the policy of before", three)
	d.failsAfter(t, 3)

	d.deploy(t, "update to ASYNC=true", async)
	d.called(t, "order-2", replayed)
	d.answeredLater(t)
	d.deploy(t, "update to everything", everything)
	d.noDifferences(t, everything)
	d.deploy(t, "update to what there was at first", three)
	d.called(t, "order-2", replayed)
	d.notDeployed(t, "update to a template with a fault", withFault(t, five))

	d.destroy(t, three, "AWS::DynamoDB::GlobalTable", "AWS::S3::Bucket")
	d.deploy(t, "deploy again", three)
	d.called(t, "order-2", carriedOut) // the new table knows nothing of it
	d.destroy(t, three, "AWS::DynamoDB::GlobalTable", "AWS::DynamoDB::GlobalTable", "AWS::S3::Bucket")
}

// step carries out a step of the drill and writes down what came of it, and how long it took.
func (d *drill) step(t *testing.T, what string, do func() string) {
	t.Helper()
	began := time.Now()
	result := do()
	if t.Failed() {
		t.Fatalf("%s: failed; moto says:\n%s", what, d.log)
	}
	t.Logf("%-60s ok  %5.1f s  %s", what, time.Since(began).Seconds(), result)
}

// run has the CLI carry out a command that ends with a code.
func (d *drill) run(t *testing.T, code int, arguments ...string) {
	t.Helper()
	if output, ended := d.cdk(t, arguments...); ended != code {
		t.Fatalf("cdk %s ended with %d; %d is expected:\n%s\nmoto says:\n%s", strings.Join(arguments, " "), ended, code, output, d.log)
	}
}

// deploy deploys a variant and compares what is there then with its template.
func (d *drill) deploy(t *testing.T, what string, v *variant) {
	t.Helper()
	directory := v.assembly(t)
	d.step(t, what, func() string {
		d.run(t, 0, "deploy", "--app", directory, "--require-approval", "never")
		return d.check(t, directory)
	})
}

// noDifferences has the CLI compare what it deployed with what it would deploy.
func (d *drill) noDifferences(t *testing.T, v *variant) {
	t.Helper()
	d.step(t, "diff", func() string {
		d.run(t, 0, "diff", "--app", v.assembly(t), "--fail")
		return "no differences"
	})
}

// notDeployed has the CLI deploy what cannot be deployed. It must say so, as must CloudFormation: a check that is green while half
// of a stack is missing is none.
func (d *drill) notDeployed(t *testing.T, what, directory string) {
	t.Helper()
	d.step(t, what, func() string {
		d.run(t, 1, "deploy", "--app", directory, "--require-approval", "never")
		if description := d.describe(t, stackName); description.Status != "UPDATE_ROLLBACK_COMPLETE" {
			t.Errorf("CloudFormation says %s", description.Status)
		}
		return "the CLI ends with 1"
	})
}

// destroy destroys the stack. What is left, of it and of those before, are resources of these types.
func (d *drill) destroy(t *testing.T, v *variant, left ...string) {
	t.Helper()
	d.step(t, "destroy", func() string {
		d.run(t, 0, "destroy", "--app", v.assembly(t), "--force")
		if description := d.describe(t, stackName); description != nil && description.Status != "DELETE_COMPLETE" {
			t.Errorf("CloudFormation still has the stack: %+v", description)
		}
		d.checkLists(t, template{}, &stackDescription{})
		if kinds := slices.Sorted(maps.Values(d.retained)); !slices.Equal(kinds, left) {
			t.Errorf("%v are left; %q are expected", d.retained, left)
		}
		d.declared, d.description, d.deployed = template{}, nil, nil
		return "left: " + strings.Join(left, ", ")
	})
}
