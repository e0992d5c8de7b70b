package redrive_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/redrive"
)

// A queue hands each of its messages out once, unless they are made visible again, and deletes what it is told to.
type queue struct {
	bodies    []string
	next      int
	deleted   []string
	visible   []string
	undeleted bool                 // it fails to delete
	broken    bool                 // it fails to hand out
	sent      map[string]time.Time // by the body; zero for long ago
}

func (q *queue) ReceiveMessage(_ context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	if q.broken {
		return nil, errors.New("throttled")
	}
	out := new(sqs.ReceiveMessageOutput)
	for ; q.next < len(q.bodies) && len(out.Messages) < 2; q.next++ {
		id := strconv.Itoa(q.next)
		m := types.Message{MessageId: &id, ReceiptHandle: aws.String("handle-" + id), Body: &q.bodies[q.next]}
		if slices.Contains(in.MessageSystemAttributeNames, "SentTimestamp") {
			m.Attributes = map[string]string{"SentTimestamp": strconv.FormatInt(q.sent[*m.Body].UnixMilli(), 10)}
		}
		out.Messages = append(out.Messages, m)
	}
	return out, nil
}

func (q *queue) DeleteMessage(_ context.Context, in *sqs.DeleteMessageInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageOutput, error) {
	if q.undeleted {
		return nil, errors.New("throttled")
	}
	q.deleted = append(q.deleted, *in.ReceiptHandle)
	return new(sqs.DeleteMessageOutput), nil
}

func (q *queue) ChangeMessageVisibility(_ context.Context, in *sqs.ChangeMessageVisibilityInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error) {
	if in.VisibilityTimeout == 0 {
		q.visible = append(q.visible, *in.ReceiptHandle)
	}
	return new(sqs.ChangeMessageVisibilityOutput), nil
}

// A gateway answers events by the execution in them.
type gateway struct {
	answers map[string]*lambda.InvokeOutput
	events  []string
	at      []string
}

func (g *gateway) Invoke(_ context.Context, in *lambda.InvokeInput, _ ...func(*lambda.Options)) (*lambda.InvokeOutput, error) {
	g.events = append(g.events, string(in.Payload))
	g.at = append(g.at, aws.ToString(in.FunctionName)+" "+aws.ToString(in.Qualifier))
	var event struct{ Redrive struct{ Execution string } }
	if err := json.Unmarshal(in.Payload, &event); err != nil {
		return nil, err
	}
	answer := g.answers[event.Redrive.Execution]
	if answer == nil {
		return nil, errors.New("no route to host")
	}
	return answer, nil
}

func answered(text string) *lambda.InvokeOutput { return &lambda.InvokeOutput{Payload: []byte(text)} }

func letter(execution string) string {
	return `{"version":1,"execution":"` + execution + `","item":"orders#execution:` + execution + `","summary":{"reason":"AttemptsExhausted","maybeProcessed":true}}`
}

func newQueue() *queue {
	return &queue{bodies: []string{letter("a"), `{"method":"GET"}`, letter("b"), "no JSON", letter("c"), letter("d"), letter("e")}}
}

func newGateway() *gateway {
	return &gateway{answers: map[string]*lambda.InvokeOutput{
		"a": answered(`{"status":"started"}`),
		"b": answered(`{"status":"settled"}`),
		"c": {FunctionError: aws.String("Unhandled"), Payload: []byte(`{"errorType":"RedriveError","errorMessage":"unsafe: look there first"}`)},
		"e": answered(`"hello"`),
	}}
}

func TestEachLetterIsRedrivenAndDeletedAndWhatCouldNotBeStaysAndCanBeSeenAtOnce(t *testing.T) {
	q, g := newQueue(), newGateway()
	var told []string
	result, err := redrive.Run(t.Context(), redrive.Options{
		Queue: q, QueueURL: "http://q/1/letters", Functions: g, Gateway: "orders-gateway:live",
		Told: func(l message.DeadLetter, outcome string, err error) {
			text := l.Execution + " " + outcome
			if err != nil {
				text += err.Error()
			}
			told = append(told, text)
		},
	})
	if err != nil || result != (redrive.Result{Started: 1, Settled: 1, Left: 5}) {
		t.Errorf("it does %+v, error %v", result, err)
	}
	if want := []string{"handle-0", "handle-2"}; !slices.Equal(q.deleted, want) {
		t.Errorf("deleted are %v, want %v", q.deleted, want)
	}
	if want := []string{"handle-1", "handle-3", "handle-4", "handle-5", "handle-6"}; !slices.Equal(q.visible, want) {
		t.Errorf("visible again are %v, want %v", q.visible, want)
	}
	for i, want := range []string{"a started", "the message 1 is no dead letter", "b settled", "the message 3 is no dead letter", "RedriveError: unsafe: look there first", "no route to host", "no JSON"} {
		if i >= len(told) || !strings.Contains(told[i], want) {
			t.Errorf("told are %q, want %q at %d", told, want, i)
		}
	}
	if g.events[0] != `{"redrive":{"execution":"a","item":"orders#execution:a","resend":false}}` || g.at[0] != "orders-gateway live" {
		t.Errorf("the gateway %s is handed %s", g.at[0], g.events[0])
	}
}

