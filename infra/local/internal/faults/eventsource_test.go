package faults_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda/eventsource"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/sqs"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/faults"
)

func TestWhatEventSourcesCallFailsAsTheServicesDo(t *testing.T) {
	done := 0
	queues := eventsource.QueuesFunc(func(context.Context, string, json.RawMessage) (json.RawMessage, error) {
		done++
		return json.RawMessage(`{}`), nil
	})
	functions := eventsource.FunctionsFunc(func(context.Context, string, []byte) (lambda.Result, error) {
		done++
		return lambda.Result{}, nil
	})
	both := func(settings faults.Settings) (ofQueue, ofFunction error) {
		injector := faults.New(settings)
		_, ofQueue = injector.Queues(queues).Call(t.Context(), "ReceiveMessage", nil)
		_, ofFunction = injector.Functions(functions).Invoke(t.Context(), "gateway", nil)
		return ofQueue, ofFunction
	}

	ofQueue, ofFunction := both(faults.Settings{Throttle: 1})
	var queueError *sqs.Error
	var functionError *lambda.Error
	if !errors.As(ofQueue, &queueError) || queueError.Code != "RequestThrottled" || !errors.As(ofFunction, &functionError) || functionError.StatusCode != 429 || done != 0 {
		t.Errorf("throttled, they got %v and %v after %d calls", ofQueue, ofFunction, done)
	}
	ofQueue, ofFunction = both(faults.Settings{Failed: 1})
	if !errors.As(ofQueue, &queueError) || queueError.Code != "InternalFailure" || queueError.StatusCode() != 500 ||
		!errors.As(ofFunction, &functionError) || functionError.Code != "ServiceException" || functionError.StatusCode != 500 || done != 0 {
		t.Errorf("failed, they got %v and %v after %d calls", ofQueue, ofFunction, done)
	}
	for i, settings := range []faults.Settings{{Lost: 1}, {Cut: 1}} {
		ofQueue, ofFunction = both(settings)
		if ofQueue == nil || errors.As(ofQueue, &queueError) || ofFunction == nil || errors.As(ofFunction, &functionError) || done != 2*i+2 {
			t.Errorf("with %v, they got %v and %v after %d calls, want errors that are not the services' after %d", settings, ofQueue, ofFunction, done, 2*i+2)
		}
	}
	ofQueue, ofFunction = both(faults.Settings{})
	if ofQueue != nil || ofFunction != nil || done != 6 {
		t.Errorf("without faults, they got %v and %v after %d calls", ofQueue, ofFunction, done)
	}
}

func TestASendMessageWhoseReplyIsLostAndThatIsSentAgainGivesTwoMessages(t *testing.T) {
	store := sqs.New(sqs.Config{})
	if err := store.Create(sqs.Queue{Name: "orders"}); err != nil {
		t.Fatal(err)
	}
	losing, requests := faults.New(faults.Settings{Lost: 1}).Handler(faults.SQS, store), 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests++; requests == 1 {
			losing.ServeHTTP(w, r)
		}
		store.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	client := awssqs.New(awssqs.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(server.URL), Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "example", ""),
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = time.Millisecond }),
	})
	queue := aws.String("http://aws.local/000000000000/orders")
	if _, err := client.SendMessage(t.Context(), &awssqs.SendMessageInput{QueueUrl: queue, MessageBody: aws.String("once")}); err != nil {
		t.Fatal(err)
	}
	out, err := client.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{QueueUrl: queue, MaxNumberOfMessages: 10})
	if err != nil || len(out.Messages) != 2 || *out.Messages[0].Body != "once" || *out.Messages[1].Body != "once" ||
		strings.EqualFold(*out.Messages[0].MessageId, *out.Messages[1].MessageId) {
		t.Errorf("got %+v %v, want the message twice, with two ids", out, err)
	}
}
