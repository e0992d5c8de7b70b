package retry_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// BenchmarkReadSignals compares the reader with the one before the grammar, which knew a list of fields.
func BenchmarkReadSignals(b *testing.B) {
	plain := headerOf([]string{
		"Content-Type: application/json", "Content-Length: 312", "Date: Sat, 21 Nov 2026 12:00:00 GMT", "Server: nginx",
		"Cache-Control: no-store", "Vary: Accept-Encoding", "X-Request-Id: 7f2c", "Strict-Transport-Security: max-age=31536000",
	})
	usual := plain.Clone()
	usual.Set("X-RateLimit-Limit", "5000")
	usual.Set("X-RateLimit-Remaining", "0")
	usual.Set("X-RateLimit-Reset", "1795262460")
	retryAfter := plain.Clone()
	retryAfter.Set("Retry-After", "30")
	many := func(n int) http.Header {
		header := plain.Clone()
		for i := range n {
			header.Set(fmt.Sprintf("X-Acme-Trace-Attribute-%d", i), "value")
		}
		return header
	}
	for _, reader := range []struct {
		name string
		read func(http.Header, time.Time, bool) retry.Signals
	}{{"list", retry.LegacySignals}, {"grammar", retry.ReadSignals}} {
		for _, answer := range []struct {
			name   string
			header http.Header
		}{
			{"no limit", plain}, {"retry-after", retryAfter}, {"usual fields", usual}, {"40 unrelated fields", many(40)}, {"60 unrelated fields", many(60)},
		} {
			b.Run(reader.name+"/"+answer.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					reader.read(answer.header, noon, true)
				}
			})
		}
	}
}

// A field that has nothing to do with limits costs a look at its name, and no memory.
func TestUnrelatedFieldsCostNoMemory(t *testing.T) {
	header := http.Header{}
	for i := range 60 {
		header.Set(fmt.Sprintf("X-Acme-Trace-Attribute-%d", i), "value")
	}
	if n := testing.AllocsPerRun(100, func() { retry.ReadSignals(header, noon, true) }); n != 0 {
		t.Errorf("%v allocations for 60 unrelated fields, want none", n)
	}
}
