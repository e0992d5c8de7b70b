package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
)

// grace is for how long a key outlives its record, in which clocks may differ and a late run may still complete it.
const grace = time.Minute

// An Eval has the server run a Lua script on keys, with arguments (the command EVAL, or EVALSHA with the script's hash and
// EVAL where the server does not know it), and returns its reply: a list as an []any, a string as a string or []byte.
type Eval func(ctx context.Context, script string, keys, args []string) (any, error)

// A Store is an [idempotency.Store] in Redis or Valkey. It is safe for concurrent use if its Eval is.
type Store struct{ eval Eval }

var (
	_ idempotency.Store     = (*Store)(nil)
	_ idempotency.Renewer   = (*Store)(nil)
	_ idempotency.Forgetter = (*Store)(nil)
)

// New makes a Store. It does not ask the server.
func New(eval Eval) *Store { return &Store{eval} }

// Check says what is wrong with the argument of [New].
func (s *Store) Check() error {
	if s.eval == nil {
		return errors.New("redisstore.New: eval is nil: pass a function that calls EVAL of your client, as the package's documentation shows")
	}
	return nil
}

// run runs a script on the key of a record, and returns its two strings.
func (s *Store) run(ctx context.Context, script, id string, args ...string) (outcome, document string, err error) {
	if err := ctx.Err(); err != nil {
		return "", "", err
	}
	if err := s.Check(); err != nil {
		return "", "", err
	}
	reply, err := s.eval(ctx, script, []string{id}, args)
	if err != nil {
		return "", "", err
	}
	if list, ok := reply.([]any); ok && len(list) == 2 {
		outcome, ok := text(list[0])
		document, ok2 := text(list[1])
		if ok && ok2 {
			return outcome, document, nil
		}
	}
	return "", "", fmt.Errorf("redisstore: the reply to a script is a %T, want a list of two strings: see Eval", reply)
}

func text(reply any) (string, bool) {
	switch r := reply.(type) {
	case string:
		return r, true
	case []byte:
		return string(r), true
	default:
		return "", false
	}
}

// record reads what a script returned: nil if there was nothing.
func record(id, outcome, document string) (*idempotency.Record, error) {
	if document == "" && outcome != unreadable {
		return nil, nil
	}
	r, err := decode(id, document)
	if err == nil && outcome == unreadable {
		return nil, &idempotency.UnreadableRecordError{ID: id, Err: errors.New("the value of the key is not a record to the server's JSON")}
	}
	return r, err
}

// Insert implements [idempotency.Store].
func (s *Store) Insert(ctx context.Context, r idempotency.Record, now time.Time) (bool, *idempotency.Record, error) {
	value, err := encode(r)
	if err != nil {
		return false, nil, err
	}
	over := time.Unix(r.Expiration.Unix(), 0)
	if r.LeaseEnd.After(over) {
		over = r.LeaseEnd
	}
	keep := max(over.Sub(now), 0) + grace
	outcome, document, err := s.run(ctx, insertScript, r.ID, milliseconds(now), seconds(now), value, strconv.FormatInt(keep.Milliseconds(), 10))
	if err != nil {
		return false, nil, err
	}
	existing, err := record(r.ID, outcome, document)
	if outcome == done {
		return true, existing, nil // nil also if it cannot be read: it is dead, and has been replaced
	}
	return false, existing, err
}

// Get implements [idempotency.Store].
func (s *Store) Get(ctx context.Context, id string) (*idempotency.Record, error) {
	outcome, document, err := s.run(ctx, getScript, id)
	if err != nil {
		return nil, err
	}
	return record(id, outcome, document)
}

// Complete implements [idempotency.Store].
func (s *Store) Complete(ctx context.Context, r idempotency.Record) error {
	args := []string{r.Owner, seconds(r.Expiration)}
	if r.Data != nil {
		args = append(args, string(r.Data))
	}
	return s.write(ctx, completeScript, r.ID, args...)
}

// Release implements [idempotency.Store].
func (s *Store) Release(ctx context.Context, id, owner string) error {
	return s.write(ctx, releaseScript, id, owner)
}

// Renew implements [idempotency.Renewer].
func (s *Store) Renew(ctx context.Context, r idempotency.Record) error {
	return s.write(ctx, renewScript, r.ID, r.Owner, milliseconds(r.LeaseEnd), seconds(r.Expiration))
}

// write runs a script of the record's owner.
func (s *Store) write(ctx context.Context, script, id string, args ...string) error {
	outcome, _, err := s.run(ctx, script, id, args...)
	if err == nil && outcome == lost {
		return fmt.Errorf("%w: %s", idempotency.ErrOwnershipLost, id)
	}
	return err
}

// Forget implements [idempotency.Forgetter].
func (s *Store) Forget(ctx context.Context, id string, now time.Time) (*idempotency.Record, error) {
	outcome, document, err := s.run(ctx, forgetScript, id, milliseconds(now), seconds(now))
	if err != nil || outcome != conflict {
		return nil, err
	}
	return record(id, outcome, document)
}

func milliseconds(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }
func seconds(t time.Time) string      { return strconv.FormatInt(t.Unix(), 10) }
