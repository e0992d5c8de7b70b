//go:build !race

package apiproxy_test

import (
	"slices"
	"strings"
	"testing"
)

func TestWhatIsKeptIsEncryptedWithTheKeyOfTheProps(t *testing.T) {
	template := variants()["Encrypted"]
	for _, key := range template.ofType("AWS::KMS::Key") {
		arn := "${" + key.id + ".Arn}"
		for _, group := range template.ofType("AWS::Logs::LogGroup") {
			if got := flat(group.at("KmsKeyId")); got != arn {
				t.Errorf("the log group %s is encrypted with %s", group.id, got)
			}
		}
		for _, function := range template.functions() {
			if got := flat(function.at("KmsKeyArn")); got != arn {
				t.Errorf("the environment of %s is encrypted with %s", function.name(), got)
			}
		}
		if got := template.machine().at("EncryptionConfiguration"); flat(at(got, "KmsKeyId")) != arn || at(got, "Type") != "CUSTOMER_MANAGED_KMS_KEY" {
			t.Errorf("the state machine is encrypted with %v", got)
		}
		for _, table := range template.ofType("AWS::DynamoDB::GlobalTable") {
			if got := table.at("SSESpecification", "SSEType"); got != "KMS" {
				t.Errorf("the table is encrypted by %v", got)
			}
		}
		// Without these rights the key would lock everybody out.
		for name, role := range map[string]*resource{"the gateway": template.roleOf(template.gateway()), "the state machine": template.machineRole()} {
			if got := template.resourcesOf(role, "kms:Decrypt"); len(got) == 0 || got[0] != arn {
				t.Errorf("%s may decrypt with %v", name, got)
			}
		}
		logs := false
		for _, key := range template.ofType("AWS::KMS::Key") {
			for _, statement := range key.at("KeyPolicy", "Statement").([]any) {
				if strings.HasPrefix(flat(at(statement, "Principal", "Service")), "logs.eu-central-1.") {
					logs = strings.Contains(flat(at(statement, "Condition", "ArnLike", "kms:EncryptionContext:aws:logs:arn")), ":logs:eu-central-1:")
				}
			}
		}
		if !logs {
			t.Error("CloudWatch Logs may not use the key, or for log groups of everybody")
		}
	}
}

// The key of a table that is given is another one, or none, so nothing else gives these rights.
func TestGatewayAndStateMachineMayUseTheKeyForDataOfExecutions(t *testing.T) {
	template := variants()["EncryptedExistingTable"]
	for name, role := range map[string]*resource{"the gateway": template.roleOf(template.gateway()), "the state machine": template.machineRole()} {
		want := "${" + role.id + "}: Allow kms:Decrypt, kms:DescribeKey, kms:Encrypt, kms:GenerateDataKey, kms:GenerateDataKeyWithoutPlaintext, " +
			"kms:ReEncryptFrom, kms:ReEncryptTo on ${" + template.the("AWS::KMS::Key").id + ".Arn}"
		if !slices.Contains(template.statements(), want) {
			t.Errorf("%s has no right without conditions to use the key", name)
		}
	}
}
