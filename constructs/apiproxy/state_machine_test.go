//go:build !race

package apiproxy_test

import (
	"strings"
	"testing"
)

func TestTheStateMachineIsExpress(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		if got := template.machine().at("StateMachineType"); got != "EXPRESS" {
			t.Errorf("it is %v", got)
		}
	})
}

func TestTheStateMachineLogsEverythingButRequestsAndAnswersUnlessThePropSaysSo(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		machine := template.machine()
		if got := machine.at("LoggingConfiguration", "Level"); got != "ALL" {
			t.Errorf("the level is %v; want ALL", got)
		}
		if got := machine.at("LoggingConfiguration", "IncludeExecutionData"); got != strings.HasSuffix(t.Name(), "/LoggedData") {
			t.Errorf("IncludeExecutionData is %v", got)
		}
		destinations, _ := machine.at("LoggingConfiguration", "Destinations").([]any)
		if len(destinations) != 1 {
			t.Fatalf("%d destinations; want one", len(destinations))
		}
		group := template.referred(at(destinations[0], "CloudWatchLogsLogGroup", "LogGroupArn"))
		if name := flat(group.at("LogGroupName")); !strings.HasPrefix(name, "/aws/vendedlogs/states/") {
			t.Errorf("the log group is called %q; only names below /aws/vendedlogs/ are not added to the account's one resource policy", name)
		}
	})
}

func TestTheStateMachineIsTraced(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		if got := template.machine().at("TracingConfiguration", "Enabled"); got != true {
			t.Errorf("tracing is %v", got)
		}
	})
}
