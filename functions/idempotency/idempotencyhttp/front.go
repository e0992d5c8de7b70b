package idempotencyhttp

import (
	"context"
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

	// Store says which responses are recorded; any other leaves the key free. Responses that AnswersCondition tells of
	// are never recorded. Default: StoreFinal.
	Store func(Response) bool

	// Caller says who sends a request. One caller never gets another's responses. Default: Request.Caller, which the
	// event's authorizer says, together with Request.Credential, the credentials that the request carries. Without either,
	// as on a function URL with auth type NONE for requests that carry none, all are one caller.
	Caller func(Request) string

	// Cache adds header fields for caches to recorded responses. Default: none.
	Cache Cache

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
	if !f.manager.Enabled() {
		return handle(ctx)
	}
	field, present := r.Headers[KeyField]
	if !present {
		if f.options.Require.Requires(r) {
			return MissingKey().Response(), nil
		}
		return handle(ctx)
	}
	key, err := ParseKey(field)
	if err != nil {
		return f.refuse(err)
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
	claim := idempotency.Claim{ID: RecordID(f.manager.Prefix(), r, key), Fingerprint: Fingerprint(r)}
	result, err := idempotency.DoClaim(ctx, f.manager.WithPolicy(policy), claim, func(ctx context.Context) (Response, error) {
		ran = true
		response, err := handle(ctx)
		handlerErr = err
		recorded = err == nil && f.options.Store(response) && !AnswersCondition(r, response.StatusCode)
		return response, err
	})
	switch {
	case handlerErr != nil:
		return Response{}, handlerErr
	case ran && (err != nil || !recorded):
		return result.Value, nil
	case err != nil:
		return f.refuse(err)
	}
	if invalid := result.Value.Validate(); result.Replayed && invalid != nil {
		return f.refuse(&idempotency.UnreadableResultError{Record: result.Record, Err: invalid})
	}
	answer := f.options.Cache.Decorate(result.Value, result.Record.Left(f.manager.Now()))
	if result.Replayed {
		answer = Replayed(answer, f.options.ServerCacheHit)
		answer, _ = NotModified(r, answer)
	}
	return answer, nil
}

// refuse answers with a problem, or returns an error that is not the package's, such as that of a replay hook.
func (f *Front) refuse(err error) (Response, error) {
	if p, ok := ProblemFor(err, f.manager.Now()); ok {
		return p.Response(), nil
	}
	return Response{}, err
}
