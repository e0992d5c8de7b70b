package deployment_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudformation"
)

// check compares what is there with what a cloud assembly declares: once by the list of resources, and once as the local stack
// reads the template, which is another program than moto.
func (d *drill) check(t *testing.T, directory string) string {
	t.Helper()
	declared := readTemplate(t, directory)
	urls := map[string]string{}
	for id, resource := range declared.Resources {
		if resource.Type == "AWS::Lambda::Url" {
			urls[id] = "http://function-url/"
		}
	}
	read, err := cloudformation.Load(directory, cloudformation.Options{FunctionURLs: urls, QueueBaseURL: "http://queues"})
	if err != nil {
		t.Fatal(err)
	}
	description := d.describe(t, stackName)
	if description == nil || !strings.HasSuffix(description.Status, "_COMPLETE") || strings.Contains(description.Status, "ROLLBACK") {
		t.Fatalf("CloudFormation says of the stack: %+v", description)
	}
	for id, resource := range declared.Resources {
		if description.Resources[id] == "" {
			t.Errorf("%s, an %s, has no physical id, so it is not there", id, resource.Type)
		}
	}
	d.checkLists(t, declared, description)
	for id := range description.Resources {
		if _, found := declared.Resources[id]; !found {
			t.Errorf("%s is there, and is not in the template", id)
		}
		if d.description != nil {
			if before := d.description.Resources[id]; before != "" && before != description.Resources[id] {
				t.Errorf("the update has replaced %s: it was %s and is %s", id, before, description.Resources[id])
			}
		}
	}

	deployed := d.account.deployed(t, description, read)
	if difference := cmp.Diff(normal(read), normal(deployed)); difference != "" {
		t.Errorf("what is deployed is not what the template says (-template +deployed):\n%s", difference)
	}
	checkCode(t, deployed.Functions)
	d.checkVersions(t, deployed)
	d.checkPermissions(t, declared, deployed)
	d.checkPolicies(t, declared, description, deployed)
	d.checkLogGroups(t, declared, description, deployed)
	d.declared, d.description, d.deployed = declared, description, deployed
	return fmt.Sprintf("moto and the template agree on %d resources", len(declared.Resources))
}

// checkLists compares what the services list with what the template has, and with what earlier ones have said to retain.
func (d *drill) checkLists(t *testing.T, declared template, description *stackDescription) {
	t.Helper()
	for id, resource := range d.declared.Resources {
		if _, still := declared.Resources[id]; !still && resource.DeletionPolicy == "Retain" && d.lists()[resource.Type] != nil {
			d.retained[d.description.Resources[id]] = resource.Type
		}
	}
	for kind, list := range d.lists() {
		want := map[string]bool{}
		for id, resource := range declared.Resources {
			if resource.Type == kind {
				want[description.Resources[id]] = true
			}
		}
		for _, physical := range list(t) {
			if !want[physical] && d.retained[physical] != kind {
				t.Errorf("the %s %s is there, and is not in the template, nor was it to be retained", kind, physical)
			}
			delete(want, physical)
		}
		for physical := range want {
			t.Errorf("the %s %s is in the stack, and the service has none", kind, physical)
		}
	}
}

// checkLogGroups has each function and each state machine write to a group that ends its lines after a month.
func (d *drill) checkLogGroups(t *testing.T, declared template, description *stackDescription, deployed *cloudformation.Stack) {
	t.Helper()
	groups := d.logGroups(t)
	for id, resource := range declared.Resources {
		if resource.Type == "AWS::Logs::LogGroup" && groups[description.Resources[id]] != 30 {
			t.Errorf("the log group %s keeps lines for %d days; 30 are expected", id, groups[description.Resources[id]])
		}
	}
	for _, f := range deployed.Functions {
		if _, found := groups[f.LogGroup]; !found {
			t.Errorf("%s logs to %q, which is not there", f.Name, f.LogGroup)
		}
	}
}
