package faults_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/faults"
)

// functions invokes functions of which nothing is known but how often they ran.
type functions struct{ ran int }

func (f *functions) Invoke(context.Context, string, []byte) (asl.Invocation, error) {
	f.ran++
	return asl.Invocation{Payload: []byte(`"done"`)}, nil
}

// fate says in a word what came of an invocation.
func fate(f *functions, invoke asl.Lambda) string {
	before := f.ran
	_, err := invoke.Invoke(context.Background(), "proxy-1", nil)
	var refused *asl.ServiceError
	switch ran := f.ran > before; {
	case errors.As(err, &refused) && !ran:
		return refused.Code
	case err != nil && ran:
		return "lost"
	case err == nil && ran:
		return "done"
	default:
		return fmt.Sprint("ran ", ran, ", ", err)
	}
}

func TestSharesAreKept(t *testing.T) {
	f := &functions{}
	invoke := faults.New(faults.Settings{Throttle: 0.1, Lost: 0.2, Slow: 0.3, Seed: 7}).Lambda(f)
	count := map[string]int{}
	const n = 20_000
	for range n {
		count[fate(f, invoke)]++
	}
	for what, share := range map[string]float64{"TooManyRequestsException": 0.1, "lost": 0.2, "done": 0.7} {
		if got := float64(count[what]) / n; math.Abs(got-share) > 0.02 {
			t.Errorf("%s came of %.3f of the calls, want %.1f; all: %v", what, got, share, count)
		}
	}
}

func TestTheSeedDeterminesWhatComesOfACall(t *testing.T) {
	draw := func(seed uint64, between func(*faults.Injector)) string {
		f := &functions{}
		injector := faults.New(faults.Settings{Throttle: 0.3, Lost: 0.3, Seed: seed})
		invoke := injector.Lambda(f)
		var all []string
		for range 50 {
			all = append(all, fate(f, invoke))
			between(injector)
		}
		return strings.Join(all, " ")
	}
	alone := draw(7, func(*faults.Injector) {})
	beside := draw(7, func(i *faults.Injector) {
		_, _ = i.DynamoDB(asl.DynamoDBFunc(func(context.Context, json.RawMessage) (json.RawMessage, error) { return nil, nil })).UpdateItem(context.Background(), nil)
	})
	if alone != beside {
		t.Errorf("with the same seed and calls of another service between them, the calls met\n%s, want\n%s", beside, alone)
	}
	if other := draw(8, func(*faults.Injector) {}); alone == other {
		t.Error("with another seed the calls met the same faults")
	}
}

func TestAServiceThatIsNamedHasItsOwnSharesAndNoOthers(t *testing.T) {
	written, f := 0, &functions{}
	tables := asl.DynamoDBFunc(func(context.Context, json.RawMessage) (json.RawMessage, error) {
		written++
		return nil, nil
	})
	settings, err := faults.Parse("dynamodb.throttle=0.5,seed=7")
	if err != nil {
		t.Fatal(err)
	}
	injector := faults.New(settings)
	invoke, update := injector.Lambda(f), injector.DynamoDB(tables)
	endpoint, refused := injector.Handler(faults.DynamoDB, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})), 0
	const n = 2_000
	for range n {
		_, _ = invoke.Invoke(t.Context(), "proxy-1", nil)
		_, _ = update.UpdateItem(t.Context(), nil)
		w := httptest.NewRecorder()
		if endpoint.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil)); w.Code == http.StatusBadRequest {
			refused++
		}
	}
	if f.ran != n || written < 900 || written > 1_100 || refused < 900 || refused > 1_100 {
		t.Errorf("of %d calls each, %d functions ran, %d writes of the state machine were made and %d at the endpoint refused; want all, half and half", n, f.ran, written, refused)
	}

	if settings, err = faults.Parse("throttle=1,dynamodb.lost=0"); err != nil {
		t.Fatal(err)
	}
	injector = faults.New(settings)
	if _, err := injector.DynamoDB(tables).UpdateItem(t.Context(), nil); err != nil || fate(f, injector.Lambda(f)) != "TooManyRequestsException" {
		t.Errorf("with everything but DynamoDB throttled, a write got %v, and a function was not throttled", err)
	}
}

