package idempotencyhttp_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
)

// A service of net/http that takes Idempotency-Key. Since its requests have no deadline, the lease is set.
func ExampleMiddleware() {
	manager, err := idempotency.New(idempotency.NewMemoryStore(), idempotency.Config{
		Prefix: "orders", Lease: time.Minute, Wait: 5 * time.Second, TTL: 24 * time.Hour,
	})
	if err != nil {
		panic(err)
	}
	front, err := idempotencyhttp.NewFront(manager, idempotencyhttp.Options{Require: idempotencyhttp.UnsafeMethods})
	if err != nil {
		panic(err)
	}
	protect := idempotencyhttp.Middleware(front, idempotencyhttp.MiddlewareOptions{
		MaxRequestBytes: 1 << 20,
		Caller:          func(r *http.Request) string { return r.Header.Get("X-Tenant") }, // which an authentication has checked
	})
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("placing the order")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, "order 1")
	})
	server := httptest.NewServer(protect(mux))
	defer server.Close()

	for _, body := range []string{`{"item":"tea","count":2}`, `{"count": 2, "item": "tea"}`, `{"item":"coffee"}`} {
		request, err := http.NewRequest("POST", server.URL+"/orders", strings.NewReader(body))
		if err != nil {
			panic(err)
		}
		request.Header.Set("Idempotency-Key", "key-1")
		request.Header.Set("X-Tenant", "a")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			panic(err)
		}
		response.Body.Close()
		fmt.Printf("%d, replayed: %q\n", response.StatusCode, response.Header.Get("Idempotent-Replayed"))
	}
	// Output:
	// placing the order
	// 201, replayed: ""
	// 201, replayed: "true"
	// 422, replayed: ""
}
