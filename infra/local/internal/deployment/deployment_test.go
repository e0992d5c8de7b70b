// Package deployment_test deploys the stack with the CDK CLI into an account of moto's, which has a CloudFormation that somebody
// else wrote, changes it in the ways in which such stacks are changed, and destroys it. After each step it compares what the
// services say with the template, and runs what they have.
package deployment_test

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/assembly"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudformation"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

const stackName = "RetryingApiProxy"

// native is the architecture of this machine, and foreign the other one, as the context has them.
var native, foreign = map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH], map[string]string{
	"amd64": "arm64", "arm64": "x86_64",
}[runtime.GOARCH]

// A drill is one deployment's life.
type drill struct {
	*account
	upstream *upstream

	// records is the file in which the tables' items are while nothing runs.
	records string

	// description and deployed are what CloudFormation and the services said last, nil if there is nothing.
	description *stackDescription
	deployed    *cloudformation.Stack
}

func TestTheStackIsDeployedChangedAndDestroyedByTheCLI(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: nothing is deployed")
	}
	d := &drill{account: newAccount(t), upstream: newUpstream(t), records: filepath.Join(t.TempDir(), "records.db")}

	d.step(t, "bootstrap", func() string {
		d.run(t, 0, "bootstrap", "aws://"+accountID+"/"+region)
		return ""
	})

	three := d.assembly(t, nil)
	d.deploy(t, "deploy, with 3 proxies", three)
	d.noDifferences(t, three)
	d.called(t, "order-1", carriedOut)
	d.called(t, "order-1", replayed)

	five := d.assembly(t, map[string]any{"proxies": 5})
	d.deploy(t, "update to 5 proxies", five)
	d.called(t, "order-1", replayed)
	d.called(t, "order-2", carriedOut)

	d.deploy(t, "update to 3 proxies", three)
	d.called(t, "order-2", replayed)

	// This machine cannot run its code: what is looked at is what it is for.
	d.deploy(t, "update to "+foreign, d.assembly(t, map[string]any{"architecture": foreign}))

	// The gateway can be called by everyone, and an upstream that fails is not asked again.
	once := d.assembly(t, map[string]any{"auth": "NONE", "policy": `{"serverErrors": {"attempts": 1}}`})
	d.deploy(t, "update to "+native+", AUTH=NONE and another policy", once)
	d.called(t, "order-2", replayed)
	d.failsAfter(t, 1)

	d.deploy(t, "update to the policy of before", three)
	d.failsAfter(t, 3)

	async := d.assembly(t, map[string]any{"async": "true"})
	d.deploy(t, "update to ASYNC=true", async)
	d.called(t, "order-2", replayed)
	d.answeredLater(t)

	everything := d.assembly(t, map[string]any{
		"async": "true", "largebodies": "true", "deadletters": "true", "callback": "https://callback.example.com/", "queue": "true", "flowcontrol": "adaptive",
	})
	d.deploy(t, "update to everything", everything)
	d.noDifferences(t, everything)
	d.deploy(t, "update to what there was at first", three)
	d.called(t, "order-2", replayed)

	d.notDeployed(t, "update to a template with a fault", withFault(t, five))

	d.destroy(t, three, 1)
	d.deploy(t, "deploy again", three)
	d.called(t, "order-2", carriedOut) // the new table knows nothing of it
	d.destroy(t, three, 2)
}

// step carries out a step of the drill and writes down what came of it, and how long it took.
func (d *drill) step(t *testing.T, what string, do func() string) {
	t.Helper()
	began := time.Now()
	result := do()
	if t.Failed() {
		t.Fatalf("%s: failed; moto says:\n%s", what, d.log)
	}
	t.Logf("%-60s ok  %5.1f s  %s", what, time.Since(began).Seconds(), result)
}

