//go:build !race

package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestTheContextHasTheStackMonitored(t *testing.T) {
	for name, c := range map[string]struct {
		context                               map[string]any
		alarms, told, dashboards, definitions int
	}{
		"nothing":        {nil, 0, 0, 0, 9},
		"alarms":         {map[string]any{"alarms": "true", "savedqueries": "false"}, 13, 0, 0, 0},
		"a topic":        {map[string]any{"alarms": "arn:aws:sns:eu-central-1:123456789012:night"}, 13, 13, 0, 9},
		"a page":         {map[string]any{"dashboard": "true", "alarms": "false"}, 0, 0, 1, 9},
		"values of JSON": {map[string]any{"dashboard": true, "alarms": true, "savedqueries": false}, 13, 0, 1, 0},
	} {
		template := stackWith(c.context)
		told := 0
		for _, alarm := range template.ofType("AWS::CloudWatch::Alarm") {
			if fmt.Sprint(alarm.at("AlarmActions")) == "[arn:aws:sns:eu-central-1:123456789012:night]" {
				told++
			}
		}
		alarms, dashboards, definitions := len(template.ofType("AWS::CloudWatch::Alarm")), len(template.ofType("AWS::CloudWatch::Dashboard")), len(template.ofType("AWS::Logs::QueryDefinition"))
		if alarms != c.alarms || told != c.told || dashboards != c.dashboards || definitions != c.definitions {
			t.Errorf("with %s there are %d alarms, of which %d tell the topic, %d dashboards and %d queries; want %d, %d, %d and %d",
				name, alarms, told, dashboards, definitions, c.alarms, c.told, c.dashboards, c.definitions)
		}
	}
}

func TestAContextOfMonitoringThatIsNoneIsReported(t *testing.T) {
	for _, topic := range []string{"night", "arn:aws:sqs:eu-central-1:123456789012:night", "arn:aws:sns:eu-central-1:123456789012:", "yes"} {
		message := panicOf(t, func() { stackWith(map[string]any{"alarms": topic, "dashboard": "Orders", "savedqueries": "9"}) })
		for _, want := range []string{
			`context alarms is "` + topic + `"; give true, false, or the ARN of the topic that is told, such as arn:aws:sns:eu-central-1:123456789012:alarms`,
			`context dashboard is "Orders"; give true or false`,
			`context savedqueries is "9"; give true or false`,
		} {
			if !strings.Contains(message, want) {
				t.Errorf("the message does not say %q:\n%s", want, message)
			}
		}
		if got := strings.Count(message, "\n"); got != 3 {
			t.Errorf("the message has %d lines after its first, want 3:\n%s", got, message)
		}
	}
}
