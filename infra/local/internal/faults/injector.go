package faults

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda/eventsource"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/sqs"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
)

// errLost is what state machines and event sources hear of a call whose reply was lost.
var errLost = errors.New("the connection was closed before the reply arrived")

// An Injector has calls fail. It may be used by many goroutines at once.
type Injector struct{ settings Settings }

// New returns an injector. With settings that have no call fail it changes nothing.
func New(settings Settings) *Injector { return &Injector{settings} }

// A fault is what becomes of a call.
type fault int

const (
	none fault = iota
	throttled
	lost
	slow
	failed
	cut
)

// A source draws the faults of the calls that come one way.
type source struct {
	shares Shares
	delay  time.Duration

	mu     sync.Mutex
	random *rand.Rand
}

// source makes the source of a way that leads to a service: nil if no call that comes there fails. The prefix tells it from
// other ways to the service.
func (i *Injector) source(prefix string, service Service) *source {
	shares := i.settings.of(service)
	if !shares.any() {
		return nil
	}
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(prefix + service.name))
	return &source{shares: shares, delay: i.settings.Delay, random: rand.New(rand.NewPCG(i.settings.Seed, hash.Sum64()))}
}

func (s *source) next() fault {
	s.mu.Lock()
	at := s.random.Float64()
	s.mu.Unlock()
	for _, share := range []struct {
		of    float64
		fault fault
	}{{s.shares.Throttle, throttled}, {s.shares.Lost, lost}, {s.shares.Slow, slow}, {s.shares.Failed, failed}, {s.shares.Cut, cut}} {
		if at < share.of {
			return share.fault
		}
		at -= share.of
	}
	return none
}

// wait holds a call up. A caller that leaves meanwhile is the error.
func (s *source) wait(ctx context.Context) error {
	timer := time.NewTimer(s.delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Handler stands in front of the handler of a service.
func (i *Injector) Handler(service Service, next http.Handler) http.Handler {
	source := i.source("", service)
	if source == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch source.next() {
		case throttled:
			service.refuse(w, r, service.throttled)
			return
		case failed:
			service.refuse(w, r, service.failed)
			return
		case cut:
			answer := &unsent{header: http.Header{}}
			next.ServeHTTP(answer, r)
			answer.sendHalf(w)
			panic(http.ErrAbortHandler) // closes the connection
		case lost:
			next.ServeHTTP(&unsent{header: http.Header{}}, r)
			panic(http.ErrAbortHandler) // closes the connection
		case slow:
			if source.wait(r.Context()) != nil {
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// unsent takes a reply that is lost, or cut.
type unsent struct {
	header http.Header
	status int
	body   []byte
}

func (u *unsent) Header() http.Header { return u.header }

func (u *unsent) Write(p []byte) (int, error) {
	u.body = append(u.body, p...)
	return len(p), nil
}

func (u *unsent) WriteHeader(status int) { u.status = cmp.Or(u.status, status) }

// sendHalf sends the header section, which says how long the body is, and the first half of that. Of an answer that has no
// body nothing is sent.
func (u *unsent) sendHalf(w http.ResponseWriter) {
	if len(u.body) == 0 {
		return
	}
	maps.Copy(w.Header(), u.header)
	w.Header().Set("Content-Length", strconv.Itoa(len(u.body)))
	w.WriteHeader(cmp.Or(u.status, http.StatusOK))
	_, _ = w.Write(u.body[:len(u.body)/2]) // a caller that is gone needs no answer
	_ = http.NewResponseController(w).Flush()
}

// Lambda stands in front of the functions that state machines invoke.
func (i *Injector) Lambda(next asl.Lambda) asl.Lambda {
	source := i.source("state machine: ", Lambda)
	if source == nil {
		return next
	}
	return asl.LambdaFunc(func(ctx context.Context, function string, payload []byte) (asl.Invocation, error) {
		return call(ctx, source, Lambda, refusal.toStateMachine, func() (asl.Invocation, error) { return next.Invoke(ctx, function, payload) })
	})
}

// DynamoDB stands in front of the tables that state machines write to.
func (i *Injector) DynamoDB(next asl.DynamoDB) asl.DynamoDB {
	source := i.source("state machine: ", DynamoDB)
	if source == nil {
		return next
	}
	return asl.DynamoDBFunc(func(ctx context.Context, input json.RawMessage) (json.RawMessage, error) {
		return call(ctx, source, DynamoDB, refusal.toStateMachine, func() (json.RawMessage, error) { return next.UpdateItem(ctx, input) })
	})
}

// SQS stands in front of the queues that state machines send messages to.
func (i *Injector) SQS(next asl.SQS) asl.SQS {
	source := i.source("state machine: ", SQS)
	if source == nil {
		return next
	}
	return asl.SQSFunc(func(ctx context.Context, input json.RawMessage) (json.RawMessage, error) {
		return call(ctx, source, SQS, refusal.toStateMachine, func() (json.RawMessage, error) { return next.SendMessage(ctx, input) })
	})
}

// StepFunctions stands in front of the state machines whose executions state machines start.
func (i *Injector) StepFunctions(next asl.StepFunctions) asl.StepFunctions {
	source := i.source("state machine: ", StepFunctions)
	if source == nil {
		return next
	}
	return asl.StepFunctionsFunc(func(ctx context.Context, input json.RawMessage) (json.RawMessage, error) {
		return call(ctx, source, StepFunctions, refusal.toStateMachine, func() (json.RawMessage, error) { return next.StartExecution(ctx, input) })
	})
}

// Queues stands in front of the queues that event sources poll.
func (i *Injector) Queues(next eventsource.Queues) eventsource.Queues {
	source := i.source("event source: ", SQS)
	if source == nil {
		return next
	}
	return eventsource.QueuesFunc(func(ctx context.Context, operation string, input json.RawMessage) (json.RawMessage, error) {
		return call(ctx, source, SQS, refusal.ofQueue, func() (json.RawMessage, error) { return next.Call(ctx, operation, input) })
	})
}

// Functions stands in front of the functions that event sources invoke.
func (i *Injector) Functions(next eventsource.Functions) eventsource.Functions {
	source := i.source("event source: ", Lambda)
	if source == nil {
		return next
	}
	return eventsource.FunctionsFunc(func(ctx context.Context, name string, payload []byte) (lambda.Result, error) {
		return call(ctx, source, Lambda, refusal.ofFunction, func() (lambda.Result, error) { return next.Invoke(ctx, name, payload) })
	})
}

// call is a call of a service that is made within this process. Refused is the error by which the caller hears of a refusal.
func call[R any](ctx context.Context, source *source, service Service, refused func(refusal) error, next func() (R, error)) (R, error) {
	var nothing R
	switch source.next() {
	case throttled:
		return nothing, refused(service.throttled)
	case failed:
		return nothing, refused(service.failed)
	case lost, cut:
		if _, err := next(); ctx.Err() != nil {
			return nothing, err
		}
		return nothing, errLost
	case slow:
		if err := source.wait(ctx); err != nil {
			return nothing, err
		}
	}
	return next()
}

// toStateMachine is the refusal as a state machine hears of it.
func (r refusal) toStateMachine() error {
	return &asl.ServiceError{Code: r.code, Message: r.message, StatusCode: r.status}
}

// ofQueue is the refusal as an event source hears of it from its queue.
func (r refusal) ofQueue() error { return &sqs.Error{Code: r.code, Message: r.message} }

// ofFunction is the refusal as an event source hears of it from its function.
func (r refusal) ofFunction() error {
	return &lambda.Error{Code: r.code, StatusCode: r.status, Message: r.message}
}
