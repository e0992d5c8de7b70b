package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/largebody"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// leaseMargin is how long after the deadline of its request a record stays locked, if neither the state machine nor the
// gateway releases it. Nothing is sent upstream after the deadline; the margin is for writing the record, with retries,
// and for clocks that differ.
const leaseMargin = 30 * time.Second

// keyFor reads the key of a request, from Idempotency-Key or from another field that may hold it. It is empty if there is
// none and none is needed.
func (g *Gateway) keyFor(request idempotencyhttp.Request) (string, *problem) {
	for _, name := range append([]string{idempotencyhttp.KeyField}, g.keyFields...) {
		field, given := request.Headers[name]
		if !given {
			continue
		}
		key, err := idempotencyhttp.ParseKey(field)
		if err != nil {
			refused, _ := idempotencyhttp.ProblemFor(err, g.now())
			return "", &problem{Problem: refused}
		}
		return key, nil
	}
	if g.keyRequirement.Requires(request) {
		return "", &problem{Problem: idempotencyhttp.MissingKey()}
	}
	return "", nil
}

// claimPrefix begins the names of claims among those of fields that stand for the caller.
const claimPrefix = "claim:"

// identify says whose request with a key it is, beside the IAM identity that signed it: by default that of their
// credentials, since nobody is handed an answer that was made with somebody else's. Fields and claims that are named stand
// for the caller instead, if the request has any of them.
//
// A claim counts only if the token is right, or if an IAM identity vouches for it: anybody can write a claim.
func (g *Gateway) identify(ctx context.Context, request *idempotencyhttp.Request) *problem {
	told := request.Headers
	if g.callerClaims {
		claims, err := g.claimsOf(ctx, *request)
		if errors.Is(err, errKeysUnavailable) {
			g.tell(ctx, slog.LevelError, "the token of the caller could not be verified", slog.String("error", err.Error()))
			return tokenKeysUnavailable("Whose request it is could not be found out, because the keys of the issuer of their token could not be had. Nothing was sent.")
		}
		told = maps.Clone(told)
		maps.DeleteFunc(told, func(name, _ string) bool { return strings.HasPrefix(name, claimPrefix) })
		for name, value := range claims {
			told[claimPrefix+name] = string(value)
		}
	}
	if named := idempotencyhttp.Fields(told, g.callerFields); named != "" {
		request.Credential = named
	}
	return nil
}

// claimsOf reads the claims of a caller's token. There are none if it is not right.
func (g *Gateway) claimsOf(ctx context.Context, request idempotencyhttp.Request) (map[string]json.RawMessage, error) {
	token := bearerToken(request.Headers)
	switch {
	case token == "":
		return nil, nil
	case g.tokens != nil:
		return g.tokens.claims(ctx, token)
	case request.Caller != "":
		return unverifiedClaims(token), nil
	}
	return nil, nil
}

// fingerprint is what must be the same in all requests with one key: the query as it is written, since that is what goes
// upstream and only the upstream knows whether its order counts, and the body by its value. Services of AWS are told in
// X-Amz-Target what to do.
func (g *Gateway) fingerprint(request idempotencyhttp.Request) string {
	return idempotencyhttp.FingerprintOf(idempotencyhttp.ExactQuery, idempotencyhttp.CanonicalBody, g.target)(request)
}

// exactFingerprint is what versions before the one that compares by value have recorded, and other programs may record.
func (g *Gateway) exactFingerprint(request idempotencyhttp.Request) string {
	if target := g.target(request); target != "" {
		request.Query += "\n" + target // which no query holds
	}
	return idempotencyhttp.Fingerprint(request)
}

// target is what a service of AWS is told to do. Empty for all other upstreams.
func (g *Gateway) target(request idempotencyhttp.Request) string {
	if !g.forwarding.AWS() {
		return ""
	}
	return request.Headers["x-amz-target"]
}

// acquire asks for the record of a request with a key, and waits, within the request's own deadline, for another one
// that has it.
func (g *Gateway) acquire(ctx context.Context, request idempotencyhttp.Request, key string, deadline time.Time) (idempotency.Acquisition, error) {
	claim := g.claim(request, key, deadline)
	claim.Wait = deadline.Sub(g.now())
	return g.records.Acquire(ctx, claim)
}

// refusedKey answers a request whose key could not be acquired. If an asynchronous request has it that has ended without that
// being in its record, the answer is what came of it.
func (g *Gateway) refusedKey(ctx context.Context, err error) outcome {
	var busy *idempotency.InProgressError
	if errors.As(err, &busy) && busy.Record.Reference != "" && g.asyncMachineARN != "" {
		x, failed := g.executions.Get(ctx, execution.Name(busy.Record.Reference))
		if failed == nil && x.State == execution.Succeeded {
			g.trace(ctx, x)
			trailOf(ctx).replays(x.RequestID)
			return g.replayed(g.responseOf(ctx, x))
		}
	}
	return outcome{problem: g.unacquired(ctx, err)}
}

