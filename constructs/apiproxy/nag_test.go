//go:build !race

package apiproxy_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsscheduler"
	"github.com/aws/jsii-runtime-go"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy/triggers"
	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/npmpackages"
)

// A nagTemplate is a template as the judge is told of it.
type nagTemplate struct {
	Name string `json:"name"`
	File string `json:"file"`

	// Acknowledged is what the CDK was told to acknowledge, by the logical ids of the resources.
	Acknowledged map[string]map[string]string `json:"acknowledged"`
}

// A nagFinding is something that cdk-nag finds of a resource.
type nagFinding struct {
	Version      int
	Acknowledged bool // whether it was told of the acknowledgements
	Stack, ID    string
	Rule         string
}

// Both versions that importers have are asked: version 3 looks for what the CDK was told, version 2 at the metadata in the
// template. An importer's app is the app that the construct is in, so what it is told here it is told there.
//
// What stands beside the construct, such as secrets, is for whoever puts it there.
func TestCdkNagFindsNothingButWhatIsAcknowledged(t *testing.T) {
	modules := npmpackages.Installed(t, filepath.Join("testdata", "nag"))
	templates := maps.Clone(variants())
	for name, template := range withSecrets(t) {
		templates["Secrets"+name] = template
	}
	templates["Triggers"] = withTriggers()
	t.Parallel() // no more is asked of the kernel
	found := nag(t, modules, templates)
	for _, name := range slices.Sorted(maps.Keys(templates)) {
		template := templates[name]
		acknowledged := template.suppressed()
		if got := template.acknowledgements(); got != len(acknowledged) || got == 0 {
			t.Errorf("%s: the CDK was told of %d acknowledgements, and the metadata of %d", name, got, len(acknowledged))
		}
		for _, version := range []int{2, 3} {
			if left := found(version, true, name); len(left) > 0 {
				t.Errorf("%s: cdk-nag %d finds:\n%s", name, version, strings.Join(left, "\n"))
			}
			// Without acknowledgements it finds just what is acknowledged, so none of them is out of date.
			if difference := cmp.Diff(acknowledged, found(version, false, name)); difference != "" {
				t.Errorf("%s: what is acknowledged (-) and what cdk-nag %d finds (+):\n%s", name, version, difference)
			}
		}
	}
}

// withTriggers is a stack with one of each trigger. What they create begins with the id of the construct, as its own parts do.
func withTriggers() template {
	app := newApp(nothingBundled)
	stack := awscdk.NewStack(app, jsii.String("Triggers"), nil)
	proxy := apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), minimal())
	request := triggers.Request{Method: "POST", Path: "/orders"}
	triggers.NewQueue(stack, jsii.String("OrdersJobs"), &triggers.QueueProps{Proxy: proxy})
	triggers.NewSchedule(stack, jsii.String("OrdersNightly"), &triggers.ScheduleProps{Proxy: proxy, Request: request, Schedule: &awsscheduler.ScheduleProps{
		Schedule: awsscheduler.ScheduleExpression_Rate(awscdk.Duration_Days(jsii.Number(1))),
	}})
	triggers.NewRule(stack, jsii.String("OrdersRule"), &triggers.RuleProps{Proxy: proxy, Request: request, Rule: &awsevents.RuleProps{
		EventPattern: &awsevents.EventPattern{Source: jsii.Strings("shop")},
	}})
	return synthesise(app)["Triggers"]
}

// nag has cdk-nag judge templates, and returns what it finds of resources of the construct by its version, by whether it was
// told of the acknowledgements, and by the name of the template.
func nag(t *testing.T, modules string, templates map[string]template) func(version int, acknowledged bool, name string) []string {
	t.Helper()
	var list []nagTemplate
	texts := map[string]string{}
	for name, template := range templates {
		texts[name] = string(template.text)
	}
	for _, file := range write(t, texts) {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		list = append(list, nagTemplate{Name: name, File: file, Acknowledged: templates[name].acknowledged()})
	}
	told, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.Open(filepath.Join("testdata", "nag", "judge.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	defer script.Close()
	// The script comes from standard input, so that it finds the packages in the working directory.
	command := exec.Command("node", "--input-type=module", "-", write(t, map[string]string{"templates": string(told)})[0])
	command.Dir, command.Stdin = modules, script
	var complaints bytes.Buffer
	command.Stderr = &complaints
	output, err := command.Output()
	if err != nil {
		t.Fatalf("node judge.mjs: %v\n%s", err, complaints.String())
	}
	var findings []nagFinding
	if err := json.Unmarshal(output, &findings); err != nil {
		t.Fatalf("the judge wrote %q: %v", output, err)
	}
	t.Logf("cdk-nag judged %d templates", len(list))
	return func(version int, acknowledged bool, name string) []string {
		var lines []string
		for _, f := range findings {
			if f.Version == version && f.Acknowledged == acknowledged && f.Stack == name && strings.HasPrefix(f.ID, "Orders") {
				lines = append(lines, f.ID+" "+f.Rule)
			}
		}
		slices.Sort(lines)
		return lines
	}
}

// suppressed lists what the metadata of the resources tells version 2 of cdk-nag not to find.
func (t template) suppressed() []string {
	var lines []string
	for id, resource := range t.Resources {
		rules, _ := at(resource.Metadata, "cdk_nag", "rules_to_suppress").([]any)
		for _, rule := range rules {
			findings, of := at(rule, "applies_to").([]any)
			if !of {
				lines = append(lines, fmt.Sprint(id, " ", at(rule, "id")))
			}
			for _, finding := range findings {
				lines = append(lines, fmt.Sprint(id, " ", at(rule, "id"), "[", finding, "]"))
			}
		}
	}
	slices.Sort(lines)
	return lines
}

// acknowledgedEntry is the type of what the CDK was told to acknowledge.
const acknowledgedEntry = "aws:cdk:acknowledged-rules"

// acknowledgements counts what the CDK was told to acknowledge by the construct.
func (t template) acknowledgements() int {
	var n int
	for _, entries := range t.told {
		for _, entry := range entries {
			// Others are the CDK's own, such as of the names of zones in a VPC.
			if entry.Type == acknowledgedEntry && bytes.Contains(entry.Data, []byte("Annotation::")) {
				n++
			}
		}
	}
	return n
}

// acknowledged are the rules that the CDK was told to acknowledge of each resource or of a scope that it is in, with the
// reasons.
func (t template) acknowledged() map[string]map[string]string {
	rules := map[string]map[string]string{}
	for path, entries := range t.told {
		for _, entry := range entries {
			if entry.Type != "aws:cdk:logicalId" {
				continue
			}
			var id string
			must(json.Unmarshal(entry.Data, &id))
			if t.Resources[id] == nil {
				continue
			}
			rules[id] = map[string]string{}
			for scope := path; scope != ""; scope = scope[:strings.LastIndex(scope, "/")] {
				maps.Copy(rules[id], t.acknowledgedOf(scope))
			}
		}
	}
	return rules
}

// acknowledgedOf are the rules that the CDK was told to acknowledge of a construct.
func (t template) acknowledgedOf(path string) map[string]string {
	rules := map[string]string{}
	for _, entry := range t.told[path] {
		if entry.Type == acknowledgedEntry {
			must(json.Unmarshal(entry.Data, &rules))
		}
	}
	return rules
}