func TestASlowCallIsHeldUpUnlessItsCallerLeaves(t *testing.T) {
	f := &functions{}
	began := time.Now()
	if _, err := faults.New(faults.Settings{Slow: 1, Delay: 50 * time.Millisecond}).Lambda(f).Invoke(t.Context(), "", nil); err != nil || f.ran != 1 {
		t.Errorf("the function ran %d times, %v", f.ran, err)
	}
	if took := time.Since(began); took < 50*time.Millisecond {
		t.Errorf("it took %v, want 50ms or more", took)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := faults.New(faults.Settings{Slow: 1, Delay: time.Hour}).Lambda(f).Invoke(ctx, "", nil)
	if !errors.Is(err, context.Canceled) || f.ran != 1 {
		t.Errorf("the caller that left got %v, and the function ran %d times in all", err, f.ran)
	}
}

func TestAWriteWhoseReplyIsLostIsDone(t *testing.T) {
	written := 0
	tables := asl.DynamoDBFunc(func(context.Context, json.RawMessage) (json.RawMessage, error) {
		written++
		return json.RawMessage(`{}`), nil
	})
	_, err := faults.New(faults.Settings{Lost: 1}).DynamoDB(tables).UpdateItem(t.Context(), nil)
	var refused *asl.ServiceError
	if err == nil || errors.As(err, &refused) || written != 1 {
		t.Errorf("the error is %v after %d writes, want one that is not the service's after 1", err, written)
	}
	_, err = faults.New(faults.Settings{Cut: 1}).DynamoDB(tables).UpdateItem(t.Context(), nil)
	if err == nil || errors.As(err, &refused) || written != 2 {
		t.Errorf("where the reply is cut, the error is %v after %d writes, want one that is not the service's after 2", err, written)
	}
	_, err = faults.New(faults.Settings{Failed: 1}).DynamoDB(tables).UpdateItem(t.Context(), nil)
	if !errors.As(err, &refused) || refused.Code != "InternalServerError" || refused.StatusCode != 500 || written != 2 {
		t.Errorf("the error is %v after %d writes, want an InternalServerError, and no further write", err, written)
	}
	_, err = faults.New(faults.Settings{Throttle: 1}).DynamoDB(tables).UpdateItem(t.Context(), nil)
	if !errors.As(err, &refused) || refused.Code != "ThrottlingException" || refused.StatusCode != 400 || written != 2 {
		t.Errorf("the error is %v after %d writes, want a ThrottlingException, and no further write", err, written)
	}
}

// A call is one of a service, and the errors by which that throttles and fails.
type call struct {
	throttled, failed string
	send              func(context.Context) error
}

// calls are one of each service, by its SDK, which sends it once.
func calls(endpoint string) map[string]call {
	keys := credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "example", "")
	base, name := aws.String(endpoint), aws.String("example")
	return map[string]call{
		"Lambda": {"TooManyRequestsException: Rate exceeded", "ServiceException: An error occurred and the request cannot be processed.", func(ctx context.Context) error {
			client := awslambda.New(awslambda.Options{Region: "us-east-1", Credentials: keys, BaseEndpoint: base, RetryMaxAttempts: 1})
			_, err := client.Invoke(ctx, &awslambda.InvokeInput{FunctionName: name})
			return err
		}},
		"Step Functions": {"ThrottlingException: Rate exceeded", "InternalFailure: Internal error", func(ctx context.Context) error {
			client := sfn.New(sfn.Options{Region: "us-east-1", Credentials: keys, BaseEndpoint: base, RetryMaxAttempts: 1})
			_, err := client.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: name})
			return err
		}},
		"DynamoDB": {"ThrottlingException: Rate of requests exceeds the allowed throughput.",
			"InternalServerError: The request processing has failed because of an unknown error, exception or failure.",
			func(ctx context.Context) error {
				client := awsdynamodb.New(awsdynamodb.Options{Region: "us-east-1", Credentials: keys, BaseEndpoint: base, RetryMaxAttempts: 1})
				_, err := client.DescribeTable(ctx, &awsdynamodb.DescribeTableInput{TableName: name})
				return err
			}},
		"SQS": {"RequestThrottled: Rate exceeded",
			"InternalFailure: The request processing has failed because of an unknown error, exception or failure.",
			func(ctx context.Context) error {
				client := awssqs.New(awssqs.Options{Region: "us-east-1", Credentials: keys, BaseEndpoint: base, RetryMaxAttempts: 1})
				_, err := client.SendMessage(ctx, &awssqs.SendMessageInput{QueueUrl: name, MessageBody: name})
				return err
			}},
		"Secrets Manager": {"ThrottlingException: Rate exceeded", "InternalServiceError: An error occurred on the server side.", func(ctx context.Context) error {
			client := secretsmanager.New(secretsmanager.Options{Region: "us-east-1", Credentials: keys, BaseEndpoint: base, RetryMaxAttempts: 1})
			_, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: name})
			return err
		}},
		"S3": {"SlowDown: Please reduce your request rate.", "InternalError: We encountered an internal error. Please try again.", func(ctx context.Context) error {
			client := s3.New(s3.Options{Region: "us-east-1", Credentials: keys, BaseEndpoint: base, UsePathStyle: true, RetryMaxAttempts: 1})
			got, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: name, Key: name})
			if err != nil {
				return err
			}
			defer got.Body.Close()
			_, err = io.ReadAll(got.Body)
			return err
		}},
	}
}

