//go:build !race

package apiproxy_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheSavedQueriesReadTheLogsThatTheyAreOf(t *testing.T) {
	const gateway, proxies, machines = "gateway", "20 proxies", "2 state machines"
	want := map[string]string{
		"Requests by caller":                               gateway,
		"Errors, crashes and timeouts":                     gateway + ", " + proxies,
		"One request, by its id":                           gateway + ", " + proxies + ", " + machines,
		"Problems by type":                                 gateway,
		"Rate limits by proxy":                             proxies,
		"Replays and conflicts":                            gateway,
		"Slow requests":                                    gateway,
		"What became of an Idempotency-Key, by its digest": gateway,
		"What failed":                                      gateway,
	}
	template := variants()["Monitored"]
	of := map[*resource]string{template.referred(template.gateway().at("LoggingConfig", "LogGroup")): gateway}
	for _, proxy := range template.proxies() {
		of[template.referred(proxy.at("LoggingConfig", "LogGroup"))] = proxies
	}
	for _, machine := range template.machines() {
		destination := machine.at("LoggingConfiguration", "Destinations").([]any)[0]
		of[template.referred(at(destination, "CloudWatchLogsLogGroup", "LogGroupArn"))] = machines
	}
	counts := map[string]int{gateway: 1, proxies: 20, machines: 2}
	got := map[string]string{}
	for _, query := range template.ofType("AWS::Logs::QueryDefinition") {
		name, inFolder := strings.CutPrefix(query.at("Name").(string), "Monitored/Orders/")
		if !inFolder || strings.Contains(name, "/") {
			t.Errorf("%s is not in the folder of the construct", name)
		}
		read := map[string]int{}
		for _, group := range query.at("LogGroupNames").([]any) {
			read[of[template.referred(group)]]++
		}
		var parts []string
		for _, part := range []string{gateway, proxies, machines} {
			switch read[part] {
			case 0:
			case counts[part]:
				parts = append(parts, part)
			default:
				t.Errorf("%s reads the logs of %d of %s", name, read[part], part)
			}
		}
		got[name] = strings.Join(parts, ", ")
	}
	if difference := cmp.Diff(want, got); difference != "" {
		t.Errorf("what queries read (-want +got):\n%s", difference)
	}
}

func TestASavedQueryIsOfOneRequestOrOneKeyOnceItsIDIsFilledIn(t *testing.T) {
	for suffix, want := range map[string]string{
		"/One request, by its id": "fields @timestamp, @log, msg, attempt, proxy, method, path, status, error, problem, outcome, why, waitMs, durationMs, type, details.name\n" +
			"| filter requestId = 'REQUEST-ID' or execution_arn like 'REQUEST-ID'\n| sort @timestamp asc\n| limit 1000",
		"/What became of an Idempotency-Key, by its digest": "fields @timestamp, requestId, method, path, status, problem, outcome, attempts, replayOf, caller, execution\n" +
			"| filter msg = \"request\"\n| filter keyDigest = 'KEY-DIGEST'\n| sort @timestamp asc\n| limit 1000",
		"/Rate limits by proxy": "filter msg = \"attempt\"\n| filter status = 429\n| stats count(*) as limited, count_distinct(address) as addresses by proxy, bin(5m) as time\n| sort time desc",
	} {
		queries := variants()["Monitored"].ofType("AWS::Logs::QueryDefinition")
		at := slices.IndexFunc(queries, func(r *resource) bool { return strings.HasSuffix(r.at("Name").(string), suffix) })
		if at < 0 {
			t.Fatalf("there is no %s", suffix)
		}
		if got := queries[at].at("QueryString"); got != want {
			t.Errorf("%s is\n%s\nwant\n%s", suffix, got, want)
		}
	}
}

func TestTheDocumentationListsEachSavedQuery(t *testing.T) {
	var want, got []string
	for _, query := range variants()["Monitored"].ofType("AWS::Logs::QueryDefinition") {
		want = append(want, strings.TrimPrefix(query.at("Name").(string), "Monitored/Orders/"))
	}
	for _, row := range tableUnder(t, "monitoring.md", "Saved queries") {
		got = append(got, row[0])
	}
	slices.Sort(want)
	slices.Sort(got)
	if difference := cmp.Diff(want, got); difference != "" {
		t.Errorf("the saved queries (-template +documentation):\n%s", difference)
	}
}

// Of lines that are not the handlers': what Lambda and Step Functions write.
var fieldsOfServices = []string{"type", "record.requestId", "record.status", "record.errorType", "record.metrics.durationMs", "record.metrics.maxMemoryUsedMB", "details.name", "execution_arn"}

func TestTheSavedQueriesAskForFieldsThatTheLinesHave(t *testing.T) {
	text, err := os.ReadFile("../../docs/logs.md")
	if err != nil {
		t.Fatal(err)
	}
	known := slices.Clone(fieldsOfServices)
	for _, match := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\|").FindAllSubmatch(text, -1) {
		known = append(known, string(match[1]))
	}
	asked := regexp.MustCompile(`(@?[a-zA-Z_][\w.]*) (?:=|!=|>=|like|in) |ispresent\((\w+)\)|(?:sum|count_distinct)\((\w+)\)`)
	listed := regexp.MustCompile(`(?m)^(?:fields|\| stats .* by) (.*)$`)
	n := 0
	for _, query := range variants()["Monitored"].ofType("AWS::Logs::QueryDefinition") {
		var fields []string
		ql := query.at("QueryString").(string)
		for _, match := range asked.FindAllStringSubmatch(ql, -1) {
			fields = append(fields, match[1]+match[2]+match[3])
		}
		for _, match := range listed.FindAllStringSubmatch(ql, -1) {
			fields = append(fields, strings.Split(match[1], ", ")...)
		}
		for _, field := range fields {
			if strings.HasPrefix(field, "@") || strings.HasPrefix(field, "bin(") {
				continue
			}
			n++
			if !slices.Contains(known, field) {
				t.Errorf("%s asks for %q, which no line has", query.at("Name"), field)
			}
		}
	}
	if n < 60 {
		t.Errorf("only %d fields were found in the queries", n)
	}
}
