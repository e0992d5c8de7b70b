package logline_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/logline"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

const page = "../../../docs/logs.md"

// written is a line that is written with a text in its place, behind its level.
var written = regexp.MustCompile(`slog\.Level(\w+),\s*"([^"]+)"`)

func TestThePageListsTheOtherLines(t *testing.T) {
	t.Parallel()
	found := map[string]string{}
	for _, dir := range []string{"../../gateway", "../../proxy"} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := os.ReadFile(path)
			for _, m := range written.FindAllSubmatch(source, -1) {
				found[string(m[2])] = strings.ToUpper(string(m[1]))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	listed := map[string]string{}
	for _, row := range logline.ReadPage(t, page).Rows(t, "Other lines") {
		listed[row[0]] = row[1]
	}
	for text, level := range found {
		if listed[text] != level {
			t.Errorf("the line %q is written with level %s, and the page has %q", text, level, listed[text])
		}
	}
	for text := range listed {
		if found[text] == "" {
			t.Errorf("the page has the line %q, and nobody writes it", text)
		}
	}
}

func TestThePageListsTheMetricsAsTheCodeNamesThem(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../../message/metric.go")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\tMetric(\w+)\s+= "(\w+)"$`).FindAllStringSubmatch(string(source), -1) {
		if m[1] != "Namespace" && !strings.HasSuffix(m[1], "Dimension") {
			named[m[2]] = true
		}
	}
	listed := map[string]bool{}
	for _, row := range logline.ReadPage(t, page).Rows(t, "Metrics") {
		listed[row[0]] = true
	}
	if !maps.Equal(named, listed) || !named[message.MetricRequests] {
		t.Errorf("the code names %v, and the page %v", named, listed)
	}
}
