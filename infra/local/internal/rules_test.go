// Package internal_test holds the rules by which packages of this module may import each other.
package internal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/retrying-api-proxy/retrying-api-proxy/"

// cdk are the packages of the CDK.
var cdk = []string{"github.com/aws/aws-cdk-go/...", "github.com/aws/constructs-go/...", "github.com/aws/jsii-runtime-go/..."}

// A rule says what packages may import. A path without a host is one of this module; /... at the end stands for all
// packages below, too. Imports of tests do not count, nor do those behind the build tag of constructs/apiproxy/handlers.go.
type rule struct {
	packages string

	// only are the packages of this module that may be imported.
	only []string

	// never are packages that may not be imported, not even by what is imported.
	never []string
}

var rules = []rule{
	{packages: "functions/...", only: []string{"functions/..."}, never: cdk},
	// It would take longer to start. That is for functions/proxy/withsdk.
	{packages: "functions/proxy", only: []string{"functions/..."}, never: []string{"github.com/aws/aws-sdk-go-v2/config", "github.com/aws/aws-sdk-go-v2/service/..."}},
	{packages: "functions/retry", only: nil, never: []string{"github.com/aws/..."}},
	{packages: "functions/retry/retryhttp", only: []string{"functions/retry"}, never: []string{"github.com/aws/..."}},
	{packages: "functions/message", only: []string{"functions/retry", "functions/gate"}},
	{packages: "functions/gate", only: nil, never: []string{"github.com/aws/..."}},
	{packages: "functions/gate/gatetest", only: []string{"functions/gate"}, never: []string{"github.com/aws/..."}},
	{packages: "functions/gate/gatestore", only: []string{"functions/gate"}},
	{packages: "functions/internal/simulation", only: []string{"functions/retry"}, never: []string{"github.com/aws/..."}},
	{packages: "functions/idempotency/...", only: []string{"functions/idempotency/..."}},
	{packages: "constructs/...", only: []string{
		"constructs/...", "functions/retry", "functions/message", "functions/execution", "functions/largebody", "functions/gate", "functions/idempotency/recordformat",
	}},
	// Whoever imports the construct alone does not compile them.
	{packages: "constructs/apiproxy", only: []string{
		"constructs/...", "functions/retry", "functions/message", "functions/execution", "functions/largebody", "functions/gate", "functions/idempotency/recordformat",
	}, never: []string{
		"github.com/aws/aws-cdk-go/awscdk/v2/awsscheduler", "github.com/aws/aws-cdk-go/awscdk/v2/awsschedulertargets",
		"github.com/aws/aws-cdk-go/awscdk/v2/awseventstargets",
	}},
	{packages: "constructs/gofunction/gobuild", only: nil, never: cdk},
	{packages: "infra/local/...", only: []string{
		"infra/local/...", "functions/...", "constructs/gofunction/gobuild", "infra/verification/scripted",
	}, never: cdk},
	// What answers as it is told is for verification, and in no handler of production.
	{packages: "infra/verification/...", only: []string{"infra/verification/scripted", "functions/sdkhttp"}, never: cdk},
	{packages: "infra/verification/scripted", only: nil, never: []string{"github.com/aws/..."}},
	{packages: "infra/local/internal/aws/...", only: []string{"infra/local/internal/aws/...", "infra/local/internal/localonly"}},
	{packages: "infra/local/internal/localonly", only: nil},
	{packages: "infra/local/internal/terminal", only: nil},
}

func TestPackagesImportOnlyWhatTheyMay(t *testing.T) {
	t.Parallel()
	imports := importsOf(t, "functions/...", "constructs/...", "infra/local/...", "infra/verification/...")
	for _, r := range rules {
		found := false
		for _, importer := range slices.Sorted(maps.Keys(imports)) {
			if !matches(r.packages, importer) {
				continue
			}
			found = true
			for _, imported := range imports[importer] {
				if own := strings.HasPrefix(imported, module); own && !slices.ContainsFunc(r.only, func(pattern string) bool { return matches(pattern, imported) }) {
					t.Errorf("%s imports %s; of this module %s may import %q", importer, imported, r.packages, r.only)
				}
			}
			for _, pattern := range r.never {
				if way := wayTo(pattern, importer, imports, map[string]bool{}); way != nil {
					t.Errorf("%s; %s may not import %s", strings.Join(way, " imports "), r.packages, pattern)
				}
			}
		}
		if !found {
			t.Errorf("there is no package %s", r.packages)
		}
	}
}

