//go:build !race

package apiproxy_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// golden compares what a test got with its golden file.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; go test ./constructs/apiproxy -update writes it", err)
	}
	if !bytes.Equal(want, got) {
		difference := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n"))
		t.Errorf("%s is not what is synthesised now (-golden +now); if it should be, rewrite it with go test ./constructs/apiproxy -update:\n%s", file, difference)
	}
}

// What changes with every change of a handler: the hash of its asset, and the hashes in the ids of
// the versions of functions and state machine.
var (
	assetHash   = regexp.MustCompile(`[0-9a-f]{64}\.zip`)
	machineHash = regexp.MustCompile(`(StateMachineVersion)[0-9a-f]{16}[0-9A-F]{8}`)
	versionHash = regexp.MustCompile(`(CurrentVersion[0-9A-F]{8})[0-9a-f]{32}`)
)

// stable writes a template without what changes with every change of a handler. The definition of the state machine has
// golden files of its own, in which it can be read.
func (t template) stable() []byte {
	var document map[string]any
	must(json.Unmarshal(t.text, &document))
	for _, machine := range t.machines() {
		properties := document["Resources"].(map[string]any)[machine.id].(map[string]any)["Properties"].(map[string]any)
		properties["DefinitionString"] = "(in the golden files of the definition)"
	}

	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	must(encoder.Encode(document))
	text := assetHash.ReplaceAll(b.Bytes(), []byte("(asset).zip"))
	return machineHash.ReplaceAll(versionHash.ReplaceAll(text, []byte("$1(hash)")), []byte("$1(hash)"))
}

// The stack that package infra has by default. What else is in it has a golden file there.
func TestTheDefinitionInTheStackOfTheAppIsAsInItsGoldenFile(t *testing.T) {
	app := newApp(deployed(), nothingBundled)
	apiproxy.NewRetryingApiProxy(awscdk.NewStack(app, jsii.String("RetryingApiProxy"), nil), jsii.String("Proxy"), minimal())
	golden(t, "stack-definition.json", synthesise(app)["RetryingApiProxy"].definition().readable())
}

func TestAnImportersStackWithoutFeatureFlagsIsAsInItsGoldenFile(t *testing.T) {
	golden(t, "no-flags.json", variants()["NoFlags"].stable())
}

func TestAStackWithAllTurnedOffIsAsInItsGoldenFile(t *testing.T) {
	golden(t, "off.json", variants()["Off"].stable())
}

func TestAStackWithAllPropsIsAsInItsGoldenFile(t *testing.T) {
	golden(t, "everything.json", variants()["Everything"].stable())
	golden(t, "everything-definition.json", variants()["Everything"].definition().readable())
	golden(t, "everything-async-definition.json", variants()["Everything"].asyncDefinition().readable())
	golden(t, "async-definition-3-proxies.json", variants()["Async"].asyncDefinition().readable())
	golden(t, "dead-letters-definition-3-proxies.json", variants()["DeadLetters"].asyncDefinition().readable())
	golden(t, "callback-definition-3-proxies.json", variants()["Callback"].asyncDefinition().readable())
	golden(t, "callback-letters-definition-3-proxies.json", variants()["CallbackLetters"].asyncDefinition().readable())
}

func TestTheDefinitionIsAsInItsGoldenFile(t *testing.T) {
	golden(t, "definition-1-proxy.json", variants()["OneProxy"].definition().readable())
	golden(t, "definition-3-proxies.json", variants()["Minimal"].definition().readable())
}

func TestFeatureFlagsDoNotChangeTheDefinition(t *testing.T) {
	with, without := variants()["Minimal"].definition().readable(), variants()["NoFlags"].definition().readable()
	if difference := cmp.Diff(string(with), string(without)); difference != "" {
		t.Errorf("with the flags of cdk.json (-) and without (+):\n%s", difference)
	}
}

func TestTheSameAppGivesTheSameTemplateTwice(t *testing.T) {
	synthesised := func() []byte {
		app := newApp(deployed(), nothingBundled)
		apiproxy.NewRetryingApiProxy(awscdk.NewStack(app, jsii.String("Twice"), nil), jsii.String("Orders"), everything())
		return synthesise(app)["Twice"].text
	}
	if first, second := synthesised(), synthesised(); !bytes.Equal(first, second) {
		t.Errorf("the second template differs:\n%s", cmp.Diff(string(first), string(second)))
	}
}
