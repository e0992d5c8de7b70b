package stepfunctions

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/datafile"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
)

// A Type is the type of a state machine.
type Type string

const (
	// Standard workflows run each step exactly once, for up to a year, and their executions have names of their own.
	Standard Type = "STANDARD"

	// Express workflows run for up to five minutes and can be waited for.
	Express Type = "EXPRESS"
)

// The longest that executions may take.
const (
	MaxExpressDuration  = 5 * time.Minute
	MaxStandardDuration = 365 * 24 * time.Hour
)

// What is kept of finished executions of a type: at most so many, and so many bytes of their inputs, outputs and histories.
// Those that finished first go first. Running executions are always kept.
const (
	MaxFinished      = 1000
	MaxFinishedBytes = 64 << 20
)

// Retention is how long an execution is known after its end, and how long its name is taken. The limits on finished
// executions may drop one before; its name, if it is one of a Standard workflow, stays taken.
const Retention = 90 * 24 * time.Hour

// Config is what a service works with.
type Config struct {
	// Lambda, DynamoDB and SQS serve the Task states.
	Lambda   asl.Lambda
	DynamoDB asl.DynamoDB
	SQS      asl.SQS

	// Clock is the clock that executions go by. Nil means the real one.
	Clock clock.Clock

	// Random yields numbers from 0 up to 1 and must be safe for concurrent use. Nil means math/rand/v2.
	Random func() float64
}

// A StateMachine is a state machine and its definition.
type StateMachine struct {
	Name string

	// ARN names the machine: arn:aws:states:<region>:<account>:stateMachine:<name>.
	ARN string

	Type Type

	// Definition is the definition in the Amazon States Language, as JSON.
	Definition string

	// RoleARN is the role that the machine would run as. It is only told back.
	RoleARN string

	// Created is when the machine was created. CreateStateMachine sets it.
	Created time.Time
}

// A Service holds state machines and runs them. It may be used by many goroutines at once.
type Service struct {
	config Config
	file   *datafile.File  // nil: executions are kept in memory only
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	runs   sync.WaitGroup

	mu         sync.Mutex
	closed     bool
	machines   map[string]*machine // by ARN
	executions map[string]*execution
	order      []*execution // as they were started
	finished   map[Type]*finished
	taken      map[string]time.Time // ARNs of executions that were dropped, and until when their names are taken
	observers  map[int]func(Execution, asl.Event)
	observed   int
}

// finished holds the executions of a type that have ended, as they did.
type finished struct {
	executions []*execution
	bytes      int
}

func (f *finished) add(e *execution) {
	f.executions = append(f.executions, e)
	f.bytes += e.bytes
}

// full says whether one has to go.
func (f *finished) full() bool {
	return len(f.executions) > 1 && (len(f.executions) > MaxFinished || f.bytes > MaxFinishedBytes)
}

type machine struct {
	StateMachine
	program *asl.Machine
}

// New returns a service without state machines. Close it when it is no longer needed.
func New(config Config) *Service {
	if config.Clock == nil {
		config.Clock = clock.Real
	}
	if config.Random == nil {
		config.Random = rand.Float64
	}
	s := &Service{
		config: config, machines: map[string]*machine{}, executions: map[string]*execution{},
		finished: map[Type]*finished{Standard: {}, Express: {}}, taken: map[string]time.Time{},
		observers: map[int]func(Execution, asl.Event){},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Close aborts all running executions, except that it leaves Standard ones where they are if there is a file, and returns
// when none goes on. Nothing can be started afterwards.
func (s *Service) Close() {
	s.mu.Lock()
	s.closed = true
	for _, e := range s.executions {
		if e.Status == asl.Running && s.durable(e) {
			e.cancel(asl.ErrSuspended)
		}
	}
	s.mu.Unlock()
	s.cancel()
	s.runs.Wait()
}

// Observe has f called with every event of every execution, from now on until stop is called. The events of one
// execution come one after the other and in order; those of different executions may come at the same time. With the
// last event of an execution its Status, Output, Error, Cause and Stopped are set. F must not block for long, because
// the execution waits for it.
func (s *Service) Observe(f func(Execution, asl.Event)) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.observed++
	id := s.observed
	s.observers[id] = f
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.observers, id)
	}
}

