package stack_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution/executionstore"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/recordformat"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/dynamodb"
)

// executionTable is a table of DynamoDB as the local stack plays it, with the AWS SDK in front of it. lose says of a request
// whether it is carried out and its reply lost.
func executionTable(t testing.TB, lose func(target string) bool) (*executionstore.Store, *sdk.Client) {
	t.Helper()
	store := dynamodb.New()
	if err := store.CreateTable(dynamodb.TableDefinition{Name: "records", PartitionKey: dynamodb.KeyAttribute{Name: "id", Type: "S"}, TTLAttribute: "expiration"}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		if lose == nil || !lose(operation) {
			store.ServeHTTP(w, r)
			return
		}
		store.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // a reply that is lost
	t.Cleanup(server.Close)
	client := sdk.New(sdk.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(server.URL), Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
	return executionstore.New(client, "records", "orders"), client
}

func anExecution() *execution.Execution {
	return &execution.Execution{
		Name: execution.Name("id"), State: execution.Running, Method: "POST", RequestID: "r", Created: 1, Deadline: 2, Expiration: time.Now().Add(time.Hour).Unix(),
		Record: &message.Record{ID: "orders#1", Owner: "me"},
	}
}

func TestAnExecutionIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	store, _ := executionTable(t, nil)
	x := anExecution()
	if err := store.Create(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	x.State, x.WaitingUntil, x.Begun = execution.Waiting, 7, &execution.Begun{Made: 1, Losses: 2, At: 3, Done: true}
	x.Attempts = []retry.Attempt{{Proxy: "proxy-1", Status: 429, Kind: retry.RateLimit, Why: "429"}}
	if err := store.Save(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	got, err := store.Get(t.Context(), x.Name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(x, got); diff != "" {
		t.Errorf("it is read as something else (-want +got):\n%s", diff)
	}
	if _, err := store.Get(t.Context(), execution.Name("another")); !errors.Is(err, execution.ErrNotFound) {
		t.Errorf("one that is not there is read with the error %v", err)
	}
	if err := store.Create(t.Context(), anExecution()); !errors.Is(err, execution.ErrChanged) {
		t.Errorf("one that is there is created with the error %v", err)
	}
}

func TestOfManyWhoWriteAnExecutionOneDecides(t *testing.T) {
	t.Parallel()
	store, _ := executionTable(t, nil)
	if err := store.Create(t.Context(), anExecution()); err != nil {
		t.Fatal(err)
	}
	var decided atomic.Int32
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			x, err := store.Get(context.Background(), execution.Name("id"))
			if err != nil {
				t.Error(err)
				return
			}
			if x.Revision != 1 {
				return // too late
			}
			x.State = execution.Stopped
			switch err := store.Save(context.Background(), x); {
			case err == nil:
				decided.Add(1)
			case !errors.Is(err, execution.ErrChanged):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if decided.Load() != 1 {
		t.Errorf("%d have decided, want one", decided.Load())
	}
}

func TestAWriteWhoseReplyIsLostHasNotFailed(t *testing.T) {
	t.Parallel()
	var lost atomic.Bool
	store, _ := executionTable(t, func(operation string) bool { return operation == "PutItem" && lost.CompareAndSwap(false, true) })
	x := anExecution()
	if err := store.Create(t.Context(), x); err != nil || x.Revision != 1 {
		t.Fatalf("Create: revision %d, error %v", x.Revision, err)
	}
	lost.Store(false)
	x.State = execution.Waiting
	if err := store.Save(t.Context(), x); err != nil || x.Revision != 2 {
		t.Fatalf("Save: revision %d, error %v", x.Revision, err)
	}
	if got, err := store.Get(t.Context(), x.Name); err != nil || got.Revision != 2 || got.State != execution.Waiting {
		t.Errorf("it is %+v, error %v", got, err)
	}
}

func TestNobodyWritesAnExecutionThatTheStateMachineHasGivenUp(t *testing.T) {
	t.Parallel()
	store, client := executionTable(t, nil)
	x := anExecution()
	if err := store.Create(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	lost := `{"version":2,"outcome":"retry","call":{"execution":"x","deadline":1,"made":3},"losses":{"count":2,"allowed":1,"proxy":"proxy-2","error":"States.Timeout"}}`
	_, err := client.UpdateItem(t.Context(), &sdk.UpdateItemInput{
		TableName: aws.String("records"), Key: map[string]types.AttributeValue{recordformat.ID: &types.AttributeValueMemberS{Value: execution.ItemID("orders", x.Name)}},
		UpdateExpression: aws.String("SET #lost = :lost"), ExpressionAttributeNames: map[string]string{"#lost": message.LostAttribute},
		ExpressionAttributeValues: map[string]types.AttributeValue{":lost": &types.AttributeValueMemberS{Value: lost}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Save(t.Context(), x); !errors.Is(err, execution.ErrChanged) {
		t.Errorf("it is written with the error %v", err)
	}
	if got, err := store.Get(t.Context(), x.Name); err != nil || got.Lost == nil || got.Lost.Call.Made != 3 || got.Lost.Losses.Proxy != "proxy-2" {
		t.Errorf("it is read as %+v, error %v", got, err)
	}
}

func TestPartsAreKeptUpToTheirLimitAndNotBeyond(t *testing.T) {
	t.Parallel()
	store, _ := executionTable(t, nil)
	const until = 4_000_000_000
	// The worst cases: what JSON escapes, and what is not text.
	for name, body := range map[string]string{"quotes": strings.Repeat(`"`, 153_000), "bytes": strings.Repeat("\x00", 229_000), "text": strings.Repeat("é", 153_000)} {
		r := &message.Request{Method: "POST", Path: "/"}
		r.SetBody([]byte(body))
		if err := store.PutRequest(t.Context(), name, r, until); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := store.Request(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if content, err := got.BodyBytes(); err != nil || string(content) != body {
			t.Errorf("%s: %d bytes come back, error %v", name, len(content), err)
		}
		r.SetBody([]byte(body + body[:2_000]))
		if err := store.PutRequest(t.Context(), name, r, until); !errors.Is(err, execution.ErrTooLarge) {
			t.Errorf("%s: two thousand more are kept with the error %v", name, err)
		}
	}
	answer := message.Answer("r", retry.Succeeded, "", message.Response{StatusCode: 200, Body: "made"}, nil)
	part, err := store.PutAnswer(t.Context(), "n", 3, answer, until)
	if err != nil || part != "answer:n:3" {
		t.Fatalf("the part is %q, error %v", part, err)
	}
	if got, err := store.Answer(t.Context(), part); err != nil || got.Body != "made" || got.StatusCode != 200 {
		t.Errorf("the answer is %+v, error %v", got, err)
	}
	if _, err := store.Answer(t.Context(), "answer:n:4"); !errors.Is(err, execution.ErrNotFound) {
		t.Errorf("what is not there is read with the error %v", err)
	}
}

func TestARecordIsLockedForItsOwnerOnly(t *testing.T) {
	t.Parallel()
	store, client := executionTable(t, nil)
	put := func(status string) {
		_, err := client.PutItem(t.Context(), &sdk.PutItemInput{TableName: aws.String("records"), Item: map[string]types.AttributeValue{
			"id": &types.AttributeValueMemberS{Value: "orders#1"}, "owner": &types.AttributeValueMemberS{Value: "me"},
			"status": &types.AttributeValueMemberS{Value: status}, "expiration": &types.AttributeValueMemberN{Value: "1"},
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	until := time.UnixMilli(1_700_000_000_123)
	put("INPROGRESS")
	if err := store.HoldRecord(t.Context(), message.Record{ID: "orders#1", Owner: "me"}, until); err != nil {
		t.Error(err)
	}
	out, err := client.GetItem(t.Context(), &sdk.GetItemInput{TableName: aws.String("records"), Key: map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "orders#1"}}})
	if err != nil {
		t.Fatal(err)
	}
	if lease := out.Item["in_progress_expiration"].(*types.AttributeValueMemberN).Value; lease != "1700000000123" {
		t.Errorf("it is locked until %s", lease)
	}
	if expiration := out.Item["expiration"].(*types.AttributeValueMemberN).Value; expiration != "1700000001" {
		t.Errorf("it expires at %s, and must not before its lease ends", expiration)
	}
	if err := store.HoldRecord(t.Context(), message.Record{ID: "orders#1", Owner: "another"}, until); !errors.Is(err, execution.ErrChanged) {
		t.Errorf("somebody else locks it with the error %v", err)
	}
	put("COMPLETED")
	if err := store.HoldRecord(t.Context(), message.Record{ID: "orders#1", Owner: "me"}, until); !errors.Is(err, execution.ErrChanged) {
		t.Errorf("a completed one is locked with the error %v", err)
	}
}
