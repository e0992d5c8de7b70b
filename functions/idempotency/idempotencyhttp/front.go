package idempotencyhttp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
)

// A Requirement says which requests need a key.
type Requirement int

const (
	// Never needs none; requests without a key run unprotected.
	Never Requirement = iota

	// UnsafeMethods need one, which are all but the safe ones of the HTTP Method Registry: GET, HEAD, OPTIONS, TRACE,
	// PROPFIND, QUERY, REPORT and SEARCH.
	UnsafeMethods

	// Always needs one, but for preflights.
	Always
)

// safeMethods are the safe methods of the HTTP Method Registry of IANA, RFC 9110 section 16.1.1.
var safeMethods = map[string]bool{
	http.MethodGet: true, http.MethodHead: true, http.MethodOptions: true, http.MethodTrace: true,
	"PROPFIND": true, "QUERY": true, "REPORT": true, "SEARCH": true,
}

// Requires says whether a request needs a key. A preflight never does, since it cannot have one: [Request.Preflight].
func (r Requirement) Requires(request Request) bool {
	if request.Preflight() {
		return false
	}
	switch r {
	case Always:
		return true
	case UnsafeMethods:
		return !safeMethods[request.Method]
	default:
		return false
	}
}

// Options say how a Front treats requests and responses. The zero value protects requests that carry a key.
type Options struct {
	// Require says which requests need a key. Default: Never.
	Require Requirement

	// Fingerprint says what must be the same in all requests with one key: two requests with the same key and different
	// fingerprints are different operations, and the second one is answered with 422. Default: CanonicalFingerprint.
	// FingerprintOf puts others together; an empty fingerprint is compared with nothing.
	//
	// The rule may change while records live. What was recorded by [Fingerprint], which was the rule of versions before
	// this option, or by the default goes on being compared by that.
	Fingerprint func(Request) string

	// Store says which responses are recorded; any other leaves the key free. Responses that AnswersCondition tells of
	// are never recorded. Default: StoreFinal.
	Store func(Response) bool

	// Caller says who sends a request. One caller never gets another's responses. Default: Request.Caller, which the
	// event's authorizer says, together with Request.Credential, the credentials that the request carries. Without either,
	// as on a function URL with auth type NONE for requests that carry none, all are one caller.
	Caller func(Request) string

	// Cache adds header fields for caches to recorded responses. Default: none.
	Cache Cache

	// NotModified answers a repeated request with 304 if its If-None-Match matches the entity tag of the response, whatever its
	// method. Default: false, which is 304 for GET and HEAD, and 412 for all others (RFC 9110, section 13.1.2).
	NotModified bool

	// Problem says how a problem is sent, for programs whose errors have a form of their own; [Problem.Name] says which problem
	// it is. A StatusCode of 0 becomes the problem's. Cache-Control: no-store and Retry-After are added where it sets none, and
	// Content-Type: application/json to a body that is JSON. What is no response, by [Response.Validate], is not sent, but the
	// problem itself. Default: Problem.Response, a problem document.
	//
	//	Problem: func(_ idempotencyhttp.Request, p idempotencyhttp.Problem) idempotencyhttp.Response {
	//		body, _ := json.Marshal(map[string]string{"error": p.Title})
	//		return idempotencyhttp.Response{Body: string(body)}
	//	},
	Problem func(Request, Problem) Response

	// ServerCacheHit adds "serverCacheHit": true to the body of a replay, if that is a JSON object. Default: false.
	ServerCacheHit bool
}

// A Front puts idempotency in front of HTTP handlers. It is safe for concurrent use.
//
// Of the manager's configuration it uses all but Key, RequireKey, Validation, Policy and LockOnly, in whose place are
// the header field, [Options.Require], [Fingerprint] and [Options.Store].
type Front struct {
	manager *idempotency.Manager
	options Options
}

// NewFront checks the options and makes a Front.
func NewFront(m *idempotency.Manager, o Options) (*Front, error) {
	var problems []error
	if m == nil {
		problems = append(problems, errors.New("manager is nil: pass one that idempotency.New made"))
	}
	if o.Require < Never || o.Require > Always {
		problems = append(problems, fmt.Errorf("Options.Require is %d: Never, UnsafeMethods or Always", o.Require))
	}
	if o.Cache.MaxAge < 0 || o.Cache.MaxAge > 0 && o.Cache.MaxAge < time.Second {
		problems = append(problems, fmt.Errorf("Cache.MaxAge is %v: 0 for none, or at least 1s", o.Cache.MaxAge))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("idempotencyhttp.NewFront: %w", err)
	}
	if o.Fingerprint == nil {
		o.Fingerprint = CanonicalFingerprint
	}
	if o.Store == nil {
		o.Store = StoreFinal
	}
	return &Front{m, o}, nil
}