func TestOneLetterIsRedrivenAndTheOthersAreLeftAsTheyAre(t *testing.T) {
	q, g := newQueue(), newGateway()
	q.bodies = []string{letter("a"), letter("b"), letter("c")}
	result, err := redrive.Run(t.Context(), redrive.Options{
		Queue: q, QueueURL: "http://q/1/letters", Functions: g, Gateway: "arn:aws:lambda:eu-central-1:123456789012:function:orders:live", Execution: "b", Resend: true,
	})
	if err != nil || result != (redrive.Result{Settled: 1}) || len(g.events) != 1 || !strings.Contains(g.events[0], `"resend":true`) || len(q.visible) != 2 {
		t.Errorf("it does %+v, error %v, with %v", result, err, g.events)
	}
	if g.at[0] != "arn:aws:lambda:eu-central-1:123456789012:function:orders:live " {
		t.Errorf("the gateway is %q", g.at[0])
	}
}

func TestALetterThatCannotBeDeletedIsLeft(t *testing.T) {
	q, g := newQueue(), newGateway()
	q.bodies, q.undeleted = q.bodies[:1], true
	result, err := redrive.Run(t.Context(), redrive.Options{Queue: q, Functions: g, Gateway: "g"})
	if err != nil || result != (redrive.Result{Left: 1}) {
		t.Errorf("it does %+v, error %v", result, err)
	}
}

func TestAQueueThatCannotBeReadIsAnError(t *testing.T) {
	if _, err := redrive.Run(t.Context(), redrive.Options{Queue: &queue{broken: true}, Functions: newGateway(), Gateway: "g"}); err == nil || !strings.Contains(err.Error(), "could not be received: throttled") {
		t.Errorf("the error is %v", err)
	}
}

// failing is a gateway whose requests fail at once, so that there is a new letter for each that it starts.
type failing struct {
	queue   *queue
	started int
}

func (f *failing) Invoke(context.Context, *lambda.InvokeInput, ...func(*lambda.Options)) (*lambda.InvokeOutput, error) {
	f.started++
	next := "a-" + strconv.Itoa(f.started)
	f.queue.bodies = append(f.queue.bodies, letter(next))
	return answered(`{"status":"started","execution":"` + next + `"}`), nil
}

func TestARedriveEndsAlthoughTheUpstreamStillFails(t *testing.T) {
	q := &queue{bodies: []string{letter("a")}}
	g := &failing{queue: q}
	var last error
	result, err := redrive.Run(t.Context(), redrive.Options{Queue: q, Functions: g, Gateway: "g", Told: func(_ message.DeadLetter, _ string, err error) { last = err }})
	if err != nil || result != (redrive.Result{Started: 1, Left: 1}) || g.started != 1 || !errors.Is(last, redrive.ErrFailedAgain) {
		t.Errorf("it does %+v, error %v, last of them %v", result, err, last)
	}
}

func TestALetterThatComesMeanwhileIsLeftForTheNextRun(t *testing.T) {
	noon := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	q := &queue{bodies: []string{letter("a"), letter("b")}, sent: map[string]time.Time{letter("a"): noon, letter("b"): noon.Add(time.Millisecond)}}
	var last error
	result, err := redrive.Run(t.Context(), redrive.Options{
		Queue: q, Functions: newGateway(), Gateway: "g", Now: func() time.Time { return noon },
		Told: func(_ message.DeadLetter, _ string, err error) { last = err },
	})
	if err != nil || result != (redrive.Result{Started: 1, Left: 1}) || !errors.Is(last, redrive.ErrNewer) || !slices.Equal(q.visible, []string{"handle-1"}) {
		t.Errorf("it does %+v, error %v, last of them %v", result, err, last)
	}
}

func TestARedriveEndsAlthoughLettersKeepComing(t *testing.T) {
	noon := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	q := &queue{sent: map[string]time.Time{}}
	for i := range 1000 {
		body := letter("new-" + strconv.Itoa(i))
		q.bodies, q.sent[body] = append(q.bodies, body), noon.Add(time.Second)
	}
	q.bodies[5] = letter("a") // of before
	result, err := redrive.Run(t.Context(), redrive.Options{Queue: q, Functions: newGateway(), Gateway: "g", Now: func() time.Time { return noon }})
	if err != nil || result.Started != 1 || q.next > 20 || result.Left+1 != q.next {
		t.Errorf("it does %+v after %d letters, error %v", result, q.next, err)
	}
}
