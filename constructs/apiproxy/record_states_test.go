//go:build !race

package apiproxy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheOutcomeIsRecordedByItsOwnerAndOnlyWhereThereIsARecord(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		definition := template.definition()
		table := flat(template.gateway().at("Environment", "Variables", "TABLE_NAME"))
		for name, next := range map[string]string{"Record": "Succeeded", "Release": "Released"} {
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
	})
}

// Each kind of end, by the envelope that a Check state sees.
func TestARecordIsCompletedWithWhatSettlesTheOperationAndReleasedOtherwise(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		definition := template.definition()
		for name, check := range definition.States {
			if !strings.HasPrefix(name, "Check-") {
				continue
			}
			for _, c := range []struct {
				outcome           string
				recorded, release bool
				next              string
			}{
				{"succeeded", false, false, "Succeeded"},
				{"succeeded", false, true, "Succeeded"},
				{"succeeded", true, false, "Record"},
				{"succeeded", true, true, "Release"},
				{"failed", false, false, "Failed"},
				{"failed", true, false, "Release"},
			} {
				present := map[string]bool{"$$.Execution.Input.record.id": c.recorded, "$.release": c.release}
				if got := check.leads(map[string]string{"$.outcome": c.outcome}, present); got != c.next {
					t.Errorf("%s leads to %s for %+v", name, got, c)
				}
			}
		}
		released := definition.States["Released"]
		for outcome, next := range map[string]string{"succeeded": "Succeeded", "failed": "Failed"} {
			if got := released.leads(map[string]string{"$.outcome": outcome}, nil); got != next {
				t.Errorf("Released leads to %s after %s", got, outcome)
			}
		}
	})
}

func TestRecordsHaveNoCookiesIfThePropSaysSo(t *testing.T) {
	for name, want := range map[string]string{
		"Minimal":    "States.JsonToString($)",
		"Everything": `States.JsonToString(States.JsonMerge($, States.StringToJson('{"cookies":[]}'), false))`,
	} {
		record := variants()[name].definition().States["Record"]
		if got := at(record.Parameters, "ExpressionAttributeValues", ":data", "S.$"); got != want {
			t.Errorf("%s: what is recorded is %v, want %s", name, got, want)
		}
	}
}
