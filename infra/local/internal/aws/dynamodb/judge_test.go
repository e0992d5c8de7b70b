package dynamodb_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/dynamodb"
)

// motoStartTimeout is how long moto_server has to answer for the first time.
const motoStartTimeout = 60 * time.Second

// A motoServer is the DynamoDB of moto, an independent implementation in Python that judges this one.
type motoServer struct {
	address  string
	process  *exec.Cmd
	lifeline io.Closer // ends the process when it is closed, also by the end of this one
}

// moto is started by the first test that needs it and ended after the last.
var moto struct {
	once   sync.Once
	server *motoServer
	err    error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if moto.server != nil {
		_ = moto.server.lifeline.Close()
		_ = moto.server.process.Wait()
	}
	os.Exit(code)
}

// startMoto gives the server with the tables of the tests in it, or skips the test where moto is not installed.
func startMoto(t *testing.T) *motoServer {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: moto_server is not asked")
	}
	path, err := exec.LookPath("moto_server")
	if err != nil {
		t.Skip("moto_server is not installed (pip install 'moto[server]'), so there is no judge to compare with")
	}
	moto.once.Do(func() { moto.server, moto.err = runMoto(path) })
	if moto.err != nil {
		t.Fatal(moto.err)
	}
	return moto.server
}

func runMoto(path string) (*motoServer, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := listener.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	if err := listener.Close(); err != nil {
		return nil, err
	}
	// The shell ends the server when its input ends, so that nothing is left behind even if this process is killed.
	process := exec.Command("sh", "-c", `"$@" & read -r _; kill $!`, "sh", path, "-H", "127.0.0.1", "-p", port)
	lifeline, err := process.StdinPipe()
	if err != nil {
		return nil, err
	}
	server := &motoServer{address, process, lifeline}
	if err := process.Start(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), motoStartTimeout)
	defer cancel()
	for {
		if _, _, err = server.send(ctx, "ListTables", `{}`); err == nil {
			break
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("moto_server does not answer: %w", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	// In the order of their names, in which moto does not put them itself.
	for _, definition := range []dynamodb.TableDefinition{events, records} {
		keys := fmt.Sprintf(`{"AttributeName":%q,"KeyType":"HASH"}`, definition.PartitionKey.Name)
		types := fmt.Sprintf(`{"AttributeName":%q,"AttributeType":%q}`, definition.PartitionKey.Name, definition.PartitionKey.Type)
		if sort := definition.SortKey; sort.Name != "" {
			keys += fmt.Sprintf(`,{"AttributeName":%q,"KeyType":"RANGE"}`, sort.Name)
			types += fmt.Sprintf(`,{"AttributeName":%q,"AttributeType":%q}`, sort.Name, sort.Type)
		}
		status, body, err := server.send(ctx, "CreateTable", fmt.Sprintf(
			`{"TableName":%q,"BillingMode":"PAY_PER_REQUEST","KeySchema":[%s],"AttributeDefinitions":[%s]}`, definition.Name, keys, types))
		if err != nil || status != http.StatusOK {
			return nil, fmt.Errorf("create the table %s in moto: %d %s %w", definition.Name, status, body, err)
		}
	}
	return server, nil
}

func (m *motoServer) send(ctx context.Context, operation, input string) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+m.address+"/", strings.NewReader(input))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("X-Amz-Target", dynamodb.TargetPrefix+operation)
	request.Header.Set("Content-Type", "application/x-amz-json-1.0")
	// Moto finds the service by the scope in the signature, and verifies nothing else in it.
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=local/20231114/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, body, err
}

// An outcome is what an operation came to, in a form that can be compared.
type outcome struct {
	Code    string // of the error; empty for success
	Message string
	Output  any // the answer, or the item of a failed condition
}

func (o outcome) String() string {
	text, _ := json.Marshal(o.Output)
	return strings.TrimSpace(o.Code + " " + o.Message + " " + string(text))
}

// motoCrash is the code of an operation that moto ended with an exception of its own.
const motoCrash = "crash"

// ask runs the operation in moto.
func (m *motoServer) ask(t *testing.T, operation, input string) outcome {
	t.Helper()
	status, body, err := m.send(t.Context(), operation, input)
	if err != nil {
		t.Fatal(err)
	}
	if status >= http.StatusInternalServerError {
		return outcome{Code: motoCrash, Message: "moto ended the operation with an exception of its own"}
	}
	return newOutcome(t, body)
}

