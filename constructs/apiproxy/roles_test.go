//go:build !race

package apiproxy_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// roleOf is the role of a function.
func (t template) roleOf(function *resource) *resource { return t.referred(function.at("Role")) }

// machineRole is the role of the state machine.
func (t template) machineRole() *resource { return t.referred(t.machine().at("RoleArn")) }

// ofFunction says whether a role is that of a function.
func (t template) ofFunction(role *resource) bool {
	return slices.ContainsFunc(t.functions(), func(function *resource) bool { return t.roleOf(function) == role })
}

// logGroupOf is the log group of a function.
func (t template) logGroupOf(function *resource) *resource {
	return t.referred(function.at("LoggingConfig", "LogGroup"))
}

func TestEachFunctionHasARoleAndALogGroupOfItsOwn(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		seen := map[*resource]string{template.machineRole(): "the state machine"}
		for _, function := range template.functions() {
			for _, own := range []*resource{template.roleOf(function), template.logGroupOf(function)} {
				if other, found := seen[own]; found {
					t.Errorf("%s shares %s with %s", function.name(), own.id, other)
				}
				seen[own] = function.name()
			}
		}
	})
}

func TestAFunctionMayWriteToItsOwnLogGroupAndToNoOther(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		for _, function := range template.functions() {
			own := []string{"${" + template.logGroupOf(function).id + ".Arn}"}
			for _, action := range []string{"logs:CreateLogStream", "logs:PutLogEvents"} {
				if difference := cmp.Diff(own, template.resourcesOf(template.roleOf(function), action)); difference != "" {
					t.Errorf("%s: %s on (-want +got):\n%s", function.name(), action, difference)
				}
			}
			for _, action := range template.actionsOf(template.roleOf(function)) {
				if strings.HasPrefix(action, "logs:") && action != "logs:CreateLogStream" && action != "logs:PutLogEvents" {
					t.Errorf("%s may %s", function.name(), action)
				}
			}
		}
	})
}

// keyUse is what whoever uses a key may do with it.
var keyUse = []string{
	"kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo",
}

func TestAProxyMayWriteItsLogsAndTracesAndNothingElse(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		want := []string{"logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTelemetryRecords", "xray:PutTraceSegments"}
		if template.shares() || template.asyncMachine() != nil {
			for _, encrypted := range []string{"/Encrypted", "/EncryptedTable", "/EncryptedDeadLetters", "/EncryptedCallback"} { // whose table has a key
				if strings.HasSuffix(t.Name(), encrypted) {
					want = append(slices.Clone(keyUse), want...)
				}
			}
			want = append(want, "dynamodb:GetItem", "dynamodb:UpdateItem") // of which items: flow_control_test.go
			if template.asyncMachine() != nil {
				want = append(want, "dynamodb:PutItem")
			}
			slices.Sort(want)
		}
		if template.largeBodies() {
			want = append(want, "s3:GetObject", "s3:PutObject")
			slices.Sort(want)
		}
		if len(template.ofType("AWS::SecretsManager::Secret")) > 0 { // of callbacks
			want = append(want, "secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue")
			slices.Sort(want)
		}
		if template.inVpc() {
			want = append(want, interfaceActions...)
			slices.Sort(want)
		}
		for _, proxy := range template.proxies() {
			got := slices.DeleteFunc(template.actionsOf(template.roleOf(proxy)), func(action string) bool {
				return template.largeBodies() && strings.HasPrefix(action, "kms:") // of the bucket's key
			})
			if difference := cmp.Diff(want, got); difference != "" {
				t.Errorf("%s (-want +got):\n%s", proxy.name(), difference)
			}
		}
	})
}