// behind serves a service behind faults, and counts what is done.
func behind(t *testing.T, settings faults.Settings) (endpoint string, done *atomic.Int32) {
	t.Helper()
	done = new(atomic.Int32)
	work := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		done.Add(1)
		_, _ = io.WriteString(w, "{}")
	})
	injector := faults.New(settings)
	byTarget := func(w http.ResponseWriter, r *http.Request) {
		service := faults.Lambda
		switch target := r.Header.Get("X-Amz-Target"); {
		case strings.HasPrefix(target, "AWSStepFunctions."):
			service = faults.StepFunctions
		case strings.HasPrefix(target, "DynamoDB_"):
			service = faults.DynamoDB
		case strings.HasPrefix(target, "AmazonSQS."):
			service = faults.SQS
		case strings.HasPrefix(target, "secretsmanager."):
			service = faults.SecretsManager
		case r.URL.Path == "/example/example":
			service = faults.S3
		}
		injector.Handler(service, work).ServeHTTP(w, r)
	}
	server := httptest.NewServer(http.HandlerFunc(byTarget))
	t.Cleanup(server.Close)
	return server.URL, done
}

func TestSDKsUnderstandTheErrorsOfServices(t *testing.T) {
	for fault, settings := range map[string]faults.Settings{"throttles": {Throttle: 1}, "fails": {Failed: 1}} {
		endpoint, done := behind(t, settings)
		for service, call := range calls(endpoint) {
			want := call.throttled
			if settings.Failed == 1 {
				want = call.failed
			}
			var refused smithy.APIError
			if err := call.send(t.Context()); !errors.As(err, &refused) || refused.ErrorCode()+": "+refused.ErrorMessage() != want {
				t.Errorf("where %s %s, the error is %v, want %s", service, fault, err, want)
			}
		}
		if n := done.Load(); n != 0 {
			t.Errorf("%d calls were carried out", n)
		}
	}
}

func TestTheAnswerToAHEADHasNoBodyWhereS3Throttles(t *testing.T) {
	w := httptest.NewRecorder()
	faults.New(faults.Settings{Throttle: 1}).Handler(faults.S3, http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(http.MethodHead, "/b/k", nil))
	if w.Code != http.StatusServiceUnavailable || w.Body.Len() != 0 {
		t.Errorf("the answer is %d with %d bytes, want 503 with none", w.Code, w.Body.Len())
	}
}

func TestAReplyThatIsCutBreaksOffInTheMiddleAfterTheWorkWasDone(t *testing.T) {
	done := false
	work := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		done = true
		w.Header().Set("ETag", `"1"`)
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "12345678")
	})
	server := httptest.NewServer(faults.New(faults.Settings{Cut: 1}).Handler(faults.S3, work))
	defer server.Close()
	response, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if !done || response.StatusCode != http.StatusCreated || response.Header.Get("ETag") != `"1"` || response.ContentLength != 8 ||
		string(body) != "1234" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %d of %d bytes, %q and then %v, want 201 of 8 bytes, 1234 and then an end too early", response.StatusCode, response.ContentLength, body, err)
	}
}

func TestALostReplyEndsTheConnectionAfterTheWorkWasDone(t *testing.T) {
	for _, settings := range []faults.Settings{{Lost: 1}, {Cut: 1}} {
		endpoint, done := behind(t, settings)
		n := int32(0)
		for service, call := range calls(endpoint) {
			n++
			var refused smithy.APIError
			if err := call.send(t.Context()); err == nil || errors.As(err, &refused) || done.Load() != n {
				t.Errorf("with %s and %v, services were called %d times so far, want %d, and the error is %v", service, settings, done.Load(), n, err)
			}
		}
	}
}

func TestAStartWhoseReplyIsLostIsDone(t *testing.T) {
	started := 0
	own := asl.StepFunctionsFunc(func(context.Context, json.RawMessage) (json.RawMessage, error) {
		started++
		return json.RawMessage(`{}`), nil
	})
	_, err := faults.New(faults.Settings{Lost: 1}).StepFunctions(own).StartExecution(t.Context(), nil)
	var refused *asl.ServiceError
	if err == nil || errors.As(err, &refused) || started != 1 {
		t.Errorf("the error is %v after %d starts, want one that is not the service's after 1", err, started)
	}
	_, err = faults.New(faults.Settings{Throttle: 1}).StepFunctions(own).StartExecution(t.Context(), nil)
	if !errors.As(err, &refused) || refused.Code != "ThrottlingException" || started != 1 {
		t.Errorf("the error is %v after %d starts, want a ThrottlingException, and no further start", err, started)
	}
	if _, err = faults.New(faults.Settings{}).StepFunctions(own).StartExecution(t.Context(), nil); err != nil || started != 2 {
		t.Errorf("without faults the error is %v after %d starts", err, started)
	}
}
