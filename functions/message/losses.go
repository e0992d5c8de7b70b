package message

import (
	"slices"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// Losses lists the proxies that were lost since the last one gave an answer: that crashed, that Lambda ended at their
// timeout, or that Lambda would not run. The last one is at the top, and those before it are in Before.
//
// The state machine writes the list, in the state Lost-i that follows a Task which failed (see [AfterLoss]), and goes on
// to the next proxy. That one has the policy judge the losses before it sends anything (see [Envelope.JudgeLosses]). All
// that the state machine does by itself is count, so that an execution ends when there is no proxy left to judge.
type Losses struct {
	// Count is how many proxies were lost, and Allowed is how many may be. With one more the state machine gives up.
	Count   int `json:"count"`
	Allowed int `json:"allowed"`

	// Proxy is the proxy that was lost last, and Error is the name of the error that its Task ended with. Both are
	// empty if none was lost.
	Proxy string `json:"proxy,omitempty"`
	Error string `json:"error,omitempty"`

	// Before lists those that were lost before.
	Before *Losses `json:"before,omitempty"`

	// Unsent says that it is known from elsewhere that the proxy sent nothing. No envelope has it.
	Unsent bool `json:"-"`
}

// Since returns the losses without the first so many of them, which are known already. If an attempt had begun, it was that
// of the first one that is left; all others are known to have sent nothing.
func (l *Losses) Since(known int, begun bool) *Losses {
	if l == nil {
		return nil
	}
	left := &Losses{Allowed: l.Allowed}
	if l.Count <= known {
		return left
	}
	copied := *l
	copied.Before = l.Before.Since(known, begun)
	copied.Unsent = !begun || l.Count > known+1
	return &copied
}

// ProxiesLost is the Error of an execution that ended because its proxies were lost. The gateway has the policy judge
// the losses then.
const ProxiesLost retry.Reason = "ProxiesLost"

// LostAttribute is the attribute of the item of an execution, see package execution, where the state machine writes the
// envelope whose losses no proxy was left to judge, as JSON text.
const LostAttribute = "lost"

// EndedAttribute is the attribute of that item that says that the execution has ended.
const EndedAttribute = "ended"

// MaxLossSleep is the longest backoff that a proxy which judges a loss sleeps before it makes the attempt itself. The
// default policy draws none that is longer. What is longer is for the state machine to wait, and then another proxy makes
// the attempt: a whole ring of them may have to be gone round to come to one that works.
const MaxLossSleep = 2 * time.Second

// FaultPath is where the Catch of a Task that calls a proxy puts the error.
const FaultPath = "$.fault"

// AfterLoss gives the Parameters of the state that follows the loss of a proxy: the same envelope, with the loss in its
// list. The Cause of the error, which may hold anything, is left out.
func AfterLoss(proxy string) map[string]any {
	return map[string]any{
		"version.$":   "$.version",
		"outcome":     string(retry.Again),
		"waitSeconds": 0,
		"call.$":      "$.call",
		"attempts.$":  "$.attempts",
		"losses": map[string]any{
			"count.$":   "States.MathAdd($.losses.count, 1)",
			"allowed.$": "$.losses.allowed",
			"proxy":     proxy,
			"error.$":   FaultPath + ".Error",
			"before.$":  "$.losses",
		},
	}
}

// AfterLosses gives the Parameters of the state that gives up: the envelope of a failed outcome, without the request.
func AfterLosses() map[string]any {
	return map[string]any{
		"version.$":   "$.version",
		"outcome":     string(retry.Failed),
		"error":       string(ProxiesLost),
		"waitSeconds": 0,
		"attempts.$":  "$.attempts",
		"losses.$":    "$.losses",
	}
}

// lossesAllowed is how many proxies may be lost in a row, by the budget for network failures and by the caller's own
// limit. It only bounds what the state machine does without a judge; that a request is not safe to repeat, or that its
// deadline is near, is for the policy to say.
func lossesAllowed(policy retry.Policy, maxAttempts int, history []retry.Attempt) int {
	allowed := policy.WithDefaults().NetworkFailures.Attempts - 1
	for _, attempt := range history {
		if attempt.Kind == retry.NetworkFailure {
			allowed--
		}
	}
	if maxAttempts > 0 {
		allowed = min(allowed, maxAttempts-1-len(history))
	}
	return max(allowed, 0)
}

// A loss is one proxy that was lost.
type loss struct {
	proxy, error string
	unsent       bool
}

// list gives the losses, oldest first.
func (l *Losses) list() []loss {
	var all []loss
	for ; l != nil && l.Count > 0; l = l.Before {
		all = append(all, loss{l.Proxy, l.Error, l.Unsent})
	}
	slices.Reverse(all)
	return all
}

// neverRun are the errors of a Task that prove that the function was not run: Lambda refused the invocation, or could
// not set the function up, or the function refused the envelope unread, or before it had the body of the request. The names are those of the errors of Lambda's
// Invoke operation, with the prefix that Step Functions gives them. Those after which the function may have run, such as
// Lambda.ServiceException and Lambda.SdkClientException, are not among them, nor is Lambda.AWSLambdaException, which
// stands for access that was denied and for much else.
var neverRun = map[string]bool{
	"Lambda.TooManyRequestsException":             true,
	"Lambda.ResourceNotFoundException":            true,
	"Lambda.ResourceNotReadyException":            true,
	"Lambda.ResourceConflictException":            true,
	"Lambda.InvalidParameterValueException":       true,
	"Lambda.InvalidRequestContentException":       true,
	"Lambda.RequestTooLargeException":             true,
	"Lambda.UnsupportedMediaTypeException":        true,
	"Lambda.InvalidRuntimeException":              true,
	"Lambda.InvalidZipFileException":              true,
	"Lambda.InvalidSecurityGroupIDException":      true,
	"Lambda.InvalidSubnetIDException":             true,
	"Lambda.SubnetIPAddressLimitReachedException": true,
	"Lambda.ENILimitReachedException":             true,
	"Lambda.EC2AccessDeniedException":             true,
	"Lambda.EC2ThrottledException":                true,
	"Lambda.EC2UnexpectedException":               true,
	"Lambda.KMSAccessDeniedException":             true,
	"Lambda.KMSDisabledException":                 true,
	"Lambda.KMSInvalidStateException":             true,
	"Lambda.KMSNotFoundException":                 true,
	"VersionError":                                true, // see [VersionError]
	RequestBodyUnread:                             true,
}

// Lost says whether an attempt is one whose proxy was lost.
func Lost(a retry.Attempt) bool { return a.Error == retry.ProxyInternalError && a.Start == 0 }

// NeverRan says whether an attempt is one whose proxy was lost in a way that proves that it was never run, or sent nothing.
func NeverRan(a retry.Attempt) bool {
	return a.Error == retry.ProxyInternalError && neverRun[a.Details]
}

// failure is the failure of an attempt whose proxy gave no answer. Unless its error proves that it was never run, nobody
// knows how far it came.
func (l loss) failure() *retry.Failure {
	return &retry.Failure{
		Type:      retry.ProxyInternalError,
		Processed: retry.Processed(!neverRun[l.error] && !l.unsent),
		Details:   l.error,
	}
}

// JudgeLosses has the policy judge the proxies that were lost on the way here, as if each had been lost now: the state
// machine comes from a loss without waiting. It returns all attempts, those of lost proxies among them, and what was
// decided on the last of them; the decision is zero if none was lost. The first loss that may not be followed by another
// attempt ends the list: the proxies after it would not have sent anything.
func (e *Envelope) JudgeLosses(policy retry.Policy, request retry.Request, now time.Time, random func() float64) ([]retry.Attempt, retry.Decision) {
	attempts := slices.Clone(e.Attempts)
	var decision retry.Decision
	for _, lost := range e.Losses.list() {
		result := retry.Result{Failure: lost.failure(), Received: now}
		decision = policy.Next(request, attempts, result, random)
		attempts = append(attempts, result.Attempt(lost.proxy, time.Time{}, decision))
		if decision.Outcome != retry.Again {
			break
		}
	}
	return attempts, decision
}

// Made lists the attempts that were made before an envelope was written. Those of proxies that were lost and whose loss
// was not judged yet are among them, without what was decided after them.
func (e *Envelope) Made() []retry.Attempt {
	if e == nil {
		return nil
	}
	made := slices.Clone(e.Attempts)
	for _, lost := range e.Losses.list() {
		failure := lost.failure()
		made = append(made, retry.Attempt{
			Proxy: lost.proxy, Error: failure.Type, Details: failure.Details, Kind: retry.NetworkFailure,
		})
	}
	return made
}
