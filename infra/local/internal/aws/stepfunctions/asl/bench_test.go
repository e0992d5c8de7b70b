package asl_test

import (
	"context"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
)

func BenchmarkParse(b *testing.B) {
	for name, definition := range map[string]string{"ring of 3": ring(3), "ring of 20": ring(20)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(definition)))
			for b.Loop() {
				if _, err := asl.Parse([]byte(definition)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkExecutions runs a ring of three that succeeds at the third proxy, after a wait, with bodies of several sizes.
func BenchmarkExecutions(b *testing.B) {
	for _, size := range []struct {
		name string
		n    int
	}{{"1 KiB", 1 << 10}, {"100 KiB", 100 << 10}} {
		b.Run(size.name, func(b *testing.B) {
			m := parse(b, ring(3))
			body := strings.Repeat("x", size.n)
			reply := func(outcome string) answer {
				return answer{payload: `{"outcome":"` + outcome + `","waitSeconds":1,"body":"` + body + `"}`}
			}
			input := []byte(`{"call":{"body":"` + body + `"},"answer":{"outcome":"failed"}}`)
			for b.Loop() {
				c := clock.NewVirtual(start)
				s := newScript(c, map[string][]answer{proxyARN(1): {reply("retry")}, proxyARN(2): {reply("retry")}, proxyARN(3): {reply("succeeded")}})
				r, err := m.Run(context.Background(), input, asl.Options{Clock: c, Lambda: s})
				if err != nil || r.Status != asl.Succeeded {
					b.Fatalf("%+v %v", r, err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "executions/s")
		})
	}
}
