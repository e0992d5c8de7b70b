//go:build !race

package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden file in testdata")

// What changes with every change of a handler: the hash of its asset, and the hash in the id of the function's version.
var (
	assetHash   = regexp.MustCompile(`[0-9a-f]{64}\.zip`)
	machineHash = regexp.MustCompile(`(StateMachineVersion)[0-9a-f]{16}[0-9A-F]{8}`)
	versionHash = regexp.MustCompile(`(CurrentVersion[0-9A-F]{8})[0-9a-f]{32}`)
)

// stable writes a template without what changes with every change of a handler, and without the definition of the state
// machine, which has golden files in package apiproxy.
func (t template) stable() []byte {
	var document map[string]any
	if err := json.Unmarshal(t.text, &document); err != nil {
		panic(err)
	}
	for id := range t.ofType("AWS::StepFunctions::StateMachine") {
		machine := document["Resources"].(map[string]any)[id].(map[string]any)
		machine["Properties"].(map[string]any)["DefinitionString"] = "(in the golden files of the definition)"
	}

	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(document); err != nil {
		panic(err)
	}
	text := assetHash.ReplaceAll(b.Bytes(), []byte("(asset).zip"))
	return machineHash.ReplaceAll(versionHash.ReplaceAll(text, []byte("$1(hash)")), []byte("$1(hash)"))
}

func TestTheStackIsAsInItsGoldenFile(t *testing.T) {
	got := stackWith(nil).stable()
	file := filepath.Join("testdata", "stack.json")
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; go test ./infra -update writes it", err)
	}
	if !bytes.Equal(want, got) {
		difference := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n"))
		t.Errorf("%s is not what is synthesised now (-golden +now); if it should be, rewrite it with go test ./infra -update:\n%s",
			file, difference)
	}
}
