package stepfunctions_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
)

// BenchmarkStartSyncExecution runs executions with one Task, from several callers at once, in process and over HTTP.
func BenchmarkStartSyncExecution(b *testing.B) {
	s := stepfunctions.New(stepfunctions.Config{Lambda: asl.LambdaFunc(func(_ context.Context, _ string, payload []byte) (asl.Invocation, error) {
		return asl.Invocation{Payload: payload}, nil
	})})
	defer s.Close()
	if err := s.CreateStateMachine(stepfunctions.StateMachine{
		Name: "express", ARN: expressARN, Type: stepfunctions.Express, Definition: callFunction,
	}); err != nil {
		b.Fatal(err)
	}
	measure := func(b *testing.B, call func() error) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := call(); err != nil {
					b.Error(err)
					return
				}
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "executions/s")
	}
	b.Run("in process", func(b *testing.B) {
		measure(b, func() error {
			e, err := s.StartSyncExecution(context.Background(), expressARN, "", `{"a":1}`)
			if err == nil && e.Status != asl.Succeeded {
				err = fmt.Errorf("%+v", e)
			}
			return err
		})
	})
	b.Run("over HTTP", func(b *testing.B) {
		server := httptest.NewServer(s)
		defer server.Close()
		measure(b, func() error {
			request, err := http.NewRequest(http.MethodPost, server.URL, strings.NewReader(`{"stateMachineArn":"`+expressARN+`","input":"{\"a\":1}"}`))
			if err != nil {
				return err
			}
			request.Header.Set("X-Amz-Target", stepfunctions.TargetPrefix+"StartSyncExecution")
			response, err := server.Client().Do(request)
			if err != nil {
				return err
			}
			defer response.Body.Close()
			if response.StatusCode != http.StatusOK {
				return fmt.Errorf("the answer is %s", response.Status)
			}
			_, err = io.Copy(io.Discard, response.Body)
			return err
		})
	})
}
