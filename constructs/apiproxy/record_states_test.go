//go:build !race

package apiproxy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

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
				for _, condition := range append(choice.And, choice.condition) {
					present = present || condition.Variable == "$$.Execution.Input.record.id" && condition.IsPresent != nil && *condition.IsPresent
				}
				if recorded != present {
					t.Errorf("%s leads to %s; that there is a record is asked for: %v", name, choice.Next, present)
				}
			}
		}
	})
}
