//go:build !race

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/aws/jsii-runtime-go"
)

// verificationWith is the template of the verification stack with a context.
func verificationWith(context map[string]any) template {
	context["verification"] = "true"
	app := newApp(context)
	stacks(app)
	text, err := os.ReadFile(*app.Synth(nil).GetStackByName(jsii.String("RetryingApiProxyVerification")).TemplateFullPath())
	if err != nil {
		panic(err)
	}
	return readTemplate(text)
}

func TestTheVerificationStackIsTheSameVariantInFrontOfTheScriptedUpstream(t *testing.T) {
	verification := verificationWith(map[string]any{
		"upstream": "https://api.example.com/v1", "upstreamauth": "bearer:orders/token", "proxies": "2", "architecture": "x86_64",
		"policy": `{"deadline": "30s"}`, "flowcontrol": "fixed:1/1s", "async": "true", "callback": "https://example.com/told", "auth": "NONE",
	})
	proxies := verification.proxies()
	if len(proxies) != 2 {
		t.Errorf("%d proxies; the context says 2", len(proxies))
	}
	for id, proxy := range proxies {
		environment := proxy.at("Environment", "Variables").(map[string]any)
		if got := fmt.Sprint(environment["UPSTREAM_BASE_URL"]); !strings.Contains(got, "FunctionUrl") || !strings.Contains(got, "AWS::StackId") {
			t.Errorf("%s calls %s, want the URL of the scripted upstream with the secret of the stack", id, got)
		}
		if got := fmt.Sprint(environment["RETRY_POLICY"]); !strings.Contains(got, `"deadline":"30s"`) {
			t.Errorf("%s has the policy %s", id, got)
		}
		if got := fmt.Sprint(environment["GATE"]); !strings.Contains(got, `"mode":"off","key":"credential+route"`) {
			t.Errorf("%s has the flow control %s, want it off", id, got)
		}
	}
	if text := string(verification.text); strings.Contains(text, "api.example.com") || strings.Contains(text, "orders/token") || strings.Contains(text, "example.com/told") {
		t.Error("the template names the upstream of the context, its secret, or who is called back")
	}
	urls := verification.ofType("AWS::Lambda::Url")
	if len(urls) != 2 {
		t.Errorf("%d URLs; want that of the gateway and that of the scripted upstream", len(urls))
	}
}

func TestNothingIsLeftOfTheVerificationStackAndNothingInItCostsWhileIdle(t *testing.T) {
	verification := verificationWith(map[string]any{
		"largebodies": "true", "async": "true", "deadletters": "true", "alarms": "true", "dashboard": "true", "egress": "static",
	})
	kinds := map[string]int{}
	var document struct {
		Resources map[string]struct{ Type, DeletionPolicy string }
	}
	if err := json.Unmarshal(verification.text, &document); err != nil {
		t.Fatal(err)
	}
	for id, r := range document.Resources {
		if kept := r.DeletionPolicy == "Retain" || r.DeletionPolicy == "RetainExceptOnCreate"; kept && r.Type != "AWS::StepFunctions::StateMachineVersion" {
			t.Errorf("%s, a %s, is left when the stack is destroyed", id, r.Type)
		}
		kinds[r.Type]++
	}
	if kinds["AWS::DynamoDB::GlobalTable"] != 2 || kinds["AWS::S3::Bucket"] != 1 {
		t.Errorf("the stack has %v; want two tables and the bucket of LargeBodies among it", kinds)
	}
	for _, kind := range []string{"AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::EC2::NatGateway", "AWS::EC2::EIP", "AWS::SecretsManager::Secret"} {
		if kinds[kind] > 0 {
			t.Errorf("the stack has %d of %s", kinds[kind], kind)
		}
	}
}

func TestTheStackHasNoScriptedUpstreamUnlessItIsAskedFor(t *testing.T) {
	app := newApp(nil)
	stacks(app)
	if text := string(synthesise(app).text); strings.Contains(text, "verification/upstream") {
		t.Error("the stack has the scripted upstream")
	}
	if said := panicOf(t, func() { stacks(newApp(map[string]any{"verification": "yes"})) }); !strings.Contains(said, `verification is "yes"; give true or false`) {
		t.Errorf("of verification=yes it says %q", said)
	}
}
