package idempotency_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
)

// BenchmarkDo is what Do adds to a function that does nothing, with the store in memory, and how often it asks the
// store.
func BenchmarkDo(b *testing.B) {
	payload := raw(`{"version":"2.0","headers":{"content-type":"application/json"},"body":"{\"order\":\"o-1\",\"amount\":10.5}","isBase64Encoded":false}`)
	for _, outcome := range []struct {
		name   string
		cfg    idempotency.Config
		key    func(i int) any
		replay bool
	}{
		{"first call", idempotency.Config{}, func(i int) any { return i }, false},
		{"replay", idempotency.Config{}, func(int) any { return 1 }, true},
		{"cached replay", idempotency.Config{CacheSize: 1}, func(int) any { return 1 }, true},
		{"replay of an event with an expression", idempotency.Config{Key: `powertools_json(body).[order, amount]`}, func(int) any { return payload }, true},
		{"unprotected", idempotency.Config{Key: "nothing"}, func(int) any { return payload }, false},
	} {
		b.Run(outcome.name, func(b *testing.B) {
			store := observe(idempotency.NewMemoryStore())
			outcome.cfg.Prefix = "bench"
			manager, err := idempotency.New(store, outcome.cfg)
			if err != nil {
				b.Fatal(err)
			}
			call := func(i int) {
				if _, err := idempotency.Do(context.Background(), manager, outcome.key(i), func(context.Context) (int, error) { return i, nil }); err != nil {
					b.Fatal(err)
				}
			}
			if outcome.replay {
				call(0)
			}
			before := store.total()
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				call(i)
			}
			b.ReportMetric(float64(store.total()-before)/float64(i), "store-calls/op")
		})
	}
}

func BenchmarkCanonicalJSON(b *testing.B) {
	for _, n := range []int{1, 100} {
		document := []byte(`[`)
		for i := range n {
			if i > 0 {
				document = append(document, ',')
			}
			document = fmt.Appendf(document, `{"user_id":"xyz-%d","product_id":"123456789","amount":%d.25,"tags":["a","é"]}`, i, i)
		}
		document = append(document, ']')
		b.Run(fmt.Sprint(len(document), " bytes"), func(b *testing.B) {
			b.SetBytes(int64(len(document)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := idempotency.CanonicalJSON(document); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