// replayed marks a response as that of an earlier request.
func (g *Gateway) replayed(out outcome) outcome {
	if out.problem == nil {
		out.response, out.as = idempotencyhttp.Replayed(out.response, g.serverCacheHit), asReplayed
	}
	return out
}

// claim asks for the record of a request with a key, until its deadline.
func (g *Gateway) claim(request idempotencyhttp.Request, key string, deadline time.Time) idempotency.Claim {
	return idempotency.Claim{
		ID:          idempotencyhttp.RecordID(g.recordPrefix, request, key),
		Fingerprint: g.fingerprint(request),
		Matches:     func(stored string) bool { return stored == g.exactFingerprint(request) },
		LeaseEnd:    deadline.Add(leaseMargin),
	}
}

// unacquired says to the caller why the record of their request could not be had.
func (g *Gateway) unacquired(ctx context.Context, err error) *problem {
	switch {
	case errors.Is(err, idempotency.ErrRecordUnreadable):
		g.tell(ctx, slog.LevelError, "an idempotency record cannot be read", slog.String("error", err.Error()))
	case errors.Is(err, idempotency.ErrStoreFailed):
		g.tell(ctx, slog.LevelError, "the idempotency table could not be asked", slog.String("error", err.Error()))
	}
	if known, ok := idempotencyhttp.ProblemFor(err, g.now()); ok {
		return &problem{Problem: known}
	}
	return engineUnavailable("The idempotency record could not be acquired.")
}

// maxAnswerBytes is what an answer may take as JSON, in bytes: what Lambda takes from a function, 6 MB.
const maxAnswerBytes = 6 << 20

// replay answers a request with what was recorded for an earlier one.
func (g *Gateway) replay(ctx context.Context, request idempotencyhttp.Request, record idempotency.Record) outcome {
	envelope, err := g.recorded(ctx, record)
	if err != nil {
		unavailable, _ := idempotencyhttp.ProblemFor(err, g.now())
		return outcome{problem: &problem{Problem: unavailable}}
	}
	trailOf(ctx).replays(envelope.RequestID)
	response := g.decorate(envelope, record.Expiration)
	response = idempotencyhttp.Replayed(response, g.serverCacheHit)
	if notModified, matches := idempotencyhttp.NotModified(request, response); matches {
		return outcome{response: notModified, final: true, as: asReplayed}
	}
	out := outcome{response: response, final: true, as: asReplayed}
	if envelope.Bodiless {
		out.bodiless = answerTooLarge(envelope, request.Method)
	}
	return out
}

// recorded reads the envelope that a record holds. Whoever may write to the table may have written anything: what cannot
// be handed out as an answer is an error.
//
// The record of an asynchronous request refers to its answer. Where cookies are not recorded, the list of them is empty
// there, and otherwise missing.
func (g *Gateway) recorded(ctx context.Context, record idempotency.Record) (*message.Envelope, error) {
	data, err := record.Result()
	if err != nil {
		return nil, err
	}
	unreadable := func(err error) (*message.Envelope, error) {
		return nil, &idempotency.UnreadableResultError{Record: record, Err: err}
	}
	if len(data) > maxAnswerBytes {
		return unreadable(fmt.Errorf("it has %d bytes, more than the %d that can be handed out", len(data), maxAnswerBytes))
	}
	envelope := new(message.Envelope)
	if err := json.Unmarshal(data, envelope); err != nil {
		return unreadable(err)
	}
	if reference := *envelope; reference.Stored != "" {
		if envelope, err = g.executions.Answer(ctx, reference.Stored); err != nil {
			return unreadable(err)
		}
		if reference.Cookies != nil {
			envelope.Cookies = nil
		}
	}
	switch err := g.loadBody(ctx, envelope); {
	case errors.Is(err, largebody.ErrNotFound), errors.Is(err, errNoBodies):
		return unreadable(err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", idempotency.ErrStoreFailed, err)
	}
	if err := idempotencyhttp.Response(envelope.Response).Validate(); err != nil {
		return unreadable(err)
	}
	for _, attempt := range envelope.Attempts {
		if !message.IsToken(attempt.Proxy) || attempt.Error != "" && !message.IsToken(string(attempt.Error)) {
			return unreadable(errors.New("an attempt has no proper proxy or error"))
		}
	}
	envelope.Headers = lowerCase(envelope.Headers)
	return envelope, nil
}

// lowerCase spells the names of header fields as the proxies do. Other programs that write records need not.
func lowerCase(headers map[string]string) map[string]string {
	lower := make(map[string]string, len(headers))
	for name, value := range headers {
		lower[strings.ToLower(name)] = value
	}
	return lower
}

// release frees the key of a request that was not carried out. The error only keeps the key locked until its lease ends.
func (g *Gateway) release(ctx context.Context, record *idempotency.Record) {
	if record == nil {
		return
	}
	if err := g.records.Release(ctx, *record); err != nil {
		g.tell(ctx, slog.LevelError, "the idempotency record could not be released", slog.String("error", err.Error()))
	}
}
