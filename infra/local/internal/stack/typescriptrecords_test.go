package stack_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/npmpackages"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/dynamostore"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/recordformat"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/dynamodb"
)

// library is the folder of the idempotency library.
var library = filepath.Join("..", "..", "..", "..", "functions", "idempotency")

// A typeScript is functions in TypeScript with Powertools, whose table is one of the local DynamoDB.
type typeScript struct {
	t        *testing.T
	packages string // where Powertools is installed
	script   string
	endpoint string
}

// A nodeCall is a call of a function in TypeScript. Without a result it returns undefined.
type nodeCall struct {
	Event  json.RawMessage `json:"event"`
	Result json.RawMessage `json:"result,omitempty"`
}

// An outcome is what came of one. Result is missing for undefined.
type nodeOutcome struct {
	Ran    bool            `json:"ran"`
	Result json.RawMessage `json:"result"`
	Error  string          `json:"error"`
}

// sharedTable makes a table for functions in Go and in TypeScript.
func sharedTable(t *testing.T) (typeScript, *dynamostore.Store) {
	t.Helper()
	packages := npmpackages.Installed(t, filepath.Join(library, "comparison", "testdata", "powertools"))
	script, err := os.ReadFile(filepath.Join(library, "testdata", "powertools.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	local := dynamodb.New()
	if err := local.CreateTable(dynamodb.TableDefinition{
		Name: "records", PartitionKey: dynamodb.KeyAttribute{Name: "id", Type: "S"}, TTLAttribute: "expiration",
	}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(local)
	t.Cleanup(server.Close)
	store := dynamostore.New(sdkClient(server.URL), "records", dynamostore.WithFormat(recordformat.TypeScript))
	return typeScript{t, packages, string(script), server.URL}, store
}

// call makes calls, with the configuration of Powertools.
func (n typeScript) call(config map[string]any, calls ...nodeCall) []nodeOutcome {
	n.t.Helper()
	input, err := json.Marshal(map[string]any{"endpoint": n.endpoint, "table": "records", "prefix": "orders", "config": config, "calls": calls})
	if err != nil {
		n.t.Fatal(err)
	}
	command := exec.Command("node", "--input-type=module", "--eval", n.script, "call")
	command.Dir = n.packages
	command.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	var outcomes []nodeOutcome
	if err == nil {
		err = json.Unmarshal(output, &outcomes)
	}
	if err != nil || len(outcomes) != len(calls) {
		n.t.Fatalf("node: %v, %s\n%s", err, output, stderr.Bytes())
	}
	return outcomes
}

func sharing(t *testing.T, store idempotency.Store, cfg idempotency.Config) *idempotency.Manager {
	t.Helper()
	cfg.Prefix, cfg.Lease = "orders", time.Minute
	m, err := idempotency.New(store, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// sharedResults are results that both languages have, by the event.
var sharedResults = map[string]string{
	`{"order":"object"}`: `{"paid":true,"amount":12.5,"items":[{"name":"Zoë 東京 😀","n":2},null],"none":{}}`,
	`{"order":"list","Zoë":[1,2.5,{"b":1,"A":2,"10":0}]}`: `[1,"2",[false]]`,
	`{"order":"text"}`:                              `"{\"looks\": \"like JSON\"}"`,
	`{"order":"empty text"}`:                        `""`,
	`{"order":"number","amount":12.0}`:              `9007199254740991`,
	`{"order":"zero"}`:                              `0`,
	`{"order":"false"}`:                             `false`,
	`{"order":"null"}`:                              `null`,
	`{"order":"what looks like a failure of ours"}`: `{"$error":"declined"}`,
	`{"order":"what looks packed"}`:                 `{"$gzip":"H4sI"}`,
}

func sameJSON(a, b []byte) bool {
	x, errX := idempotency.CanonicalJSON(a)
	y, errY := idempotency.CanonicalJSON(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func TestWhatAFunctionInTypeScriptHasDoneIsReplayedInGo(t *testing.T) {
	t.Parallel()
	n, store := sharedTable(t)
	var calls []nodeCall
	for event, result := range sharedResults {
		calls = append(calls, nodeCall{Event: json.RawMessage(event), Result: json.RawMessage(result)})
	}
	undefined := nodeCall{Event: json.RawMessage(`{"order":"undefined"}`)}
	for i, outcome := range n.call(nil, append(calls, undefined)...) {
		if !outcome.Ran || outcome.Error != "" {
			t.Fatalf("call %d in TypeScript: %+v", i, outcome)
		}
	}
	undefined.Result = json.RawMessage("null")
	manager := sharing(t, store, idempotency.Config{})
	for _, call := range append(calls, undefined) {
		got, err := idempotency.Do(context.Background(), manager, call.Event, func(context.Context) (json.RawMessage, error) {
			return nil, errors.New("it ran again")
		})
		if err != nil || !sameJSON(got, call.Result) {
			t.Errorf("%s is replayed as %s, %v; want %s", call.Event, got, err, call.Result)
		}
	}
}

func TestWhatAFunctionInGoHasDoneIsReplayedInTypeScript(t *testing.T) {
	t.Parallel()
	n, store := sharedTable(t)
	manager := sharing(t, store, idempotency.Config{})
	var calls []nodeCall
	for event, result := range sharedResults {
		if sameJSON([]byte(result), []byte(`{"$gzip":"H4sI"}`)) || sameJSON([]byte(result), []byte(`{"$error":"declined"}`)) {
			continue // which this library packs
		}
		if _, err := idempotency.Do(context.Background(), manager, json.RawMessage(event), func(context.Context) (json.RawMessage, error) {
			return json.RawMessage(result), nil
		}); err != nil {
			t.Fatal(err)
		}
		calls = append(calls, nodeCall{json.RawMessage(event), json.RawMessage(result)})
	}
	for i, outcome := range n.call(nil, calls...) {
		if outcome.Ran || outcome.Error != "" || !sameJSON(outcome.Result, calls[i].Result) {
			t.Errorf("%s in TypeScript: %+v, %s; want a replay of %s", calls[i].Event, outcome, outcome.Result, calls[i].Result)
		}
	}
}

func TestAKeyAndAPayloadAreTheSameInGoAndTypeScript(t *testing.T) {
	t.Parallel()
	n, store := sharedTable(t)
	manager := sharing(t, store, idempotency.Config{Key: "[user, order]", Validation: "amount", RequireKey: true})
	config := map[string]any{"eventKeyJmesPath": "[user, order]", "payloadValidationJmesPath": "amount"}
	event := func(amount string) json.RawMessage {
		return json.RawMessage(`{"user":"u","order":7,"amount":` + amount + `}`)
	}
	in := func(payload json.RawMessage) (string, error) {
		return idempotency.Do(context.Background(), manager, payload, func(context.Context) (string, error) { return "from Go", nil })
	}

	n.call(config, nodeCall{event("12.50"), json.RawMessage(`"from TypeScript"`)})
	if got, err := in(event("12.5")); got != "from TypeScript" || err != nil {
		t.Errorf("in Go: %q, %v; want the result of TypeScript", got, err)
	}
	if _, err := in(event("13")); !errors.Is(err, idempotency.ErrPayloadMismatch) {
		t.Errorf("another amount in Go: %v; want ErrPayloadMismatch", err)
	}
	if outcome := n.call(config, nodeCall{event("13"), json.RawMessage(`1`)})[0]; outcome.Ran || outcome.Error != "IdempotencyValidationError" {
		t.Errorf("another amount in TypeScript: %+v", outcome)
	}
}

func TestARunInProgressInGoBarsTypeScript(t *testing.T) {
	t.Parallel()
	n, store := sharedTable(t)
	manager := sharing(t, store, idempotency.Config{})
	event := json.RawMessage(`{"order":7}`)
	_, err := idempotency.Do(context.Background(), manager, event, func(context.Context) (int, error) {
		if outcome := n.call(nil, nodeCall{event, json.RawMessage(`1`)})[0]; outcome.Ran || outcome.Error != "IdempotencyAlreadyInProgressError" {
			t.Errorf("in TypeScript: %+v", outcome)
		}
		return 0, errors.New("declined")
	})
	if err == nil || err.Error() != "declined" {
		t.Fatal(err)
	}
	if outcome := n.call(nil, nodeCall{event, json.RawMessage(`1`)})[0]; !outcome.Ran {
		t.Errorf("after the failure in Go: %+v; want a run", outcome)
	}
}