// run has the CLI carry out a command that ends with a code.
func (d *drill) run(t *testing.T, code int, arguments ...string) {
	t.Helper()
	if output, ended := d.cdk(t, arguments...); ended != code {
		t.Fatalf("cdk %s ended with %d; %d is expected:\n%s\nmoto says:\n%s", strings.Join(arguments, " "), ended, code, output, d.log)
	}
}

// assembly synthesises a variant of the stack for this machine's architecture.
func (d *drill) assembly(t *testing.T, context map[string]any) string {
	t.Helper()
	directory := filepath.Join(t.TempDir(), "cdk.out")
	settings := map[string]any{"architecture": native}
	maps.Copy(settings, context)
	d.step(t, "synthesise", func() string {
		if err := assembly.Synthesise(t.Context(), directory, settings); err != nil {
			t.Fatal(err)
		}
		return ""
	})
	return directory
}

// deploy deploys a cloud assembly and compares what is there then with its template.
func (d *drill) deploy(t *testing.T, what, directory string) {
	t.Helper()
	d.step(t, what, func() string {
		d.run(t, 0, "deploy", "--app", directory, "--require-approval", "never")
		return d.check(t, directory)
	})
}

// check compares what is there with what a cloud assembly declares: once by the list of resources, and once as the local stack
// reads the template, which is another program than moto.
func (d *drill) check(t *testing.T, directory string) string {
	t.Helper()
	declared := readTemplate(t, directory)
	read, err := cloudformation.Load(directory, cloudformation.Options{FunctionURL: "http://function-url/", QueueBaseURL: "http://queues"})
	if err != nil {
		t.Fatal(err)
	}
	description := d.describe(t, stackName)
	if description == nil || !strings.HasSuffix(description.Status, "_COMPLETE") || strings.Contains(description.Status, "ROLLBACK") {
		t.Fatalf("CloudFormation says of the stack: %+v", description)
	}
	for id, resource := range declared.Resources {
		if description.Resources[id] == "" {
			t.Errorf("%s, an %s, has no physical id, so it is not there", id, resource.Type)
		}
	}
	for id := range description.Resources {
		if _, found := declared.Resources[id]; !found {
			t.Errorf("%s is there, and is not in the template", id)
		}
		if d.description != nil {
			if before := d.description.Resources[id]; before != "" && before != description.Resources[id] {
				t.Errorf("the update has replaced %s: it was %s and is %s", id, before, description.Resources[id])
			}
		}
	}

	deployed := d.account.deployed(t, description, read)
	if difference := gocmp.Diff(normal(read), normal(deployed)); difference != "" {
		t.Errorf("what is deployed is not what the template says (-template +deployed):\n%s", difference)
	}
	checkCode(t, deployed.Functions)
	d.checkVersions(t, deployed)
	d.checkPermissions(t, declared, deployed)
	d.checkPolicies(t, declared, description, deployed)
	d.checkLogGroups(t, declared, description, deployed)
	d.description, d.deployed = description, deployed
	return fmt.Sprintf("moto and the template agree on %d resources", len(declared.Resources))
}

// checkLogGroups has each function and each state machine write to a group that ends its lines after a month.
func (d *drill) checkLogGroups(t *testing.T, declared template, description *stackDescription, deployed *cloudformation.Stack) {
	t.Helper()
	groups := d.logGroups(t)
	for id, resource := range declared.Resources {
		if resource.Type == "AWS::Logs::LogGroup" && groups[description.Resources[id]] != 30 {
			t.Errorf("the log group %s keeps lines for %d days; 30 are expected", description.Resources[id], groups[description.Resources[id]])
		}
	}
	for _, f := range deployed.Functions {
		if _, found := groups[f.LogGroup]; !found {
			t.Errorf("%s logs to %q, which is not there", f.Name, f.LogGroup)
		}
	}
}

// noDifferences has the CLI compare what it deployed with what it would deploy.
func (d *drill) noDifferences(t *testing.T, directory string) {
	t.Helper()
	d.step(t, "diff", func() string {
		d.run(t, 0, "diff", "--app", directory, "--fail")
		return "no differences"
	})
}

