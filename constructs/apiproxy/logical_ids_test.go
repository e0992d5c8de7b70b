//go:build !race

package apiproxy_test

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// logicalIDs is the list of the logical ids that a RetryingApiProxy called Orders has ever had, each with its type.
var logicalIDs = filepath.Join("testdata", "logical-ids.txt")

// An id that vanishes is a resource that CloudFormation deletes in the stack of everybody who updates, and one under another id is
// created before that, with the same physical name: "already exists". With -update, ids are added to the list, and none is
// taken out. Whoever means to remove a resource takes its line out by hand, and says in CHANGELOG.md what becomes of it.
func TestALogicalIDThatOnceWasStays(t *testing.T) {
	now := map[string]bool{}
	for _, template := range variants() {
		for id, resource := range template.Resources {
			if strings.HasPrefix(id, "Orders") { // what stands beside it is the test's
				now[stableID(id)+" "+resource.Type] = true
			}
		}
	}
	listed := map[string]bool{}
	text, err := os.ReadFile(logicalIDs)
	if err != nil && !*update {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		listed[lines.Text()] = true
	}
	for _, line := range slices.Sorted(maps.Keys(listed)) {
		if !now[line] {
			t.Errorf("no template has %s any more: stacks that have it lose it, or fail to update; give it back its id and type", line)
		}
	}
	if *update {
		maps.Copy(listed, now)
		var text bytes.Buffer
		for _, line := range slices.Sorted(maps.Keys(listed)) {
			fmt.Fprintln(&text, line)
		}
		if err := os.WriteFile(logicalIDs, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, line := range slices.Sorted(maps.Keys(now)) {
		if !listed[line] {
			t.Errorf("%s is not listed in %s; go test ./constructs/apiproxy -run TestALogicalID -update adds it", line, logicalIDs)
		}
	}
}

// stableID is an id without what changes with every change of a handler, or of the definition.
func stableID(id string) string {
	return string(machineHash.ReplaceAll(versionHash.ReplaceAll([]byte(id), []byte("$1(hash)")), []byte("$1(hash)")))
}
