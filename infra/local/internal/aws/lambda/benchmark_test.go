package lambda_test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
)

// reportPercentiles adds the median and the 99th percentile to a benchmark.
func reportPercentiles(b *testing.B, durations []time.Duration) {
	slices.Sort(durations)
	b.ReportMetric(float64(durations[len(durations)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(durations[len(durations)*99/100].Microseconds())/1000, "p99-ms")
}

func BenchmarkColdInvocation(b *testing.B) {
	var durations []time.Duration
	for b.Loop() {
		b.StopTimer()
		host := newHost(b, lambda.Config{}, echo())
		b.StartTimer()
		began := time.Now()
		invoke(b, host, `{}`)
		durations = append(durations, time.Since(began))
		b.StopTimer()
		host.Close()
		b.StartTimer()
	}
	reportPercentiles(b, durations)
}

func BenchmarkWarmInvocation(b *testing.B) {
	host := newHost(b, lambda.Config{}, echo())
	invoke(b, host, `{}`)
	var durations []time.Duration
	for b.Loop() {
		began := time.Now()
		invoke(b, host, `{"answer":1}`)
		durations = append(durations, time.Since(began))
	}
	reportPercentiles(b, durations)
}

func BenchmarkInvocationsAtOnce(b *testing.B) {
	host := newHost(b, lambda.Config{}, echo())
	b.SetParallelism(4)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := host.Invoke(context.Background(), "echo", []byte(`{"answer":1}`)); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "invocations/s")
}

func BenchmarkRequestThroughTheFunctionURL(b *testing.B) {
	url := urlServer(b, newHost(b, lambda.Config{}, echo()), lambda.URLConfig{})
	var durations []time.Duration
	for b.Loop() {
		began := time.Now()
		response, err := http.Post(url, "application/json", strings.NewReader(`{"answer":{"statusCode":204}}`))
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
		durations = append(durations, time.Since(began))
	}
	reportPercentiles(b, durations)
}