// destroy destroys the stack and counts the tables that are left, as nothing else may be.
func (d *drill) destroy(t *testing.T, directory string, tables int) {
	t.Helper()
	d.step(t, "destroy", func() string {
		d.run(t, 0, "destroy", "--app", directory, "--force")
		if description := d.describe(t, stackName); description != nil && description.Status != "DELETE_COMPLETE" {
			t.Errorf("CloudFormation still has the stack: %+v", description)
		}
		left := d.account.deployed(t, &stackDescription{}, &cloudformation.Stack{})
		if len(left.Functions)+len(left.StateMachines)+len(left.URLs) > 0 {
			t.Errorf("these are left: %+v", left)
		}
		if roles := d.roles(t); len(roles) > 0 {
			t.Errorf("these roles are left: %q", roles)
		}
		if groups := d.logGroups(t); len(groups) > 0 {
			t.Errorf("these log groups are left: %v", groups)
		}
		kept := d.tables(t)
		if len(kept) != tables {
			t.Errorf("the tables %q are left; %d are expected, since a table of records is retained", kept, tables)
		}
		d.description, d.deployed = nil, nil
		return fmt.Sprintf("left: %d tables", len(kept))
	})
}

// How a POST with an Idempotency-Key was answered.
const (
	carriedOut = "carried out"
	replayed   = "replayed"
)

