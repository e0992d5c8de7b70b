package asl_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
)

// synthesised is where the definitions are that the construct writes, with references in the place of ARNs and names.
const synthesised = "../../../../../../constructs/apiproxy/testdata"

var (
	proxyReference = regexp.MustCompile(`\$\{[A-Za-z]*proxy([0-9]+)[A-Za-z0-9]*\}`)
	otherReference = regexp.MustCompile(`\$\{[A-Za-z]+[0-9A-F]*\}`)
)

// synthesisedDefinition reads a definition and puts ARNs and names in the place of its references.
func synthesisedDefinition(name string) string {
	text, err := os.ReadFile(filepath.Join(synthesised, name))
	if err != nil {
		panic(err)
	}
	definition := strings.ReplaceAll(string(text), "${AWS::Partition}", "aws")
	definition = proxyReference.ReplaceAllString(definition, "arn:aws:lambda:us-east-1:123456789012:function:proxy-$1:live")
	return otherReference.ReplaceAllString(definition, "table")
}

func TestEverySynthesisedDefinitionIsUnderstood(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(synthesised, "*definition*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no definitions in %s: %v", synthesised, err)
	}
	for _, file := range files {
		m, err := asl.Parse([]byte(synthesisedDefinition(filepath.Base(file))))
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		kinds := map[asl.Kind]int{}
		passes := 1 // and one for each proxy
		for _, s := range m.States() {
			kinds[s.Kind]++
			if s.Name == "DeadLetter" {
				passes = 3
			}
		}
		if kinds[asl.Wait] == 0 || kinds[asl.Choice] != kinds[asl.Wait]+2+min(kinds[asl.Wait]-1, 1) || kinds[asl.Pass] != kinds[asl.Wait]+passes || kinds[asl.Succeed] != 2 || kinds[asl.Fail] != 0 {
			t.Errorf("%s has states of the kinds %v", file, kinds)
		}
	}
}

const (
	recordedInput = `{"version":1,"outcome":"retry","waitSeconds":0,"record":{"id":"k","owner":"me"},"attempts":[],"call":{"deadline":1},"losses":{"count":0,"allowed":1}}`
	plainInput    = `{"version":1,"outcome":"retry","waitSeconds":0,"attempts":[],"call":{"deadline":1},"losses":{"count":0,"allowed":1}}`
	succeeded     = `{"outcome":"succeeded","waitSeconds":0,"statusCode":200,"body":"b","expiration":1795266000}`
	failed        = `{"outcome":"failed","error":"AttemptsExhausted","waitSeconds":0,"statusCode":503}`
)

func init() {
	stack := func(name, definition, input string, answers map[string][]answer, differs ...difference) {
		judged = append(judged, judgedCase{name: name, definition: synthesisedDefinition(definition), input: input, answers: answers, differs: differs})
	}
	again := func(waitSeconds int) answer {
		return answer{payload: fmt.Sprintf(`{"version":1,"outcome":"retry","waitSeconds":%d,"attempts":[{"proxy":"proxy-1"}],"call":{"deadline":1},"losses":{"count":0,"allowed":1}}`, waitSeconds)}
	}
	updated := []answer{{payload: `{}`}}

	stack("synthesised, one proxy: success at once", "definition-1-proxy.json", plainInput,
		map[string][]answer{proxyARN(1): {answer{payload: succeeded}}})
	stack("synthesised, one proxy: round to itself", "definition-1-proxy.json", plainInput,
		map[string][]answer{proxyARN(1): {again(0), again(1), answer{payload: succeeded}}})
	stack("synthesised, three proxies: the second one succeeds after a wait", "definition-3-proxies.json", plainInput,
		map[string][]answer{proxyARN(1): {again(1)}, proxyARN(2): {answer{payload: succeeded}}})
	stack("synthesised, three proxies: a failure", "definition-3-proxies.json", plainInput,
		map[string][]answer{proxyARN(1): {{payload: failed}}})
	stack("synthesised, three proxies: the first one crashes", "definition-3-proxies.json", plainInput,
		map[string][]answer{proxyARN(1): {crashed}, proxyARN(2): {answer{payload: succeeded}}})
	stack("synthesised, three proxies: two are lost, and no more may be", "definition-3-proxies.json", plainInput,
		map[string][]answer{proxyARN(1): {crashed}, proxyARN(2): {hung}})
	stack("synthesised, everything: all proxies are lost, and the key is given back", "everything-definition.json", recordedInput,
		map[string][]answer{proxyARN(1): {again(0)}, proxyARN(2): {crashed}, proxyARN(3): {hung}, "updateItem": updated})
	stack("synthesised, three proxies: throttled, then answered", "definition-3-proxies.json", plainInput,
		map[string][]answer{proxyARN(1): {throttled, answer{payload: succeeded}}})
	stack("synthesised, five proxies: the last one succeeds", "everything-definition.json", plainInput, theLastOfFiveSucceeds())
	stack("synthesised, everything: the answer is recorded", "everything-definition.json", recordedInput,
		map[string][]answer{proxyARN(1): {{payload: succeeded}}, "updateItem": updated})
	stack("synthesised, everything: another one owns the record", "everything-definition.json", recordedInput,
		map[string][]answer{proxyARN(1): {{payload: succeeded}}, "updateItem": {{refusal: conditionFailed}}})
	stack("synthesised, everything: a failure gives the key back", "everything-definition.json", recordedInput,
		map[string][]answer{proxyARN(1): {{payload: failed}}, "updateItem": updated})
	stack("synthesised, everything: without a record", "everything-definition.json", plainInput,
		map[string][]answer{proxyARN(1): {{payload: succeeded}}})
}