// own runs the operation in the store.
func own(t *testing.T, store *dynamodb.Store, operation, input string) outcome {
	t.Helper()
	output, err := store.Call(t.Context(), operation, json.RawMessage(input))
	if refusal, ok := err.(*dynamodb.Error); ok {
		if output, err = json.Marshal(refusal); err != nil {
			t.Fatal(err)
		}
	} else if err != nil {
		t.Fatal(err)
	}
	return newOutcome(t, output)
}

func newOutcome(t *testing.T, body []byte) outcome {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(body))
	var fields map[string]any
	if err := decoder.Decode(&fields); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	kind, failed := fields["__type"].(string)
	if !failed {
		delete(fields, "ConsumedCapacity")
		// The documentation does not say whether an answer without attributes has none or an empty map of them; for the
		// SDKs it is the same.
		if attributes, ok := fields["Attributes"].(map[string]any); ok && len(attributes) == 0 {
			delete(fields, "Attributes")
		}
		return outcome{Output: sortSets(fields)}
	}
	o := outcome{Code: kind[strings.LastIndex(kind, "#")+1:]}
	for _, name := range []string{"message", "Message"} {
		if message, ok := fields[name].(string); ok {
			o.Message = message
		}
	}
	if item, ok := fields["Item"]; ok {
		o.Output = sortSets(item)
	}
	return o
}

// sortSets puts the elements of all sets in an answer into one order, since they have none.
func sortSets(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			set, isList := inner.([]any)
			if isList && (name == "SS" || name == "NS" || name == "BS") {
				slices.SortFunc(set, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
				continue
			}
			v[name] = sortSets(inner)
		}
	case []any:
		for i := range v {
			v[i] = sortSets(v[i])
		}
	}
	return v
}

// A judge runs operations in moto and in a store of its own, and compares what they come to.
type judge struct {
	t        *testing.T
	moto     *motoServer
	store    *dynamodb.Store
	compared int
	faults   map[string]bool // by reason, whether moto differed at least once
	differed int

	// ignoreCrashes is for requests that nobody has looked at, with some of which moto does not cope.
	ignoreCrashes bool
	crashes       int
}

func newJudge(t *testing.T) *judge {
	t.Helper()
	return &judge{t: t, moto: startMoto(t), store: newStore(t), faults: map[string]bool{}}
}

// both runs an operation that prepares a comparison.
func (j *judge) both(operation, input string) {
	j.t.Helper()
	call(j.t, j.store, operation, input)
	if theirs := j.moto.ask(j.t, operation, input); theirs.Code != "" {
		j.t.Fatalf("%s %s: %s", operation, input, theirs)
	}
}

// compare runs an operation whose outcome has to be the same in both. A fault is the reason why it may not be, where moto
// is wrong; it has to show at least once in a test, so that the list of faults stays true. The words of an error are not
// compared, since moto has its own for many.
func (j *judge) compare(name, fault, operation, input string) {
	j.t.Helper()
	theirs, ours := j.moto.ask(j.t, operation, input), own(j.t, j.store, operation, input)
	theirWords := theirs.Message
	theirs.Message, ours.Message = "", ""
	different := cmp.Diff(theirs, ours)
	j.compared++
	switch {
	case fault != "":
		j.faults[fault] = j.faults[fault] || different != ""
		if different != "" {
			j.differed++
		}
	case different == "":
	case j.ignoreCrashes && theirs.Code == motoCrash:
		j.crashes++
	default:
		j.t.Errorf("%s: %s %s\n-moto +store (moto says %q)\n%s", name, operation, input, theirWords, different)
	}
}

// report says how much was compared, and refuses faults that moto does not have.
func (j *judge) report(what string) {
	j.t.Helper()
	for fault, shown := range j.faults {
		if !shown {
			j.t.Errorf("moto agrees wherever it is said that %s", fault)
		}
	}
	j.t.Logf("%s: %d operations compared with moto, which agrees on %d, is wrong about %d for one of %d listed reasons, and crashes on %d",
		what, j.compared, j.compared-j.differed-j.crashes, j.differed, len(j.faults), j.crashes)
}