var versionARN = regexp.MustCompile(`^arn:aws[a-z-]*:states:([a-z0-9-]+):([0-9]{12}):stateMachine:([^:]+):[0-9]+$`)

var machineARN = regexp.MustCompile(`^arn:aws[a-z-]*:states:([a-z0-9-]+):([0-9]{12}):stateMachine:([^:]+)$`)

// CreateStateMachine adds a state machine. Its errors are InvalidArn, InvalidName, StateMachineAlreadyExists,
// InvalidDefinition, which lists everything in the definition that the interpreter does not know, and
// StateMachineTypeNotSupported.
func (s *Service) CreateStateMachine(m StateMachine) error {
	parts := machineARN.FindStringSubmatch(m.ARN)
	if parts == nil {
		return apiError(InvalidArn, "Invalid Arn: '%s' is not arn:aws:states:<region>:<account>:stateMachine:<name>", m.ARN)
	}
	if err := checkName(m.Name); err != nil {
		return err
	}
	if parts[3] != m.Name {
		return apiError(InvalidName, "Invalid Name: '%s' is not the name in the ARN '%s'", m.Name, m.ARN)
	}
	if m.Type != Standard && m.Type != Express {
		return apiError(StateMachineTypeNotSupported, "Type '%s' is none of %s, %s", m.Type, Standard, Express)
	}
	program, err := asl.Parse([]byte(m.Definition))
	if err != nil {
		return &Error{Code: InvalidDefinition, Message: fmt.Sprintf("%s: %v", m.Name, err), cause: err}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, exists := s.machines[m.ARN]; exists {
		return apiError(StateMachineAlreadyExists, "State Machine Already Exists: '%s'", m.ARN)
	}
	m.Created = s.config.Clock.Now()
	s.machines[m.ARN] = &machine{StateMachine: m, program: program}
	return nil
}

// StateMachines returns all state machines, in the order of their names.
func (s *Service) StateMachines() []StateMachine {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []StateMachine
	for _, m := range s.machines {
		all = append(all, m.StateMachine)
	}
	slices.SortFunc(all, func(a, b StateMachine) int { return strings.Compare(a.Name+a.ARN, b.Name+b.ARN) })
	return all
}

// StateMachine returns the state machine with an ARN. Its errors are InvalidArn and StateMachineDoesNotExist.
func (s *Service) StateMachine(arn string) (StateMachine, error) {
	m, err := s.machine(arn)
	if err != nil {
		return StateMachine{}, err
	}
	return m.StateMachine, nil
}

func (s *Service) machine(arn string) (*machine, error) {
	if !machineARN.MatchString(arn) && !versionARN.MatchString(arn) {
		return nil, apiError(InvalidArn, "Invalid Arn: '%s' is not that of a state machine", arn)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// A state machine is created once here, so that its first version is what it is.
	m, ok := s.machines[strings.TrimSuffix(arn, ":1")]
	if !ok {
		return nil, apiError(StateMachineDoesNotExist, "State Machine Does Not Exist: '%s'", arn)
	}
	return m, nil
}

// maxName is the length of the longest name of a state machine or execution, in characters.
const maxName = 80

// checkName applies the service's rules for names of state machines and executions.
func checkName(name string) error {
	if n := len([]rune(name)); n == 0 || n > maxName {
		return apiError(InvalidName, "Invalid Name: '%s' must have 1 to %d characters", name, maxName)
	}
	for _, r := range name {
		if r <= ' ' || (0x7f <= r && r <= 0x9f) || strings.ContainsRune(`<>{}[]?*"#%\^|~`+"`"+`$&,;:/`, r) {
			return apiError(InvalidName, "Invalid Name: '%s' holds the character %q", name, r)
		}
	}
	return nil
}
