//go:build !race

package apiproxy_test

import (
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheUrlTakesSignedRequestsOnlyByDefault(t *testing.T) {
	for _, name := range []string{"Minimal", "NoFlags", "Granted"} {
		template := variants()[name]
		if got := template.the("AWS::Lambda::Url").at("AuthType"); got != "AWS_IAM" {
			t.Errorf("%s: the auth type is %v; want AWS_IAM", name, got)
		}
		if permissions := template.ofType("AWS::Lambda::Permission"); len(permissions) > 0 {
			t.Errorf("%s: %d resource policies let callers in; want none", name, len(permissions))
		}
	}
}

func TestAUrlWithoutAuthLetsEverybodyInByBothPermissionsAndThroughTheUrlOnly(t *testing.T) {
	for _, name := range []string{"Open", "Everything", "NoFlagsEverything"} {
		template := variants()[name]
		if got := template.the("AWS::Lambda::Url").at("AuthType"); got != "NONE" {
			t.Errorf("%s: the auth type is %v; want NONE", name, got)
		}
		got := map[string]map[string]any{}
		for _, permission := range template.ofType("AWS::Lambda::Permission") {
			if to := template.referred(permission.at("FunctionName")); to != template.aliasOf(t, template.gateway()) {
				t.Errorf("%s: a permission is for %s; want the alias of the gateway", name, to.id)
			}
			rest := map[string]any{}
			for key, value := range permission.Properties {
				if key != "Action" && key != "FunctionName" {
					rest[key] = value
				}
			}
			got[flat(permission.at("Action"))] = rest
		}
		want := map[string]map[string]any{
			"lambda:InvokeFunctionUrl": {"Principal": "*", "FunctionUrlAuthType": "NONE"},
			"lambda:InvokeFunction":    {"Principal": "*", "InvokedViaFunctionUrl": true},
		}
		if difference := cmp.Diff(want, got); difference != "" {
			t.Errorf("%s: permissions (-want +got):\n%s", name, difference)
		}
	}
}

func TestGrantInvokeGivesBothPermissionsThatACallNeedsAndNoOthers(t *testing.T) {
	template := variants()["Granted"]
	var caller *resource
	for _, role := range template.ofType("AWS::IAM::Role") {
		if flat(role.at("AssumeRolePolicyDocument")) != flat(template.machineRole().at("AssumeRolePolicyDocument")) && !template.ofFunction(role) {
			caller = role
		}
	}
	if caller == nil {
		t.Fatal("the template has no role of a caller")
	}
	want := []string{"lambda:InvokeFunction", "lambda:InvokeFunctionUrl"}
	if difference := cmp.Diff(want, template.actionsOf(caller)); difference != "" {
		t.Errorf("the caller's rights (-want +got):\n%s", difference)
	}
	gateway := []string{"${" + template.aliasOf(t, template.gateway()).id + "}"}
	for _, action := range want {
		if difference := cmp.Diff(gateway, template.resourcesOf(caller, action)); difference != "" {
			t.Errorf("%s on (-want +got):\n%s", action, difference)
		}
	}
}

// Lambda changes the code and the environment of a function one after the other, and an alias at once.
func TestTheUrlIsThatOfTheGatewaysLiveAlias(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		url := template.the("AWS::Lambda::Url")
		if template.referred(url.at("TargetFunctionArn")) != template.gateway() || url.at("Qualifier") != "live" {
			t.Errorf("the URL is that of %v with the qualifier %v", url.at("TargetFunctionArn"), url.at("Qualifier"))
		}
		template.aliasOf(t, template.gateway())
	})
}

func TestTheGatewayStartsTheVersionOfTheStateMachineThatItWasDeployedWith(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		machines := map[string]*resource{"STATE_MACHINE_ARN": template.machine(), "ASYNC_STATE_MACHINE_ARN": template.asyncMachine()}
		for variable, machine := range machines {
			if machine == nil {
				continue
			}
			version := template.referred(template.gateway().at("Environment", "Variables", variable))
			if version.Type != "AWS::StepFunctions::StateMachineVersion" || flat(version.at("StateMachineArn")) != "${"+machine.id+"}" ||
				flat(version.at("StateMachineRevisionId")) != "${"+machine.id+".StateMachineRevisionId}" {
				t.Errorf("%s is %s %v, want the version of %s", variable, version.Type, version.Properties, machine.id)
			}
		}
	})
}

// Only then is a new version of the gateway published, and the alias moves to it.
func TestADefinitionThatChangesGivesTheVersionAnotherName(t *testing.T) {
	minimal, shorter := variants()["Minimal"], variants()["ShortDeadline"]
	one, other := minimal.the("AWS::StepFunctions::StateMachineVersion").id, shorter.the("AWS::StepFunctions::StateMachineVersion").id
	if one == other || !regexp.MustCompile(`^OrdersStateMachineVersion[0-9a-f]{16}[0-9A-F]{8}$`).MatchString(one) {
		t.Errorf("the versions of two definitions are called %s and %s", one, other)
	}
	if granted := variants()["Granted"].the("AWS::StepFunctions::StateMachineVersion").id; granted != one {
		t.Errorf("the versions of one definition are called %s and %s", one, granted)
	}
}

func TestTheUrlsAddressIsAnOutput(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		want := "${" + template.the("AWS::Lambda::Url").id + ".FunctionUrl}"
		for _, output := range template.Outputs {
			if flat(output.Value) == want {
				return
			}
		}
		t.Errorf("no output is %s", want)
	})
}