// running starts what is deployed: the code that Lambda has, with its environment, the definitions that Step Functions has, and the
// table. Neither moto nor anybody else here could run StartSyncExecution; the local stack's services do. They find nothing in
// the template, and what the table had in the drill's file.
func (d *drill) running(t *testing.T, use func(url string)) {
	t.Helper()
	template := *d.deployed
	template.Functions = slices.Clone(template.Functions)
	for i, f := range template.Functions {
		// There, a state machine has one version. That the gateway has the latest is checked by checkVersions.
		template.Functions[i].Environment = maps.Clone(f.Environment)
		for name, value := range f.Environment {
			template.Functions[i].Environment[name] = version.ReplaceAllString(value, "$1:1")
		}
	}
	binaries, err := assembly.NativeBinaries(t.Context(), &template)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	running, err := stack.Start(stack.Config{
		Template: &template, Listener: listener, Upstream: d.upstream.URL, DataFile: d.records, Binaries: binaries, Speed: 100,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer running.Close()
	use(running.URL())
}

// called sends a GET, which one of the proxies must answer, and a POST with a key.
func (d *drill) called(t *testing.T, key, want string) {
	t.Helper()
	d.step(t, "GET, and POST with key "+key, func() string {
		d.running(t, func(url string) {
			if answer := send(t, http.MethodGet, url+"/tea", ""); answer.status != http.StatusOK || answer.body != "GET /tea" ||
				!strings.Contains(answer.header.Get("Proxy-Status"), "proxy-") {
				t.Errorf("GET is answered %+v", answer)
			}
			before := d.upstream.count("POST /orders")
			answer := send(t, http.MethodPost, url+"/orders", key)
			if answer.status != http.StatusOK || answer.body != "POST /orders" {
				t.Errorf("POST is answered %+v", answer)
			}
			sent, replay := d.upstream.count("POST /orders")-before, answer.header.Get("Idempotent-Replayed") == "true"
			if replay != (want == replayed) || sent != map[string]int{carriedOut: 1, replayed: 0}[want] {
				t.Errorf("the POST was sent %d times, and Idempotent-Replayed is %v; it should be %s", sent, replay, want)
			}
		})
		return "the POST is " + want
	})
}

// answeredLater sends an asynchronous request, and fetches its answer.
func (d *drill) answeredLater(t *testing.T) {
	t.Helper()
	d.step(t, "GET with Prefer: respond-async", func() string {
		d.running(t, func(url string) {
			accepted := send(t, http.MethodGet, url+"/later", "", "Prefer", "respond-async")
			location := accepted.header.Get("Location")
			if accepted.status != http.StatusAccepted || location == "" {
				t.Fatalf("it is answered %+v", accepted)
			}
			if answer := send(t, http.MethodGet, url+location+"/response", "", "Prefer", "wait=20"); answer.status != http.StatusOK || answer.body != "GET /later" {
				t.Errorf("the answer is %+v", answer)
			}
		})
		return "202, and then the answer"
	})
}

// notDeployed has the CLI deploy what cannot be deployed. It must say so, as must CloudFormation: a check that is green while half
// of a stack is missing is none.
func (d *drill) notDeployed(t *testing.T, what, directory string) {
	t.Helper()
	d.step(t, what, func() string {
		d.run(t, 1, "deploy", "--app", directory, "--require-approval", "never")
		if description := d.describe(t, stackName); description.Status != "UPDATE_ROLLBACK_COMPLETE" {
			t.Errorf("CloudFormation says %s", description.Status)
		}
		return "the CLI ends with 1"
	})
}

// withFault copies a cloud assembly and has the metric filter, which comes late, count in a way that there is none of.
func withFault(t *testing.T, directory string) string {
	t.Helper()
	faulty := filepath.Join(t.TempDir(), "cdk.out")
	if err := os.CopyFS(faulty, os.DirFS(directory)); err != nil {
		t.Fatal(err)
	}
	// The CLI publishes a template once, under its hash.
	manifest, err := os.ReadFile(filepath.Join(faulty, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	hash := regexp.MustCompile(`[0-9a-f]{64}\.json`).FindString(string(manifest))
	for _, file := range []string{"manifest.json", stackName + ".assets.json", stackName + ".template.json"} {
		text, err := os.ReadFile(filepath.Join(faulty, file))
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.ReplaceAll(string(text), strings.TrimSuffix(hash, ".json"), strings.Repeat("f", 64))
		changed = strings.ReplaceAll(changed, `"Unit": "Count"`, `"Unit": 1`)
		if changed == string(text) {
			t.Fatalf("there is nothing to change in %s", file)
		}
		if err := os.WriteFile(filepath.Join(faulty, file), []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return faulty
}

// failsAfter sends a GET to which the upstream has no good answer, and counts the attempts.
func (d *drill) failsAfter(t *testing.T, attempts int) {
	t.Helper()
	d.step(t, "GET from an upstream that fails", func() string {
		d.running(t, func(url string) {
			before := d.upstream.count("GET /fails")
			if answer := send(t, http.MethodGet, url+"/fails", ""); answer.status != http.StatusInternalServerError {
				t.Errorf("it is answered %+v", answer)
			}
			if sent := d.upstream.count("GET /fails") - before; sent != attempts {
				t.Errorf("it was sent %d times; %d are what the policy says", sent, attempts)
			}
		})
		return fmt.Sprintf("attempts: %d", attempts)
	})
}

// An upstream answers with the request, and fails at /fails.
type upstream struct {
	*httptest.Server
	mu       sync.Mutex
	requests map[string]int
}

func newUpstream(t *testing.T) *upstream {
	u := &upstream{requests: map[string]int{}}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request := r.Method + " " + r.URL.Path
		u.mu.Lock()
		u.requests[request]++
		u.mu.Unlock()
		if r.URL.Path == "/fails" {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = io.WriteString(w, request)
	}))
	t.Cleanup(u.Close)
	return u
}

// count is how often a request was received.
func (u *upstream) count(request string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.requests[request]
}

// An answer is what the caller gets.
type answer struct {
	status int
	header http.Header
	body   string
}

func send(t *testing.T, method, url, key string, fields ...string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		request.Header.Set("Idempotency-Key", `"`+key+`"`)
	}
	for i := 0; i < len(fields); i += 2 {
		request.Header.Set(fields[i], fields[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{status: response.StatusCode, header: response.Header, body: string(body)}
}
