//go:build !race

package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tableType is the type of the resource that a TableV2 becomes.
const tableType = "AWS::DynamoDB::GlobalTable"

func TestTheTableHasTheKeyAndTheTimeToLiveOfIdempotencyRecords(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		for _, table := range template.ofType(tableType) {
			if got, want := flat(table.at("KeySchema")), `[{"AttributeName":"id","KeyType":"HASH"}]`; got != want {
				t.Errorf("the key is %s; want %s", got, want)
			}
			if got, want := flat(table.at("AttributeDefinitions")), `[{"AttributeName":"id","AttributeType":"S"}]`; got != want {
				t.Errorf("the attributes are %s; want %s", got, want)
			}
			if got, want := flat(table.at("TimeToLiveSpecification")), `{"AttributeName":"expiration","Enabled":true}`; got != want {
				t.Errorf("the time to live is %s; want %s", got, want)
			}
		}
	})
}

func TestTheTableIsPaidByRequestAndCanBeRestoredToAnyPointInTime(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		for _, table := range template.ofType(tableType) {
			if got := table.at("BillingMode"); got != "PAY_PER_REQUEST" {
				t.Errorf("the billing mode is %v", got)
			}
			replicas, _ := table.at("Replicas").([]any)
			if len(replicas) != 1 {
				t.Fatalf("%d replicas; want one", len(replicas))
			}
			if got := at(replicas[0], "PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled"); got != true {
				t.Errorf("point-in-time recovery is %v", got)
			}
		}
	})
}

func TestATableIsKeptWhenItsStackIsDestroyedUnlessToldOtherwise(t *testing.T) {
	for name, want := range map[string]string{"Minimal": "Retain", "NoFlags": "Retain", "Everything": "Delete"} {
		if got := variants()[name].the(tableType).DeletionPolicy; got != want {
			t.Errorf("%s: %s; want %s", name, got, want)
		}
	}
}

func TestAnExistingTableIsUsedAndNoneIsCreated(t *testing.T) {
	template := variants()["ExistingTable"]
	if tables := template.ofType(tableType); len(tables) != 0 {
		t.Errorf("%d tables are created", len(tables))
	}
	if got := template.gateway().at("Environment", "Variables", "TABLE_NAME"); got != "records" {
		t.Errorf("the gateway is told of the table %v", got)
	}
	definition := template.definition()
	for _, name := range definition.names(func(s state) bool { return s.Parameters["TableName"] != nil }) {
		if got := definition.States[name].Parameters["TableName"]; got != "records" {
			t.Errorf("%s writes to the table %v", name, got)
		}
	}
}

func TestTheOutcomeIsRecordedByItsOwnerAndOnlyWhereThereIsARecord(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		definition := template.definition()
		table := flat(template.gateway().at("Environment", "Variables", "TABLE_NAME"))
		for name, next := range map[string]string{"Record": "Succeeded", "Release": "Failed"} {
			write := definition.States[name]
			if got := write.Parameters["TableName"]; got != table {
				t.Errorf("%s writes to %v; the gateway reads %s", name, got, table)
			}
			if got := write.Parameters["ConditionExpression"]; got != "#owner = :me" {
				t.Errorf("%s writes if %v; want as the owner only", name, got)
			}
			if got := at(write.Parameters, "ExpressionAttributeValues", ":me", "S.$"); got != "$$.Execution.Input.record.owner" {
				t.Errorf("%s takes %v for the owner", name, got)
			}
			if got := at(write.Parameters, "Key", "id", "S.$"); got != "$$.Execution.Input.record.id" {
				t.Errorf("%s writes to the record %v", name, got)
			}
			// The caller gets the answer, whatever becomes of the record.
			want := []catcher{{ErrorEquals: []string{"States.ALL"}, ResultPath: "$.fault", Next: next}}
			if difference := cmp.Diff(want, write.Catch); difference != "" || write.Next != next {
				t.Errorf("%s leads to %s and, if it fails (-want +got), to:\n%s", name, write.Next, difference)
			}
		}
		for name, check := range definition.States {
			for _, choice := range check.Choices {
				recorded := choice.Next == "Record" || choice.Next == "Release"
				present := false
				for _, condition := range choice.And {
					present = present || condition.Variable == "$$.Execution.Input.record.id" && condition.IsPresent != nil && *condition.IsPresent
				}
				if recorded != present {
					t.Errorf("%s leads to %s; that there is a record is asked for: %v", name, choice.Next, present)
				}
			}
		}
	})
}