func TestTheGatewayMayStartItsOwnStateMachineAndNoOther(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		role := template.roleOf(template.gateway())
		for _, s := range template.rights(role) {
			for _, action := range s.Actions {
				if !strings.HasPrefix(action, "states:") {
					continue
				}
				machine := template.machine()
				if action != "states:StartSyncExecution" && template.asyncMachine() != nil {
					machine = template.asyncMachine()
				}
				if action == "states:StopExecution" {
					if len(s.Resources) != 1 || !strings.Contains(s.Resources[0], ":execution:") || !strings.Contains(s.Resources[0], "${"+machine.id+".Name}:*") {
						t.Errorf("the gateway may %s on %v; want the executions of %s", action, s.Resources, machine.id)
					}
					continue
				}
				if action != "states:StartSyncExecution" && action != "states:StartExecution" {
					t.Errorf("the gateway may %s", action)
				}
				// It starts a version, but with the ARN of a version Step Functions would refuse it: it goes by that of the
				// state machine (Developer Guide, "Authorization for versions and aliases").
				if want := []string{"${" + machine.id + "}"}; !slices.Equal(s.Resources, want) {
					t.Errorf("the gateway may %s on %v; want %v", action, s.Resources, want)
				}
			}
		}
		if len(template.resourcesOf(role, "states:StartSyncExecution")) == 0 {
			t.Error("the gateway may not start the state machine")
		}
	})
}

func TestTheGatewayMayReadAndWriteSingleRecordsAndNothingElseOfTheTable(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		role := template.roleOf(template.gateway())
		want := []string{"dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"}
		var got []string
		for _, action := range template.actionsOf(role) {
			if strings.HasPrefix(action, "dynamodb:") {
				got = append(got, action)
			}
		}
		if difference := cmp.Diff(want, got); difference != "" {
			t.Errorf("(-want +got):\n%s", difference)
		}
		for _, action := range got {
			for _, table := range template.resourcesOf(role, action) {
				if !template.isTheTable(table) {
					t.Errorf("%s on %s, which is not the table", action, table)
				}
			}
		}
	})
}

// Those of a larger ring are among them: executions that were started before the ring was made smaller still call them.
func TestTheStateMachineMayInvokeTheLiveAliasesOfAllProxiesThatTheRingCanHaveAndNothingElse(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		may := template.resourcesOf(template.machineRole(), "lambda:InvokeFunction")
		if len(may) != 20 {
			t.Errorf("it may invoke %d functions, want 20: %v", len(may), may)
		}
		proxies := template.proxies()
		for _, proxy := range proxies {
			if alias := "${" + template.aliasOf(t, proxy).id + "}"; !slices.Contains(may, alias) {
				t.Errorf("it may not invoke %s", alias)
			}
		}
		for number := len(proxies) + 1; number <= 20; number++ {
			// By the name that the function had, or would have, below that of the construct, which is shortened if it is long.
			construct, _, _ := strings.Cut(proxies[0].name(), "-proxy-")
			construct, end := construct[:min(len(construct), 20)], "-proxy-"+strconv.Itoa(number)+":live"
			if !slices.ContainsFunc(may, func(arn string) bool {
				return strings.HasSuffix(arn, end) && strings.Contains(arn, ":function:"+construct)
			}) {
				t.Errorf("it may not invoke %s, of %v", end, may)
			}
		}
	})
}

// aliasOf is the alias of a function.
func (template template) aliasOf(t *testing.T, function *resource) *resource {
	t.Helper()
	for _, alias := range template.ofType("AWS::Lambda::Alias") {
		if template.referred(alias.at("FunctionName")) == function {
			if name := alias.at("Name"); name != "live" {
				t.Errorf("the alias of %s is called %v; want live", function.name(), name)
			}
			return alias
		}
	}
	t.Fatalf("%s has no alias", function.name())
	return nil
}

