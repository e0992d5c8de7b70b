package internal_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudwatchlogs"
)

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile("../../../" + file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// matched are the first groups of the matches of an expression.
func matched(expression, text string) (found []string) {
	for _, match := range regexp.MustCompile(expression).FindAllStringSubmatch(text, -1) {
		found = append(found, match[1])
	}
	return found
}

func TestTheOperatingGuideHasEveryProblemOfTheEndpoint(t *testing.T) {
	t.Parallel()
	guide := read(t, "docs/operating.md")
	_, problems, _ := strings.Cut(guide, "\n## Problems\n")
	problems, _, _ = strings.Cut(problems, "\n## Alarms\n")
	described := strings.Split(read(t, "README.md"), "\n#### ")[1:]
	if len(described) < 25 {
		t.Errorf("the README describes %d problems", len(described))
	}
	for _, text := range described {
		name, about, _ := strings.Cut(text, "\n")
		elsewhere := strings.Contains(about, "and not of the endpoint")
		if there := strings.Contains(problems, "`"+name+"`"); there == elsewhere {
			t.Errorf("that the guide has %s is %t", name, there)
		}
	}
}

func TestTheOperatingGuideHasAPartForEveryAlarm(t *testing.T) {
	t.Parallel()
	alarms := matched(`AlarmName = "(\w+)"`, read(t, "constructs/apiproxy/alarms.go"))
	parts := matched(`(?m)^### Alarm (\w+)$`, read(t, "docs/operating.md"))
	slices.Sort(alarms)
	slices.Sort(parts)
	if len(alarms) < 10 || !slices.Equal(alarms, parts) {
		t.Errorf("the alarms are\n%q, and the guide has parts for\n%q", alarms, parts)
	}
}

// fieldsOfServices are in lines of Lambda's own, and of Step Functions.
var fieldsOfServices = []string{"type", "record", "execution_arn", "details"}

func TestThePatternsOfTheOperatingGuideCanBeReadAndAskForFieldsThatLinesHave(t *testing.T) {
	t.Parallel()
	logs := cloudwatchlogs.New(cloudwatchlogs.Config{})
	logs.CreateLogGroup("/gateway", time.Now())
	known := append(matched("(?m)^\\| `(\\w+)` \\|", read(t, "docs/logs.md")), fieldsOfServices...)
	patterns := matched(`found [a-z"]+ '(.*?)'`, read(t, "docs/operating.md"))
	if len(patterns) < 20 {
		t.Errorf("the guide has %d patterns", len(patterns))
	}
	for _, pattern := range patterns {
		input, _ := json.Marshal(map[string]string{"logGroupName": "/gateway", "filterPattern": pattern})
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(input)))
		r.Header.Set("X-Amz-Target", cloudwatchlogs.TargetPrefix+"FilterLogEvents")
		answer := httptest.NewRecorder()
		if logs.ServeHTTP(answer, r); answer.Code != http.StatusOK {
			t.Errorf("%s", answer.Body)
		}
		for _, field := range matched(`\$\.(\w+)`, pattern) {
			if !slices.Contains(known, field) {
				t.Errorf("%s asks for %s, which no line has", pattern, field)
			}
		}
	}
}
