package sqs

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/datafile"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
)

// Config says where a store pretends to be, and what it goes by.
type Config struct {
	// Region and AccountID are those in the ARNs of queues. Defaults: us-east-1, 000000000000.
	Region, AccountID string

	// BaseURL is what the URLs of queues begin with, without a slash at its end. Default: https://sqs.REGION.amazonaws.com.
	BaseURL string

	// Clock is what visibility timeouts, delays, retention and long polls go by. Default: the real one. Whoever calls
	// [Store.Call] by another one has to have entered that; requests over HTTP enter it themselves.
	Clock clock.Clock

	// File keeps messages, so that they are there again in a store that is made with it later. The caller closes it.
	// Default: they are in memory only.
	File *datafile.File
}

// A Store holds queues. It is safe for concurrent use.
type Store struct {
	config Config

	mu     sync.Mutex
	queues map[string]*queue // by name
	tasks  []moveTask        // the newest is the last one
	sent   uint64            // messages so far
}

// New makes a store without queues.
func New(config Config) *Store {
	if config.Region == "" {
		config.Region = "us-east-1"
	}
	if config.AccountID == "" {
		config.AccountID = "000000000000"
	}
	if config.BaseURL == "" {
		config.BaseURL = "https://sqs." + config.Region + ".amazonaws.com"
	}
	if config.Clock == nil {
		config.Clock = clock.Real
	}
	return &Store{config: config, queues: map[string]*queue{}}
}

// ARN is the ARN of a queue.
func ARN(region, accountID, name string) string {
	return "arn:aws:sqs:" + region + ":" + accountID + ":" + name
}

// URL is the URL of a queue.
func URL(base, accountID, name string) string { return base + "/" + accountID + "/" + name }

// Create adds queues, which may be dead letter queues of each other. Messages that the file holds for queues of these names
// are there again. The error says all that is wrong; nothing is added then.
func (s *Store) Create(queues ...Queue) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	created := map[string]*queue{}
	var problems []error
	for _, given := range queues {
		given.setDefaults()
		err := given.Validate()
		if s.queues[given.Name] != nil || created[given.Name] != nil {
			err = errors.Join(err, fmt.Errorf("sqs: there are two queues of the name %q; names are unique", given.Name))
		}
		problems = append(problems, err)
		created[given.Name] = s.newQueue(given)
	}
	for _, given := range queues {
		problems = append(problems, s.checkRedrive(given, created))
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	for _, q := range created {
		if err := s.load(q); err != nil {
			return err
		}
	}
	for name, q := range created {
		s.queues[name] = q
	}
	return nil
}

// checkRedrive says what is wrong with the dead letter queue that a queue names.
func (s *Store) checkRedrive(given Queue, created map[string]*queue) error {
	if given.Redrive == nil {
		return nil
	}
	target := s.byARN(given.Redrive.DeadLetterTargetARN)
	for _, q := range created {
		if q.arn == given.Redrive.DeadLetterTargetARN {
			target = q
		}
	}
	if target == nil || target.Name == given.Name {
		return fmt.Errorf("sqs: the queue %q has %q as its dead letter queue, which is not there, or itself; name another queue that is created with it", given.Name, given.Redrive.DeadLetterTargetARN)
	}
	if !target.RedriveAllow.allows(ARN(s.config.Region, s.config.AccountID, given.Name)) {
		return fmt.Errorf("sqs: the queue %q has %q as its dead letter queue, whose RedriveAllowPolicy does not allow that", given.Name, target.Name)
	}
	return nil
}

// Call runs an operation, such as "SendMessage", with the parameters and the result as the API has them in JSON. The error
// is an [*Error], or the context's if it was over before the operation began or while it waited.
func (s *Store) Call(ctx context.Context, operation string, input json.RawMessage) (json.RawMessage, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	run, known := operations[operation]
	if !known {
		return nil, refusal(CodeUnknownOperation, "The local SQS does not support the operation %s", operation)
	}
	output, err := run(ctx, s, input)
	if err != nil {
		var own *Error
		if !errors.As(err, &own) && ctx.Err() == nil {
			err = refusal(CodeInternalFailure, "%v", err)
		}
		return nil, err
	}
	encoded, err := json.Marshal(output)
	if err != nil {
		return nil, refusal(CodeInternalFailure, "the answer cannot be written as JSON")
	}
	return encoded, nil
}

// find finds the queue of a URL. Only the account and the name at its end count: a queue is reached under several hosts.
func (s *Store) find(queueURL string) (*queue, error) {
	if queueURL == "" {
		return nil, missing("QueueUrl")
	}
	parsed, err := url.Parse(queueURL)
	if err != nil || parsed.Host == "" {
		return nil, refusal(CodeInvalidAddress, "The address %s is not valid for this endpoint.", queueURL)
	}
	parts := strings.Split(strings.Trim(parsed.Path, "/"), "/")
	if len(parts) != 2 {
		return nil, refusal(CodeInvalidAddress, "The address %s is not valid for this endpoint.", queueURL)
	}
	if q := s.queues[parts[1]]; q != nil && parts[0] == s.config.AccountID {
		return q, nil
	}
	return nil, errNoSuchQueue
}

var errNoSuchQueue = &Error{Code: CodeQueueDoesNotExist, Message: "The specified queue does not exist."}

// byARN finds the queue of an ARN, or gives nil.
func (s *Store) byARN(arn string) *queue {
	for _, q := range s.queues {
		if q.arn == arn {
			return q
		}
	}
	return nil
}

// sorted are the queues in the order of their names.
func (s *Store) sorted() []*queue {
	all := make([]*queue, 0, len(s.queues))
	for _, q := range s.queues {
		all = append(all, q)
	}
	slices.SortFunc(all, func(a, b *queue) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// newID is a version 4 UUID (RFC 9562), the form of the service's ids.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it does not fail
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