func TestTheStateMachineMayUpdateRecordsAndNothingElseOfTheTable(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		role := template.machineRole()
		for _, s := range template.rights(role) {
			for _, action := range s.Actions {
				if strings.HasPrefix(action, "dynamodb:") && action != "dynamodb:UpdateItem" {
					t.Errorf("the state machine may %s", action)
				}
			}
		}
		tables := template.resourcesOf(role, "dynamodb:UpdateItem")
		if len(tables) == 0 {
			t.Error("the state machine may not update records")
		}
		for _, table := range tables {
			if !template.isTheTable(table) {
				t.Errorf("the state machine may update %s, which is not the table", table)
			}
		}
	})
}

// isTheTable says whether an ARN is that of the table that the functions are told of.
func (t template) isTheTable(arn string) bool {
	name := flat(t.gateway().at("Environment", "Variables", "TABLE_NAME"))
	return arn == strings.TrimSuffix(name, "}")+".Arn}" || strings.HasSuffix(arn, ":table/"+name)
}

func TestNoRoleHasAWildcardButForTracesAndTheDeliveryOfLogs(t *testing.T) {
	// Neither service knows resources for these actions: what they work on belongs to the account.
	allowed := []string{
		"xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets",
		"logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery",
		"logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:DescribeResourcePolicies", "logs:DescribeLogGroups",
	}
	forEachVariant(t, func(t *testing.T, template template) {
		for _, role := range template.roles() {
			for _, s := range template.rights(role) {
				wide := slices.ContainsFunc(s.Resources, func(r string) bool { return strings.Contains(r, "*") })
				for _, action := range s.Actions {
					if strings.Contains(action, "*") {
						t.Errorf("%s: the action %s", role.id, action)
					}
					// An execution has a name that nobody knows before.
					ofExecutions := action == "states:StopExecution" && len(s.Resources) == 1 && strings.Contains(s.Resources[0], ":execution:")
					// So has an object.
					ofBodies := (action == "s3:GetObject" || action == "s3:PutObject") && len(s.Resources) == 1 &&
						(strings.HasSuffix(s.Resources[0], "/requests/*") || strings.HasSuffix(s.Resources[0], "/answers/*"))
					// Those of a function in a VPC are Lambda's to create; the function itself is denied it: vpc_test.go.
					ofInterfaces := template.inVpc() && slices.Contains(interfaceActions, action)
					if wide && !ofExecutions && !ofBodies && !ofInterfaces && !slices.Contains(allowed, action) {
						t.Errorf("%s may %s on %v", role.id, action, s.Resources)
					}
				}
			}
		}
	})
}

// roles lists all roles.
func (t template) roles() []*resource { return t.ofType("AWS::IAM::Role") }

func TestNoRoleHasManagedPoliciesOfAWS(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		for _, role := range template.roles() {
			if policies := role.at("ManagedPolicyArns"); policies != nil {
				t.Errorf("%s has %v", role.id, policies)
			}
		}
	})
}

func TestARoleIsForOneServiceThatActsForTheAccountOfTheStack(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		trusts := func(role *resource, service string) {
			document := flat(role.at("AssumeRolePolicyDocument", "Statement"))
			want := `[{"Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:SourceAccount":{"Ref":"AWS::AccountId"}}},` +
				`"Effect":"Allow","Principal":{"Service":"` + service + `"}}]`
			if document != want {
				t.Errorf("%s can be assumed as said by %s; want %s", role.id, document, want)
			}
		}
		trusts(template.machineRole(), "states.amazonaws.com")
		for _, function := range template.functions() {
			trusts(template.roleOf(function), "lambda.amazonaws.com")
		}
	})
}

func TestWhoUsesAnEncryptedTableMayUseItsKey(t *testing.T) {
	template := variants()["EncryptedTable"]
	key := "${" + template.the("AWS::KMS::Key").id + ".Arn}"
	for name, role := range map[string]*resource{"the gateway": template.roleOf(template.gateway()), "the state machine": template.machineRole()} {
		if got := template.resourcesOf(role, "kms:Decrypt"); !slices.Equal(got, []string{key}) {
			t.Errorf("%s may decrypt with %v; want %s", name, got, key)
		}
	}
}