func TestBelowTheLocalRunAreOnlyTheBenchAndWhatIsInternal(t *testing.T) {
	t.Parallel()
	for importer := range importsOf(t, "infra/local/...") {
		if matches("infra/local/...", importer) && !slices.ContainsFunc(
			[]string{"infra/local", "infra/local/stacktest", "infra/local/internal/..."},
			func(pattern string) bool { return matches(pattern, importer) }) {
			t.Errorf("%s is a promise to importers; move it below infra/local/internal", importer)
		}
	}
}

func TestTheArchitectureNamesEachPackage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	for importer := range importsOf(t, "...") {
		if folder, own := strings.CutPrefix(importer, module); own && !bytes.Contains(page, []byte("`"+folder+"`")) {
			t.Errorf("docs/architecture.md does not say what is in %s", folder)
		}
	}
}

// importsOf lists packages of this module, and what they depend on outside the standard library, with their imports.
func importsOf(t *testing.T, patterns ...string) map[string][]string {
	t.Helper()
	lookAtSources(t)
	arguments := []string{"list", "-deps", "-json=ImportPath,Imports,Standard"}
	for _, pattern := range patterns {
		arguments = append(arguments, module+pattern)
	}
	var stderr bytes.Buffer
	command := exec.Command("go", arguments...)
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	all := map[string][]string{}
	for decoder := json.NewDecoder(bytes.NewReader(output)); ; {
		var p struct {
			ImportPath string
			Imports    []string
			Standard   bool
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if !p.Standard {
			all[p.ImportPath] = p.Imports
		}
	}
}

// lookAtSources reads the directories of the sources. The go command does so in a process of its own, and go test would
// take the result from its cache however the sources had changed.
func lookAtSources(t *testing.T) {
	t.Helper()
	for _, folder := range []string{"functions", "constructs", "infra"} {
		if err := filepath.WalkDir(filepath.Join("../../..", folder), func(_ string, _ fs.DirEntry, err error) error { return err }); err != nil {
			t.Fatal(err)
		}
	}
}

// matches says whether a path is one that a rule names.
func matches(pattern, path string) bool {
	if host, _, _ := strings.Cut(pattern, "/"); !strings.Contains(host, ".") {
		pattern = module + pattern
	}
	above, below := strings.CutSuffix(pattern, "/...")
	return path == above || below && strings.HasPrefix(path, above+"/")
}

// wayTo finds how a package comes to import one that a rule names, from the first to the last. It is nil if it does not.
func wayTo(pattern, from string, imports map[string][]string, seen map[string]bool) []string {
	if seen[from] {
		return nil
	}
	seen[from] = true
	for _, imported := range imports[from] {
		if matches(pattern, imported) {
			return []string{from, imported}
		}
		if way := wayTo(pattern, imported, imports, seen); way != nil {
			return append([]string{from}, way...)
		}
	}
	return nil
}

func TestAWayToAPackageIsFoundThroughOthers(t *testing.T) {
	t.Parallel()
	imports := map[string][]string{"a": {"b", "c"}, "b": {"a"}, "c": {"example.com/cdk/lambda"}}
	if way := strings.Join(wayTo("example.com/cdk/...", "a", imports, map[string]bool{}), " "); way != "a c example.com/cdk/lambda" {
		t.Errorf("the way is %q", way)
	}
	if way := wayTo("example.com/cdk", "a", imports, map[string]bool{}); way != nil {
		t.Errorf("there is a way %q to a package that nobody imports", way)
	}
}
