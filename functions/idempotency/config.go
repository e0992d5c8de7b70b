package idempotency

import (
	"context"
	"crypto/md5"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"math/rand/v2"
	"os"
	"strings"
	"time"
)

const (
	// DefaultTTL is how long a result is replayed, from the end of the run.
	DefaultTTL = time.Hour

	// DefaultFinishTimeout is how long completing or releasing a record may take.
	DefaultFinishTimeout = 5 * time.Second

	// RenewalsPerLease is how many times a lease is renewed while its length passes: see [Config.Renew].
	RenewalsPerLease = 3

	// DisabledVariable names the environment variable that switches idempotency off, as in Powertools: 1, true, t, yes,
	// y or on, in any case. Then functions run as if they were not wrapped. It is read by [New].
	DisabledVariable = "POWERTOOLS_IDEMPOTENCY_DISABLED"

	// functionNameVariable is set by Lambda.
	functionNameVariable = "AWS_LAMBDA_FUNCTION_NAME"
)

// Config says how calls are told apart and how long their results are kept. The zero value protects a Lambda function
// with its whole payload as key.
type Config struct {
	// Prefix begins each record's ID, so that functions can share a table. Functions with one prefix replay each other's
	// results. Default: the function's name as Lambda sets it in AWS_LAMBDA_FUNCTION_NAME; required elsewhere.
	//
	// In one process only one manager without an Operation can have the default, because a second one would be handed the
	// first one's results: [New] refuses it, whatever its store. Tests that make many managers set Prefix.
	Prefix string

	// Operation names what is done once, such as "refund", and comes after the prefix and a full stop. In one process no
	// two managers with the default prefix have the same. Default: none. Powertools for Python uses
	// "{module}.{qualified name}", so that with "app.handler" and the default prefix both languages share records.
	Operation string

	// Key is a JMESPath expression that selects the key in the JSON of the payload, such as `requestContext.requestId`,
	// `headers."idempotency-key"` or `powertools_json(body).[user, order]`. Default: the whole payload.
	//
	// Beside the functions of JMESPath Community there are powertools_json, powertools_base64 and
	// powertools_base64_gzip, and those of Functions. The body of an event that says isBase64Encoded is decoded before the expression sees it,
	// unless the expression itself uses powertools_base64. Comparisons and functions of JMESPath see numbers unless
	// they are floats with integral value, such as 5.0, or integers from 2^53 on; as part of a key every number counts
	// as it is written.
	Key string

	// RequireKey makes a payload in which Key selects nothing a [KeyMissingError]. Default: such a call runs
	// unprotected, without asking the store.
	RequireKey bool

	// Validation is a JMESPath expression for the part of the payload that must be the same in all calls with one key;
	// if it is not, the call gets a [PayloadMismatchError]. Default: none. A record that carries no fingerprint is
	// replayed unchecked.
	Validation string

	// Functions are functions of one's own for Key and Validation: see [NewFunction]. Default: none.
	Functions []Function

	// Hash makes the hash of keys and fingerprints. Default: MD5, as in Powertools. It tells payloads apart and
	// protects nothing: where callers choose the payload and must not reach each other's results, use sha256.New.
	Hash func() hash.Hash

	// TTL is how long a result is replayed, counted from the end of the run, in whole seconds. Default: DefaultTTL. See
	// also [Manager.WithTTL].
	TTL time.Duration

	// Lease is how long a run locks its key at most, counted from its start: if it has neither ended nor released the
	// key by then, the process is taken for dead and the next call runs. Default: until the deadline of the context
	// plus LeaseMargin, which in Lambda is the end of the invocation; if the context has none, until TTL has passed.
	//
	// A lease beyond the invocation keeps the key locked after a timeout, for as long as it takes to find out what the
	// dead run has done. A lease that is shorter than the run allows two runs at a time; the late one then gets an
	// [OwnershipLostError].
	Lease time.Duration

	// LeaseMargin is added to the context's deadline, for clocks that differ. Default: 0.
	LeaseMargin time.Duration

	// Renew keeps the lease alive for as long as [Do], [DoClaim] or [Handler] runs its function: each time a third of Lease
	// has passed, it ends a whole Lease later. With that the lease can be much shorter than the work, and a dead run is
	// taken over soon. It needs Lease, and a store that is a [Renewer]. If a renewal finds that another call has taken
	// over, the function's context ends, with an [OwnershipLostError] as its cause; if the store fails, the next renewal
	// tries again. Default: false.
	Renew bool

	// Wait is how long a call waits for the end of another with the same key, to return its result; if the other one
	// fails, the waiting call runs. When the time is over, and shortly before the context's deadline, it gets an
	// [InProgressError]. Default: 0, it gets that at once.
	Wait time.Duration

	// FinishTimeout is how long completing or releasing a record may take, with all tries of the store's client. The
	// caller's context does not count, which may be over by then: in Lambda, leave that much of the function's timeout to
	// it. Default: DefaultFinishTimeout.
	FinishTimeout time.Duration

	// LockOnly makes the key a lock: calls do not overlap, but each runs, and no result is stored. Default: false.
	LockOnly bool

	// Policy says what becomes of the key when a run has ended. Default: a result is stored, an error releases the key.
	Policy Policy

	// OnReplay, if set, is called with a stored result before it is returned, and returns what is returned in its
	// place, as JSON. An error reaches the caller.
	OnReplay func(ctx context.Context, result json.RawMessage, r Record) (json.RawMessage, error)

	// Observe, if set, is called with what happens to keys, for metrics and logs. It is called by the goroutine of the
	// call, or with Renew by one beside it, and should be quick.
	Observe func(context.Context, Event)

	// CacheSize is how many completed records are kept in memory, so that replays within one process do not ask the
	// store, nor notice that a record has been removed there by another process. Default: 0, none.
	CacheSize int

	// CompressAbove is from which size on, in bytes of JSON, results are stored compressed. Powertools cannot read
	// those. Default: 0, which compresses only what would not fit into a record otherwise.
	CompressAbove int

	// Clock is the time, Random a number in [0, 1) for jitter, NewOwner a token that nobody else draws. Defaults: the
	// system's, and 128 random bits.
	Clock    Clock
	Random   func() float64
	NewOwner func() string
}

