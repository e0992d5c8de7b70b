package lambda

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Defaults of [Config].
const (
	// DefaultRegion is the region of functions whose ARN is not given.
	DefaultRegion = "us-east-1"

	// DefaultAccountID is the account of functions whose ARN is not given.
	DefaultAccountID = "000000000000"

	// DefaultIdleTimeout is how long a sandbox stays without work before its process is ended. Lambda publishes no
	// figure; minutes are what is seen.
	DefaultIdleTimeout = 5 * time.Minute

	// DefaultInitTimeout is Lambda's limit for the Init phase, after which the initialisation is repeated as part of
	// the invocation.
	DefaultInitTimeout = 10 * time.Second

	// DefaultConcurrency is the number of invocations that may run at once over all functions: the default quota of an
	// account and region.
	DefaultConcurrency = 1000
)

// Config says how a [Host] runs its functions. The zero value is usable.
type Config struct {
	// Region is set as AWS_REGION and AWS_DEFAULT_REGION and used in ARNs. Default: DefaultRegion.
	Region string

	// AccountID is the account in ARNs, 12 digits. Default: DefaultAccountID.
	AccountID string

	// Env is added to the environment of every function and overrides what Lambda and the function set.
	Env map[string]string

	// Log receives every line that a function writes and every platform event, one at a time and in order for each
	// sandbox. It holds up all functions while it runs, and must not call the host. Default: nothing is logged.
	Log func(LogEvent)

	// Metric receives what Lambda tells CloudWatch of. It may be called at any time and holds up all functions while it runs, and must
	// not call the host. Default: nobody is told.
	Metric func(Metric)

	// KeepRunning lets processes run on between invocations, such as under a debugger. Default: they are frozen.
	KeepRunning bool

	// IdleTimeout is how long an idle process is kept. Default: DefaultIdleTimeout.
	IdleTimeout time.Duration

	// InitTimeout limits a process from its start to its first request for work. Default: DefaultInitTimeout.
	InitTimeout time.Duration

	// Concurrency limits the invocations that run at once over all functions. What functions have reserved is set aside
	// for them, and the others share the rest. Default: DefaultConcurrency.
	Concurrency int

	// Now is the clock for everything that is reported: times of log events, names of log streams, times in events.
	// Timeouts run in real time, because the processes do. Default: time.Now.
	Now func() time.Time

	// Random is the source of request ids and trace ids. Default: crypto/rand.Reader.
	Random io.Reader
}

var accountID = regexp.MustCompile(`^\d{12}$`)

func (c *Config) setDefaults() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if c.Region == "" {
		c.Region = DefaultRegion
	}
	if c.AccountID == "" {
		c.AccountID = DefaultAccountID
	}
	if !accountID.MatchString(c.AccountID) {
		problem("Config.AccountID is %q: 12 digits are needed", c.AccountID)
	}
	if c.IdleTimeout < 0 {
		problem("Config.IdleTimeout is %v: it must not be negative (0 means %v)", c.IdleTimeout, DefaultIdleTimeout)
	}
	if c.IdleTimeout == 0 {
		c.IdleTimeout = DefaultIdleTimeout
	}
	if c.InitTimeout < 0 {
		problem("Config.InitTimeout is %v: it must not be negative (0 means %v)", c.InitTimeout, DefaultInitTimeout)
	}
	if c.InitTimeout == 0 {
		c.InitTimeout = DefaultInitTimeout
	}
	if c.Concurrency < 0 {
		problem("Config.Concurrency is %d: it must not be negative (0 means %d)", c.Concurrency, DefaultConcurrency)
	}
	if c.Concurrency == 0 {
		c.Concurrency = DefaultConcurrency
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	return errors.Join(problems...)
}

// Host runs functions. Its methods may be called from several goroutines.
type Host struct {
	config  Config
	api     http.Handler
	starter *starter

	logMu    sync.Mutex
	randomMu sync.Mutex

	mu        sync.Mutex
	functions map[string]*function // by name
	sandboxes map[*sandbox]struct{}
	active    int // invocations that are running, over all functions without a reserved concurrency
	running   int // invocations that are running, over all functions
	reserved  int // the reserved concurrencies of all functions together
	closed    bool

	// room tells waiting events that an invocation has ended or the host is closed.
	room *sync.Cond

	// invocations counts what Close waits for in addition to the sandboxes.
	invocations sync.WaitGroup

	// processes counts sandboxes whose process has not been reaped.
	processes sync.WaitGroup
}

// NewHost returns a host without functions. The error lists every problem of the configuration.
func NewHost(config Config) (*Host, error) {
	if err := config.setDefaults(); err != nil {
		return nil, fmt.Errorf("lambda: %w", err)
	}
	h := &Host{
		config:    config,
		starter:   newStarter(),
		functions: make(map[string]*function),
		sandboxes: make(map[*sandbox]struct{}),
	}
	h.room = sync.NewCond(&h.mu)
	h.api = newAPI(h)
	return h, nil
}

// Add makes a function known. No process is started before its first invocation. The error lists every problem of the
// definition.
func (h *Host) Add(definition Function) error {
	fn, err := newFunction(h, definition)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return ErrClosed
	}
	if _, exists := h.functions[fn.Name]; exists {
		return fmt.Errorf("lambda: function %q is there already: names are unique on a host", fn.Name)
	}
	if n := fn.ReservedConcurrency; n != nil {
		if h.reserved+*n > h.config.Concurrency {
			return fmt.Errorf("lambda: function %q: Function.ReservedConcurrency is %d: of Config.Concurrency, %d, the other functions leave %d",
				fn.Name, *n, h.config.Concurrency, h.config.Concurrency-h.reserved)
		}
		h.reserved += *n
	}
	h.functions[fn.Name] = fn
	return nil
}

// Functions returns the definitions in the order of their names, defaults filled in.
func (h *Host) Functions() []Function {
	var all []Function
	for _, fn := range h.sorted() {
		all = append(all, fn.Function)
	}
	return all
}

func (h *Host) sorted() []*function {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]*function, 0, len(h.functions))
	for _, fn := range h.functions {
		all = append(all, fn)
	}
	slices.SortFunc(all, func(a, b *function) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Close kills every function process and returns when all are gone. Invocations that are running end with [ErrClosed],
// and so do later ones.
func (h *Host) Close() error {
	h.mu.Lock()
	first := !h.closed
	h.closed = true
	for s := range h.sandboxes {
		s.process.kill()
	}
	h.room.Broadcast()
	h.mu.Unlock()
	h.invocations.Wait()
	h.processes.Wait()
	if first {
		h.starter.stop()
	}
	return nil
}

func (h *Host) isClosed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closed
}

// random returns n random bytes.
func (h *Host) random(n int) []byte {
	b := make([]byte, n)
	h.randomMu.Lock()
	defer h.randomMu.Unlock()
	if _, err := io.ReadFull(h.config.Random, b); err != nil {
		// crypto/rand does not fail; an injected source that ends is a mistake in a test.
		panic(fmt.Sprintf("lambda: Config.Random: %v", err))
	}
	return b
}

// requestID returns a version 4 UUID (RFC 9562), the form of Lambda's request ids.
func (h *Host) requestID() string {
	b := h.random(16)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
