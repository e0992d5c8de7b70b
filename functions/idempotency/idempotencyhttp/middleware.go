package idempotencyhttp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// DefaultMaxBytes is the limit of [MiddlewareOptions] for bodies, in bytes: what a Lambda function takes and returns.
const DefaultMaxBytes = 6 << 20

// MiddlewareOptions say what a [Middleware] does with requests of net/http. The zero value is fit for use.
type MiddlewareOptions struct {
	// MaxRequestBytes is the size of the largest body of a request with a key, in bytes. The body is read before the handler
	// runs, since it is a part of the fingerprint, and kept in memory until the handler has ended. A larger one is answered
	// with 413. Default, also in the place of a negative one: DefaultMaxBytes.
	MaxRequestBytes int64

	// MaxResponseBytes is the size of the largest body of a response that is recorded, in bytes. What the handler writes
	// beyond it goes to the client as it comes; the key is spent all the same, and later requests with it get the problem
	// ResultUnavailable, a 409. What fits into a record, the store says: less than 400 KB in DynamoDB, after compression.
	// Default, also in the place of a negative one: DefaultMaxBytes.
	MaxResponseBytes int

	// Caller says who sends a request, such as what an authentication before this middleware has left in the context. It
	// takes the place of the credentials that the request carries, unless it is empty. Default: the credentials, as the
	// function Credential reads them. Options.Caller is asked after it and overrules it.
	Caller func(*http.Request) string
}

// Middleware puts a Front in front of the handlers of net/http, and of all that is built on it: routers, other middleware,
// servers in containers, the Lambda Web Adapter.
//
//	http.ListenAndServe(addr, idempotencyhttp.Middleware(front, idempotencyhttp.MiddlewareOptions{})(mux))
//
// The context of a request has no deadline by itself: set [idempotency.Config.Lease] to longer than any request takes, or a
// process that dies leaves its keys locked until the TTL has passed. If the client goes away, the handler's context ends as
// it would without the middleware; what the handler then still returns is recorded, and a request that repeats it gets that.
//
// Requests without a key, where none is required, go to the handler as they are, and may stream, upgrade or flush. To those
// with a key the following applies.
//
//   - The response is held back until the handler has returned. There is no http.Flusher, http.Hijacker or http.Pusher, and
//     http.ResponseController can set the deadlines and nothing else: what it flushed or took over could not be recorded.
//   - Informational responses (1xx) and trailers are dropped; the trailers of the request are there.
//   - Header fields that were set before the middleware are not recorded: each answer has its own, such as X-Request-Id. A
//     handler may change them, and cannot delete them. Where two of one name are joined with a comma, as RFC 9110 section 5.3
//     allows, so they are here; Set-Cookie is not.
//   - A panic frees the key and goes on, http.ErrAbortHandler included; nothing of the response is sent.
//   - The body belongs to the fingerprint, so what reads bodies, such as http.Request.ParseForm, has to come after the
//     middleware.
//   - The path is that of the request line, so that routers which strip a prefix do not make one path of two. The host does
//     not count: where it says whose request it is, make it a part of Caller.
func Middleware(f *Front, o MiddlewareOptions) func(http.Handler) http.Handler {
	if o.MaxRequestBytes <= 0 {
		o.MaxRequestBytes = DefaultMaxBytes
	}
	if o.MaxResponseBytes <= 0 {
		o.MaxResponseBytes = DefaultMaxBytes
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			request := FromHTTP(r)
			if !f.protects(request) {
				next.ServeHTTP(w, r)
				return
			}
			if o.Caller != nil {
				if caller := o.Caller(r); caller != "" {
					request.Caller, request.Credential = caller, ""
				}
			}
			outer := outerFields(w.Header())
			var body []byte
			// A key that is refused needs no body.
			if _, err := ParseKey(request.Headers[KeyField]); err == nil {
				if body, err = readBody(w, r, o.MaxRequestBytes); err != nil {
					send(w, outer, f.problem(request, unreadBody(err, o.MaxRequestBytes)).within(outer))
					return
				}
				request.Body = string(body)
			}
			answer, err := f.serve(r.Context(), request, outer, func(ctx context.Context) (Response, error) {
				inner := r.WithContext(ctx)
				inner.Body, inner.ContentLength = http.NoBody, int64(len(body))
				if len(body) > 0 {
					inner.Body = io.NopCloser(bytes.NewReader(body))
				}
				recorder := newRecorder(w, o.MaxResponseBytes)
				next.ServeHTTP(recorder, inner)
				return recorder.response()
			})
			switch {
			case errors.Is(err, errNotKept): // and sent
			case err != nil: // of a replay hook
				send(w, outer, f.problem(request, Problem{
					Type: "about:blank", Title: http.StatusText(http.StatusInternalServerError), Status: http.StatusInternalServerError,
					Detail: "The recorded response cannot be handed out.",
				}).within(outer))
			default:
				send(w, outer, answer)
			}
		})
	}
}

// FromHTTP takes a request from one of net/http, without its body. Caller is empty. The path is that of the request line,
// which routers leave as it is.
func FromHTTP(r *http.Request) Request {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if !strings.HasPrefix(path, "/") { // an absolute URL, or a request that no server has read
		path = r.URL.EscapedPath()
	}
	headers := fields(nil, r.Header)
	if cookies := r.Header["Cookie"]; len(cookies) > 1 { // RFC 9113, section 8.2.3
		headers["cookie"] = strings.Join(cookies, "; ")
	}
	request := Request{Method: r.Method, Path: path, Query: WithoutSignature(r.URL.RawQuery), Headers: headers}
	request.Credential = Credential(headers, request.Query)
	return request
}

// readBody reads the body of a request, up to a limit.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, &http.MaxBytesError{Limit: limit} // without asking the client for it: Expect: 100-continue
	}
	if r.Body == nil {
		return nil, nil
	}
	return io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
}

// unreadBody is the problem of a body that could not be read.
func unreadBody(err error, limit int64) Problem {
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		// Something before the middleware may allow less.
		return problem(RequestTooLarge, http.StatusRequestEntityTooLarge, "The body is too large for a request with an Idempotency-Key",
			fmt.Sprintf("It has more than the %d bytes that are allowed. Nothing was done.", min(tooLarge.Limit, limit)))
	}
	return problem(RequestUnreadable, http.StatusBadRequest, "The body could not be read",
		"It ended before it was complete. Nothing was done.")
}

// outerFields are the header fields that were set before the middleware, as [Response.Headers] has them.
func outerFields(h http.Header) map[string]string {
	outer := fields(nil, h)
	delete(outer, "set-cookie")
	return outer
}

// send writes an answer, which has the outer fields in it.
func send(w http.ResponseWriter, outer map[string]string, answer Response) {
	header := w.Header()
	for name, value := range answer.Headers {
		if before, set := outer[name]; !set || before != value {
			header.Set(name, value)
		}
	}
	if mediaType, set := answer.Headers["content-type"]; set && mediaType == "" {
		header["Content-Type"] = nil // net/http guesses one otherwise
	}
	for _, cookie := range answer.Cookies {
		header.Add("Set-Cookie", cookie)
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = w.Write(bodyBytes(answer.Body, answer.IsBase64Encoded)) // whoever sent the request may be gone
}
