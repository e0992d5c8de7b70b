//go:build !race

package triggers_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gateway/handler"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/dynamostore"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// An emptyTable is a DynamoDB that takes every record as the first of its key.
type emptyTable struct{ dynamostore.Client }

func (emptyTable) PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	return new(dynamodb.PutItemOutput), nil
}

// A listener is an engine that keeps what it is asked.
type listener struct{ call *message.Call }

func (l *listener) StartSyncExecution(_ context.Context, in *sfn.StartSyncExecutionInput, _ ...func(*sfn.Options)) (*sfn.StartSyncExecutionOutput, error) {
	var envelope message.Envelope
	if err := json.Unmarshal([]byte(*in.Input), &envelope); err != nil {
		return nil, err
	}
	l.call = envelope.Call
	return nil, errors.New("heard")
}

// taken hands an event to the gateway, and returns the request that it makes of it, without its key.
func taken(t *testing.T, event string) *message.Request {
	t.Helper()
	engine := new(listener)
	environment := map[string]string{"STATE_MACHINE_ARN": "arn", "PROXY_COUNT": "1", "TABLE_NAME": "records", "RECORD_PREFIX": "orders"}
	gateway, err := handler.New(func(name string) string { return environment[name] }, handler.Dependencies{
		Engine: engine, DynamoDB: emptyTable{}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	var members struct{ IdempotencyKey string }
	if err := json.Unmarshal([]byte(event), &members); err != nil {
		t.Fatalf("%v: %s", err, event)
	}
	var unanswered *handler.NoFinalAnswerError
	if _, err := gateway.Invoke(t.Context(), []byte(event)); !errors.As(err, &unanswered) || engine.call == nil {
		t.Fatalf("the gateway does not take %s: %v", event, err)
	}
	headers := engine.call.Request.Headers
	if headers["idempotency-key"] != members.IdempotencyKey || engine.call.Recorded != (members.IdempotencyKey != "") {
		t.Errorf("the key of %s is not taken as one: %v", event, headers)
	}
	delete(headers, "idempotency-key")
	delete(engine.call.Request.Headers, "via")
	return &engine.call.Request
}

func TestAScheduleSendsItsRequestOnceForEachTimeThatItIsDue(t *testing.T) {
	var target struct{ Input string }
	if err := json.Unmarshal(the(t, shopsResources()(t), "AWS::Scheduler::Schedule", "Nightly").Properties["Target"], &target); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(target.Input, `"idempotencyKey":"<aws.scheduler.schedule-arn> <aws.scheduler.scheduled-time>"`) {
		t.Errorf("the key is another one: %s", target.Input)
	}
	event := strings.NewReplacer(
		"<aws.scheduler.schedule-arn>", "arn:aws:scheduler:eu-central-1:123456789012:schedule/default/nightly",
		"<aws.scheduler.scheduled-time>", "2026-05-04T03:00:00Z",
	).Replace(target.Input)
	want := &message.Request{
		Method: "POST", Path: "/reports", Body: `{"at":"2026-05-04T03:00:00Z","n":5}`, Headers: map[string]string{"content-type": "application/json"},
	}
	if diff := cmp.Diff(want, taken(t, event)); diff != "" {
		t.Errorf("another request is sent (-want +got):\n%s", diff)
	}
}

// transformed makes of an event what EventBridge makes of it: the value of a variable stands in the template as JSON, and
// within a string without quotes.
func transformed(t *testing.T, template string, paths map[string]string, event map[string]string) string {
	t.Helper()
	return regexp.MustCompile(`"[^"]*"|<[^>]*>`).ReplaceAllStringFunc(template, func(part string) string {
		quoted := strings.HasPrefix(part, `"`)
		return regexp.MustCompile(`<[^>]*>`).ReplaceAllStringFunc(part, func(variable string) string {
			value, found := event[paths[strings.Trim(variable, "<>")]]
			if !found {
				t.Fatalf("%s stands for nothing in %v", variable, paths)
			}
			if quoted {
				value = strings.Trim(value, `"`)
			}
			return value
		})
	})
}

func TestARuleSendsItsRequestOnceForEachEvent(t *testing.T) {
	keys := map[string]bool{}
	for _, name := range []string{"Ordered", "Counted"} {
		var targets []struct {
			InputTransformer struct {
				InputPathsMap map[string]string
				InputTemplate string
			}
		}
		if err := json.Unmarshal(the(t, shopsResources()(t), "AWS::Events::Rule", name).Properties["Targets"], &targets); err != nil {
			t.Fatal(err)
		}
		event := transformed(t, targets[0].InputTransformer.InputTemplate, targets[0].InputTransformer.InputPathsMap, map[string]string{
			"$.id": `"7bf73129"`, "$.source": `"my shop"`, "$.detail.id": `"o 5"`, "$.detail": `{"id":"o 5","tea":2}`,
		})
		var members struct{ IdempotencyKey, FailOn string }
		if err := json.Unmarshal([]byte(event), &members); err != nil {
			t.Fatalf("%v: %s", err, event)
		}
		if !strings.HasSuffix(members.IdempotencyKey, " 7bf73129") || members.FailOn != "error" {
			t.Errorf("the event is %s", event)
		}
		keys[members.IdempotencyKey] = true
		want := &message.Request{
			Method: "PUT", Path: "/orders/o%205", Query: "from=my%20shop&tag=a&tag=b", Body: `{"id":"o 5","tea":2}`,
			Headers: map[string]string{"content-type": "application/json", "accept": "application/json"},
		}
		if diff := cmp.Diff(want, taken(t, event)); diff != "" {
			t.Errorf("another request is sent (-want +got):\n%s", diff)
		}
	}
	if len(keys) != 2 {
		t.Errorf("two rules have the keys %v for one event", keys)
	}
}

func TestATaskSendsItsRequest(t *testing.T) {
	var definition struct {
		FnJoin []json.RawMessage `json:"Fn::Join"`
	}
	if err := json.Unmarshal(the(t, shopsResources()(t), "AWS::StepFunctions::StateMachine", "Machine").Properties["DefinitionString"], &definition); err != nil {
		t.Fatal(err)
	}
	var parts []any
	if err := json.Unmarshal(definition.FnJoin[1], &parts); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, part := range parts {
		if s, ok := part.(string); ok {
			text.WriteString(s)
		}
	}
	var machine struct {
		States map[string]struct {
			Parameters map[string]any
			ResultPath *string
		}
	}
	if err := json.Unmarshal([]byte(text.String()), &machine); err != nil {
		t.Fatalf("%v: %s", err, text.String())
	}
	pay := machine.States["Pay"]
	if pay.ResultPath == nil || *pay.ResultPath != "$.paid" {
		t.Errorf("the result goes to %v", pay.ResultPath)
	}
	input := map[string]any{"$.orderId": "o-5", "$.payment": map[string]any{"pence": 100}}
	for name, value := range pay.Parameters { // as Step Functions does
		if plain, isPath := strings.CutSuffix(name, ".$"); isPath {
			delete(pay.Parameters, name)
			pay.Parameters[plain] = input[value.(string)]
		}
	}
	for state, want := range map[string]*message.Request{
		"Pay":    {Method: "POST", Path: "/payments", Body: `{"pence":100}`, Headers: map[string]string{"content-type": "application/json"}},
		"Notify": {Method: "POST", Path: "/notify", Body: "AP8=", IsBase64Encoded: true, Headers: map[string]string{}},
		"Look":   {Method: "GET", Path: "/orders", Headers: map[string]string{}},
	} {
		event, err := json.Marshal(machine.States[state].Parameters)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, taken(t, string(event))); diff != "" {
			t.Errorf("%s: another request is sent (-want +got):\n%s", state, diff)
		}
	}
	if machine.States["Pay"].Parameters["idempotencyKey"] != "o-5" {
		t.Errorf("the key is %v", machine.States["Pay"].Parameters)
	}
}
