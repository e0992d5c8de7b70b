package dynamostore_test

import (
	"context"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/dynamostore"
)

// canned answers requests without a network: writes succeed, or an insert conflicts with a completed record.
type canned struct {
	conflict bool
	requests atomic.Int64
}

func (c *canned) Do(request *http.Request) (*http.Response, error) {
	c.requests.Add(1)
	_, _ = io.Copy(io.Discard, request.Body)
	status, body := 200, "{}"
	if c.conflict {
		status = 400
		body = `{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","Item":{"id":{"S":"r"},"status":{"S":"COMPLETED"},` +
			`"expiration":{"N":"` + strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10) + `"},"data":{"S":"7"},"owner":{"S":"o"}}}`
	}
	header := http.Header{}
	header.Set("Content-Type", "application/x-amz-json-1.0")
	header.Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(body))), 10))
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: request}, nil
}

// BenchmarkDo is what Do and the SDK add to a function that does nothing, without the network, and how often DynamoDB
// is asked.
func BenchmarkDo(b *testing.B) {
	for _, conflict := range []bool{false, true} {
		name := "first call"
		if conflict {
			name = "replay"
		}
		b.Run(name, func(b *testing.B) {
			link := &canned{conflict: conflict}
			client := dynamodb.New(dynamodb.Options{
				Region: "us-east-1", HTTPClient: link,
				Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
					return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
				}),
			})
			manager, err := idempotency.New(dynamostore.New(client, "table"), idempotency.Config{Prefix: "bench"})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			calls := 0
			for b.Loop() {
				calls++
				got, err := idempotency.Do(context.Background(), manager, "k", func(context.Context) (int, error) { return 7, nil })
				if got != 7 || err != nil {
					b.Fatal(got, err)
				}
			}
			b.ReportMetric(float64(link.requests.Load())/float64(calls), "requests/op")
		})
	}
}
