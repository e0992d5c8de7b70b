package stack

import (
	"context"
	"net/http"
	"net/http/httptest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution/executionstore"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudformation"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/executionview"
)

// View reads executions of the stack, and what its tables keep of asynchronous requests.
func (s *Stack) View() executionview.View {
	client := dynamodb.New(dynamodb.Options{
		Region:       cloudformation.Region,
		Credentials:  credentials.NewStaticCredentialsProvider("local", "local", ""), // of which nobody asks anything
		BaseEndpoint: aws.String("http://aws.local"),
		HTTPClient:   withoutNetwork{s.DynamoDB},
	})
	var kept keptByEach
	for _, instance := range s.instances {
		table, prefix := instance.Environment[message.TableVariable], instance.Environment[message.RecordPrefixVariable]
		if instance.Environment[message.AsyncMachineVariable] != "" && table != "" {
			kept = append(kept, executionstore.New(client, table, prefix))
		}
	}
	if kept == nil {
		return executionview.View{}
	}
	return executionview.View{Kept: kept}
}

// keptByEach is what each instance keeps. The names of what is kept are drawn, so that no two instances have the same.
type keptByEach []*executionstore.Store

func (all keptByEach) Get(ctx context.Context, name string) (*execution.Execution, error) {
	return firstOf(all, func(one *executionstore.Store) (*execution.Execution, error) { return one.Get(ctx, name) })
}

func (all keptByEach) Request(ctx context.Context, name string) (*message.Request, error) {
	return firstOf(all, func(one *executionstore.Store) (*message.Request, error) { return one.Request(ctx, name) })
}

func (all keptByEach) Answer(ctx context.Context, part string) (*message.Envelope, error) {
	return firstOf(all, func(one *executionstore.Store) (*message.Envelope, error) { return one.Answer(ctx, part) })
}

// firstOf asks one after the other until one has it. The error is the last one's.
func firstOf[T any](all keptByEach, ask func(*executionstore.Store) (T, error)) (found T, err error) {
	for _, one := range all {
		if found, err = ask(one); err == nil {
			break
		}
	}
	return found, err
}

// withoutNetwork carries requests to a handler in this process, past all faults that are to be met.
type withoutNetwork struct{ handler http.Handler }

func (c withoutNetwork) Do(r *http.Request) (*http.Response, error) {
	answer := httptest.NewRecorder()
	c.handler.ServeHTTP(answer, r)
	return answer.Result(), nil
}
