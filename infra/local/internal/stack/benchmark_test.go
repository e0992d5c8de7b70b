package stack_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
)

// BenchmarkRequestThroughTheWholeStack measures requests from caller to upstream and back: function URL, gateway, state
// machine, proxy. Each needs one attempt.
func BenchmarkRequestThroughTheWholeStack(b *testing.B) {
	for _, c := range []struct {
		name  string
		retry bool
	}{{"OneAttempt", false}, {"TwoAttempts", true}} {
		b.Run(c.name, func(b *testing.B) {
			addresses := severalAddresses(b)
			url := serve(b, func(w http.ResponseWriter, r *http.Request) {
				if c.retry && strings.HasPrefix(r.RemoteAddr, "127.0.0.2:") {
					status(http.StatusTooManyRequests)(w, r)
					return
				}
				status(http.StatusOK)(w, r)
			})
			s := start(b, url, addresses)
			get(b, s, "/") // the cold start
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if a := get(b, s, "/"); a.Status != http.StatusOK {
						b.Errorf("the answer is %d %s", a.Status, a.Body)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "executions/s")
		})
	}
}

// BenchmarkReplay measures requests that are answered from their record: function URL, gateway, table.
func BenchmarkReplay(b *testing.B) {
	s := start(b, serve(b, status(http.StatusCreated)))
	order(b, s, "{}")
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if a := order(b, s, "{}"); !a.replayed() {
				b.Errorf("the answer is %d %s", a.Status, a.Body)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "replays/s")
}

// BenchmarkStart measures from the start of the stack until it is ready, and the cold starts that the first request then
// meets: of the gateway and of one proxy, from the start of the process to its first request for work.
func BenchmarkStart(b *testing.B) {
	url := serve(b, status(http.StatusOK))
	var mu sync.Mutex
	cold := map[string]time.Duration{}
	log := logged(func(e lambda.LogEvent) {
		if e.Type == lambda.LogReport && e.Report.InitDuration > 0 {
			mu.Lock()
			defer mu.Unlock()
			cold[e.Function] += e.Report.InitDuration
		}
	})
	if _, err := ring(); err != nil {
		b.Fatal(err)
	}
	var ready, first time.Duration
	for b.Loop() {
		began := time.Now()
		s := start(b, url, log)
		ready += time.Since(began)
		began = time.Now()
		get(b, s, "/")
		first += time.Since(began)
		s.Close()
	}
	mu.Lock()
	defer mu.Unlock()
	each := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 / float64(b.N) }
	b.ReportMetric(each(ready), "ms-until-ready")
	b.ReportMetric(each(first), "ms-first-request")
	for function, d := range cold {
		if strings.HasSuffix(function, "-gateway") {
			b.ReportMetric(each(d), "ms-gateway-cold")
		} else {
			b.ReportMetric(each(d), "ms-proxy-cold")
		}
	}
}
