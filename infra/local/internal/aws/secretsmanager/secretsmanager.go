package secretsmanager

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Config says where a store pretends to be.
type Config struct {
	// Region and AccountID are those in the ARNs of secrets. Defaults: us-east-1, 000000000000.
	Region, AccountID string

	// Clock tells the time. Default: time.Now.
	Clock func() time.Time
}

// A Store holds secrets. It is safe for concurrent use.
type Store struct {
	config Config

	// refreshing is held while a [Store.Refresh] function runs, so that one call does at a time.
	refreshing sync.Mutex
	refresh    func() (values map[string]string, changed bool)

	mu      sync.Mutex
	secrets map[string]*secret // by name
	made    int                // secrets so far
}

// New makes a store without secrets.
func New(config Config) *Store {
	if config.Region == "" {
		config.Region = "us-east-1"
	}
	if config.AccountID == "" {
		config.AccountID = "000000000000"
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	return &Store{config: config, secrets: map[string]*secret{}}
}

// A Secret is one to be created.
type Secret struct {
	Name string

	// ARN is the secret's own, with the hyphen and six characters at its end. Default: [ARN] of the name.
	ARN string

	Description string
	Tags        map[string]string

	// String or Binary is the value. A secret with neither has no version yet.
	String string
	Binary []byte
}

// Validate lists all that is wrong with the secret in one error. The value is not in it.
func (s Secret) Validate() error {
	problems := []error{checkName(s.Name)}
	if s.ARN != "" && nameIn(s.ARN) != s.Name {
		problems = append(problems, fmt.Errorf("the ARN of the secret %q is %q, which is not that of a secret of this name", s.Name, s.ARN))
	}
	if s.String != "" && s.Binary != nil {
		problems = append(problems, fmt.Errorf("the secret %q has a string and a binary value; give it one of them", s.Name))
	}
	if s.String != "" || s.Binary != nil {
		problems = append(problems, checkSize(s.Name, max(len(s.String), len(s.Binary))))
	}
	return errors.Join(problems...)
}

// Create adds a secret.
func (s *Store) Create(given Secret) error {
	if err := given.Validate(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.secrets[given.Name] != nil {
		return refusal(CodeResourceExists, "The operation failed because the secret %s already exists.", given.Name)
	}
	added := s.add(given.Name, given.ARN)
	added.description = given.Description
	for _, key := range slices.Sorted(maps.Keys(given.Tags)) {
		added.tags = append(added.tags, tag{key, given.Tags[key]})
	}
	if given.String != "" || given.Binary != nil {
		added.put(newID(), content{text: given.String, binary: bytes.Clone(given.Binary)}, []string{labelCurrent}, added.created)
	}
	return nil
}

// add adds a secret without a value. Whoever calls it holds the mutex.
func (s *Store) add(name, arn string) *secret {
	if arn == "" {
		arn = ARN(s.config.Region, s.config.AccountID, name)
	}
	now := s.config.Clock()
	s.made++
	added := &secret{name: name, arn: arn, created: now, changed: now, number: s.made}
	s.secrets[name] = added
	return added
}

// Provide gives secrets their values, by their names. A secret that stands for one in AWS which others refer to by its
// complete ARN is given by that instead:
//
//	arn:aws:secretsmanager:eu-west-1:123456789012:secret:orders/token-a1B2c3
//
// Secrets that are not there are made. If one is there and has another value, the one that is given becomes its current
// version, and the one before its previous version. A secret that an earlier call has made, and that this one does not
// name, is gone. The error says all that is wrong, and none of the values; nothing is changed then.
func (s *Store) Provide(values map[string]string) error {
	ids := map[string]string{} // by name
	var problems []error
	for _, id := range slices.Sorted(maps.Keys(values)) {
		name := cmp.Or(nameIn(id), id)
		if ids[name] != "" {
			problems = append(problems, fmt.Errorf("the secret %q is given as %q and as %q; give it once", name, ids[name], id))
		}
		ids[name] = id
		problems = append(problems, check(id, values[id]))
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, one := range s.secrets {
		if one.provided != "" && one.provided != ids[name] {
			delete(s.secrets, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(ids)) {
		id := ids[name]
		one := s.secrets[name]
		if one == nil {
			arn := ""
			if id != name {
				arn = id
			}
			one = s.add(name, arn)
			one.provided = id
		}
		value := content{text: values[id]}
		if current := one.labelled(labelCurrent); current == nil || !current.content.equal(value) {
			one.put(newID(), value, []string{labelCurrent}, s.config.Clock())
		}
	}
	return nil
}

// Refresh has the store ask, before each operation, whether the values of secrets have changed. If they have, they are
// provided as by [Store.Provide]; values that it refuses change nothing. One call of the function runs at a time.
func (s *Store) Refresh(ask func() (values map[string]string, changed bool)) {
	s.refreshing.Lock()
	defer s.refreshing.Unlock()
	s.refresh = ask
}

func (s *Store) refreshed() error {
	s.refreshing.Lock()
	defer s.refreshing.Unlock()
	if s.refresh == nil {
		return nil
	}
	values, changed := s.refresh()
	if !changed {
		return nil
	}
	return s.Provide(values)
}

// check says what is wrong with a secret that is to be provided: with its name or ARN, or with the size of its value. The
// value is not in the error.
func check(id, value string) error {
	if _, isARN := resource(id); isARN && nameIn(id) == "" {
		return fmt.Errorf("%q is no complete ARN of a secret, with a hyphen and six characters at its end; give that, or the secret's name", id)
	}
	name := cmp.Or(nameIn(id), id)
	return errors.Join(checkName(name), checkSize(name, len(value)))
}

func checkName(name string) error {
	if name == "" || len(name) > maxNameLength || strings.ContainsFunc(name, badInName) {
		return fmt.Errorf("%q is no name of a secret; give 1 to %d letters, digits and characters of !@.=+_/-", name, maxNameLength)
	}
	return nil
}

// maxSize is how many bytes the value of a secret can have.
const maxSize = 65536

func checkSize(name string, size int) error {
	if size < 1 || size > maxSize {
		return fmt.Errorf("the value of the secret %q has %d bytes; give it 1 to %d", name, size, maxSize)
	}
	return nil
}

// Call runs an operation, such as "GetSecretValue", with the parameters and the result as the API has them in JSON. The
// error is an [*Error], or the context's if it was over before the operation began.
func (s *Store) Call(ctx context.Context, operation string, input json.RawMessage) (json.RawMessage, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	run, known := operations[operation]
	if !known {
		return nil, refusal(CodeUnknownOperation, "The local Secrets Manager does not support the operation %s", operation)
	}
	if err := s.refreshed(); err != nil {
		return nil, refusal(CodeInternalServiceError, "%v", err)
	}
	output, err := run(s, input)
	if err != nil {
		var own *Error
		if !errors.As(err, &own) {
			own = refusal(CodeInternalServiceError, "%v", err)
		}
		return nil, own
	}
	encoded, err := json.Marshal(output)
	if err != nil {
		return nil, refusal(CodeInternalServiceError, "the answer cannot be written as JSON")
	}
	return encoded, nil
}
