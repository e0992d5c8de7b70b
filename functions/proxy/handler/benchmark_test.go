package handler

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// BenchmarkAttempt measures what it costs that each attempt has a connection of its own, beside one that is kept: over
// plain HTTP, and over TLS with the session of the attempt before. On loopback a round trip takes no time; elsewhere a
// connection takes one more, and its TLS another one.
func BenchmarkAttempt(b *testing.B) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", 2<<10)) })
	plain, overTLS := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer overTLS.Close()
	for _, server := range []*httptest.Server{plain, overTLS} {
		scheme, _, _ := strings.Cut(server.URL, ":")
		bench := newBench(b, server.URL)
		if server.TLS != nil {
			bench.trust(server)
		}
		call := bench.call(message.Request{Method: "GET"})
		b.Run(scheme+"/own connection", func(b *testing.B) {
			for b.Loop() {
				if result, _ := bench.attempt(b.Context(), time.Minute, func(retry.Result) bool { return false }, retry.Request{}, &call.Call.Request, nil); result.Status != 200 {
					b.Fatalf("%+v", result.Failure)
				}
			}
		})
		b.Run(scheme+"/kept connection", func(b *testing.B) {
			for b.Loop() {
				request, err := bench.newRequest(b.Context(), &call.Call.Request)
				if err != nil {
					b.Fatal(err)
				}
				response, err := bench.transport.RoundTrip(request)
				if err != nil {
					b.Fatal(err)
				}
				body, err := readBody(response.Body, 252<<10)
				response.Body.Close()
				if err != nil || len(bench.newResponse(response, body).Body) == 0 {
					b.Fatal(err)
				}
			}
		})
	}
}
