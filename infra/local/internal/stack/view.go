package stack

import (
	"net/http"
	"net/http/httptest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution/executionstore"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudformation"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/executionview"
)

// View reads executions of the stack, and what its table keeps of asynchronous requests.
func (s *Stack) View() executionview.View {
	for _, f := range s.Template.Functions {
		table, prefix := f.Environment[message.TableVariable], f.Environment[message.RecordPrefixVariable]
		if f.Environment[message.AsyncMachineVariable] == "" || table == "" {
			continue
		}
		return executionview.View{Kept: executionstore.New(dynamodb.New(dynamodb.Options{
			Region:       cloudformation.Region,
			Credentials:  credentials.NewStaticCredentialsProvider("local", "local", ""), // of which nobody asks anything
			BaseEndpoint: aws.String("http://aws.local"),
			HTTPClient:   withoutNetwork{s.DynamoDB},
		}), table, prefix)}
	}
	return executionview.View{}
}

// withoutNetwork carries requests to a handler in this process, past all faults that are to be met.
type withoutNetwork struct{ handler http.Handler }

func (c withoutNetwork) Do(r *http.Request) (*http.Response, error) {
	answer := httptest.NewRecorder()
	c.handler.ServeHTTP(answer, r)
	return answer.Result(), nil
}