// A Policy says what becomes of the key of a run, by its result, or its error.
type Policy func(ctx context.Context, result any, err error) Action

// An Action is what becomes of the key of a run.
type Action int

const (
	// DefaultAction is StoreResult if there was no error, and ReleaseKey if there was.
	DefaultAction Action = iota

	// StoreResult keeps the result for later calls. If the run failed, the text of its error is kept, and later calls
	// get it as a [StoredFailureError].
	StoreResult

	// ReleaseKey lets the next call run.
	ReleaseKey

	// HoldKey keeps the key locked until the lease ends, for a failure that may have done its work.
	HoldKey
)

// withDefaults returns the configuration with the default in every field that has one and is not set.
func (c Config) withDefaults() Config {
	if c.Prefix == "" {
		c.Prefix = os.Getenv(functionNameVariable)
	}
	if c.Operation != "" && c.Prefix != "" {
		c.Prefix += "." + c.Operation
	}
	if c.Hash == nil {
		c.Hash = md5.New
	}
	if c.TTL == 0 {
		c.TTL = DefaultTTL
	}
	if c.FinishTimeout == 0 {
		c.FinishTimeout = DefaultFinishTimeout
	}
	if c.Clock == nil {
		c.Clock = systemClock{}
	}
	if c.Random == nil {
		c.Random = rand.Float64
	}
	if c.NewOwner == nil {
		c.NewOwner = randomOwner
	}
	return c
}

// validate returns all problems of a configuration that has its defaults in one error, or nil. The expressions are for
// the compiler to check.
func (c Config) validate() error {
	var problems []error
	problem := func(format string, a ...any) { problems = append(problems, fmt.Errorf(format, a...)) }

	if c.Prefix == "" {
		problem("Prefix is empty, and outside Lambda there is no %s to take its place: set Prefix", functionNameVariable)
	}
	if err := checkFunctions(c.Functions); err != nil {
		problems = append(problems, err)
	}
	if c.TTL < time.Second {
		problem("TTL is %v: at least 1s, since records expire on whole seconds", c.TTL)
	}
	if c.Lease < 0 || c.Lease > 0 && c.Lease < time.Millisecond {
		problem("Lease is %v: 0 for the context's deadline, or at least 1ms", c.Lease)
	}
	if c.LeaseMargin < 0 {
		problem("LeaseMargin is %v: 0 or more", c.LeaseMargin)
	}
	if c.LeaseMargin > 0 && c.Lease > 0 {
		problem("LeaseMargin is %v and Lease is %v: the margin belongs to the context's deadline, so set one of them",
			c.LeaseMargin, c.Lease)
	}
	if c.Wait < 0 {
		problem("Wait is %v: 0 or more", c.Wait)
	}
	if c.FinishTimeout < 0 {
		problem("FinishTimeout is %v: 0 for %v, or more", c.FinishTimeout, DefaultFinishTimeout)
	}
	if c.Renew && c.Lease == 0 {
		problem("Renew is set and Lease is 0: set Lease to the time after which a process that has stopped renewing is taken for dead")
	}
	if c.CompressAbove < 0 {
		problem("CompressAbove is %d: 0 or more", c.CompressAbove)
	}
	if c.CacheSize < 0 {
		problem("CacheSize is %d: 0 or more", c.CacheSize)
	}
	if c.LockOnly && (c.Policy != nil || c.OnReplay != nil || c.CacheSize > 0 || c.CompressAbove > 0) {
		problem("LockOnly stores no results: leave Policy, OnReplay, CacheSize and CompressAbove unset")
	}
	return errors.Join(problems...)
}

func disabledBy(value string) (bool, error) {
	switch strings.ToLower(value) {
	case "1", "true", "t", "yes", "y", "on":
		return true, nil
	case "", "0", "false", "f", "no", "n", "off":
		return false, nil
	default:
		return false, fmt.Errorf("environment variable %s is %q: true or false", DisabledVariable, value)
	}
}