// Serve answers a request: with the handler's response, a recorded one, or a problem. An error is the handler's own.
//
// A response that could not be recorded is returned nevertheless, since what it reports has happened.
// [idempotency.Config.Observe] reports that.
func (f *Front) Serve(ctx context.Context, r Request, handle func(context.Context) (Response, error)) (Response, error) {
	if !f.protects(r) {
		return handle(ctx)
	}
	return f.serve(ctx, r, nil, handle)
}

// protects says whether a request is for the front to answer, because it has a key or needs one.
func (f *Front) protects(r Request) bool {
	_, keyed := r.Headers[KeyField]
	return f.manager.Enabled() && (keyed || f.options.Require.Requires(r))
}

// serve answers a request that the front protects. outer holds header fields that every answer has, unless the handler sets
// them.
func (f *Front) serve(ctx context.Context, r Request, outer map[string]string, handle func(context.Context) (Response, error)) (Response, error) {
	answer, err := f.answer(ctx, r, outer, handle)
	if err != nil {
		return Response{}, err
	}
	return answer.within(outer), nil
}

func (f *Front) answer(ctx context.Context, r Request, outer map[string]string, handle func(context.Context) (Response, error)) (Response, error) {
	field, present := r.Headers[KeyField]
	if !present {
		return f.problem(r, MissingKey()), nil
	}
	key, err := ParseKey(field)
	if err != nil {
		return f.refuse(r, err)
	}
	if f.options.Caller != nil {
		r.Caller, r.Credential = f.options.Caller(r), ""
	}

	ran, recorded := false, false
	var handlerErr error
	policy := func(context.Context, any, error) idempotency.Action {
		if recorded {
			return idempotency.StoreResult
		}
		return idempotency.ReleaseKey
	}
	claim := idempotency.Claim{
		ID: RecordID(f.manager.Prefix(), r, key), Fingerprint: f.options.Fingerprint(r),
		Matches: func(stored string) bool { return stored == Fingerprint(r) || stored == CanonicalFingerprint(r) },
	}
	result, err := idempotency.DoClaim(ctx, f.manager.WithPolicy(policy), claim, func(ctx context.Context) (Response, error) {
		ran = true
		response, err := handle(ctx)
		handlerErr = err
		settled := f.options.Store(response) && !AnswersCondition(r, response.StatusCode)
		// Of a response that was too large for the record, the error is kept in its place: the work is done.
		recorded = settled && (err == nil || errors.Is(err, errNotKept))
		return response, err
	})
	switch {
	case handlerErr != nil:
		return Response{}, handlerErr
	case ran && (err != nil || !recorded):
		return result.Value, nil
	case err != nil:
		return f.refuse(r, err)
	}
	if invalid := result.Value.Validate(); result.Replayed && invalid != nil {
		return f.refuse(r, &idempotency.UnreadableResultError{Record: result.Record, Err: invalid})
	}
	answer := f.options.Cache.Decorate(result.Value.within(outer), result.Record.Left(f.manager.Now()))
	if result.Replayed {
		return f.conditional(r, Replayed(answer, f.options.ServerCacheHit)), nil
	}
	return answer, nil
}

// conditional answers a repeated request with the response, or as its If-None-Match asks.
func (f *Front) conditional(r Request, response Response) Response {
	if !f.options.NotModified {
		if failed, ok := PreconditionFailed(r, response); ok {
			answer := f.problem(r, failed).withHeaders()
			answer.Headers["etag"], answer.Headers[ReplayedField] = response.Headers["etag"], response.Headers[ReplayedField]
			return answer
		}
	}
	response, _ = NotModified(r, response)
	return response
}

// refuse answers with a problem, or returns an error that is not the package's, such as that of a replay hook.
func (f *Front) refuse(r Request, err error) (Response, error) {
	if p, ok := ProblemFor(err, f.manager.Now()); ok {
		return f.problem(r, p), nil
	}
	return Response{}, err
}

// problem is a problem as a response, in the form that the options say.
func (f *Front) problem(r Request, p Problem) Response {
	document := p.Response()
	if f.options.Problem == nil {
		return document
	}
	own := f.options.Problem(r, p)
	own.Headers = fields(own.Headers, nil)
	if own.StatusCode == 0 {
		own.StatusCode = p.Status
	}
	for _, name := range []string{"cache-control", "retry-after"} {
		if value, has := document.Headers[name]; has && own.Headers[name] == "" {
			own.Headers[name] = value
		}
	}
	if own.Headers["content-type"] == "" && json.Valid([]byte(own.Body)) {
		own.Headers["content-type"] = "application/json"
	}
	if own.Validate() != nil {
		return document
	}
	return own
}
