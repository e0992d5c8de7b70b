package console_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/assembly"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/console"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/demo"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// modules is where npm puts what package.json lists.
const modules = "../../../../node_modules"

// browser finds what drives the page and what shows it, or skips the test.
func browser(t *testing.T) (node, chromium string) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: no browser is started")
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not on the PATH, so the page is not tested")
	}
	if _, err := os.Stat(filepath.Join(modules, "playwright-core")); err != nil {
		t.Skip("playwright-core is not in node_modules, so the page is not tested; npm ci installs it")
	}
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if chromium, err = exec.LookPath(name); err == nil {
			return node, chromium
		}
	}
	t.Skip("there is no chromium on the PATH and none at CHROMIUM, so the page is not tested; apt-get install chromium installs it")
	return "", ""
}

// waitsFaster is how much faster waits pass: long enough to be seen, and no longer.
const waitsFaster = 2

// pageTimeout ends a test of the page that hangs.
const pageTimeout = 3 * time.Minute

// The page is shown by a browser, in front of the synthesised stack with its real handlers and the demo upstream. What it
// has to do stands in testdata/page.mjs, which writes a line of JSON for each check.
func TestThePage(t *testing.T) {
	node, chromium := browser(t)
	ctx, cancel := context.WithTimeout(context.Background(), pageTimeout)
	defer cancel()

	upstream, err := demo.New(demo.DefaultSettings(), waitsFaster)
	if err != nil {
		t.Fatal(err)
	}
	api := httptest.NewServer(upstream)
	t.Cleanup(api.Close)
	shown := console.New(console.Config{Upstream: api.URL, Demo: upstream, Speed: waitsFaster})
	running := startStack(ctx, t, stack.Config{Upstream: api.URL, SourceAddresses: true, Speed: waitsFaster, Middleware: shown.Middleware})
	shown.Watch(running.StepFunctions, running.DynamoDB, running.View())
	showGate(t, running, shown)

	folder, err := filepath.Abs(modules)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(ctx, node, "testdata/page.mjs", running.URL()+console.Path)
	command.Env = append(os.Environ(), "CHROMIUM="+chromium, "MODULES="+folder, "NO_COLOR=1", "FORCE_COLOR=0")
	var complaints bytes.Buffer
	command.Stderr = &complaints
	output, err := command.Output()
	if err != nil {
		t.Errorf("node testdata/page.mjs: %v\n%s", err, complaints.String())
	}
	checked, ended := 0, false
	for lines := bufio.NewScanner(bytes.NewReader(output)); lines.Scan(); {
		var line struct {
			Name, Problem string
			Checks        int // in the last line: how many there were
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatalf("%v in %s", err, lines.Text())
		}
		if line.Name == "" {
			ended = line.Checks == checked && checked > 0
			continue
		}
		checked++
		t.Run(line.Name, func(t *testing.T) {
			if line.Problem != "" {
				t.Error(line.Problem)
			}
		})
	}
	if !ended {
		t.Errorf("the checks did not come to their end; there were %d", checked)
	}
}

// showGate has an item of a gate, and metrics, that the page can show.
func showGate(t *testing.T, running *stack.Stack, shown *console.Console) {
	t.Helper()
	item := `{"TableName": "` + running.Template.Tables[0].Name + `", "Item": {"id": {"S": "gate#Orders#0a1b2c3d0a1b2c3d0a1b2c3d0a1b2c3d.%2Forders#2"},
	  "version": {"N": "3"}, "ticket": {"N": "7"}, "outage": {"N": "1"}, "opened": {"N": "1"}, "probe": {"N": "1"}, "byKey": {"N": "3"}}}`
	if _, err := running.DynamoDB.Call(t.Context(), "PutItem", []byte(item)); err != nil {
		t.Fatal(err)
	}
	if !shown.Measured(`{"_aws":{"Timestamp":1772368200000,"CloudWatchMetrics":[{"Namespace":"RetryingApiProxy","Dimensions":[["RecordPrefix"]],
	  "Metrics":[{"Name":"GateWait","Unit":"Milliseconds"}]}]},"RecordPrefix":"Orders","GateWait":1200}`) {
		t.Fatal("the metrics were not read")
	}
}

func startStack(ctx context.Context, t *testing.T, config stack.Config) *stack.Stack {
	t.Helper()
	settings := map[string]any{"architecture": "x86_64", "auth": "NONE"}
	if runtime.GOARCH == "arm64" {
		settings["architecture"] = "arm64"
	}
	dir := t.TempDir()
	if err := assembly.Synthesise(ctx, dir, settings); err != nil {
		t.Fatal(err)
	}
	var err error
	if config.Listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if config.Template, err = stack.Load(dir, config.Listener); err != nil {
		t.Fatal(err)
	}
	if config.Binaries, err = assembly.NativeBinaries(ctx, config.Template); err != nil {
		t.Fatal(err)
	}
	// The checks name the proxies in the order in which they are asked.
	config.Environment = map[string]map[string]string{"gateway": {"RING_START": "1"}}
	running, err := stack.Start(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(running.Close)
	return running
}
