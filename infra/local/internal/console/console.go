package console

import (
	"embed"
	"encoding/json"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/dynamodb"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/demo"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/executionview"
)

// Path is where the console is. Everything below it is the console's.
const Path = "/-/local/"

// Config is what a console is told of the stack that it shows.
type Config struct {
	// Upstream is the base URL of the upstream, to be shown.
	Upstream string

	// Demo is the demo upstream, if that is what is called. Nil means a real server: its settings are not shown, and its
	// calls are counted by the attempts.
	Demo *demo.Upstream

	// Speed is how much faster the waits between attempts pass. Default: 1.
	Speed float64

	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// A Console shows one stack. It is safe for concurrent use.
type Console struct {
	config  Config
	handler http.Handler

	mu            sync.Mutex
	stepFunctions *stepfunctions.Service // nil until Watch
	tables        *dynamodb.Store
	executions    executions
	requests      requests
	metrics       metrics
	listeners     map[*listener]struct{}
}

//go:embed page
var page embed.FS

// New makes a console. It shows nothing until it is told what to watch.
func New(config Config) *Console {
	if config.Speed == 0 {
		config.Speed = 1
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	c := &Console{config: config, metrics: metrics{}, listeners: map[*listener]struct{}{}}
	c.executions.byARN = map[string]*Execution{}
	files, err := fs.Sub(page, "page")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	mux := http.NewServeMux()
	mux.Handle("GET "+Path, http.StripPrefix(Path, http.FileServerFS(files)))
	mux.HandleFunc("GET "+Path+"definition", c.getDefinition)
	mux.HandleFunc("GET "+Path+"executions", c.getExecutions)
	mux.HandleFunc("GET "+Path+"executions/{name}", c.getExecution)
	mux.HandleFunc("GET "+Path+"records", c.getRecords)
	mux.HandleFunc("GET "+Path+"gates", c.getGates)
	mux.HandleFunc("GET "+Path+"requests", c.getRequests)
	mux.HandleFunc("POST "+Path+"requests", c.postRequest)
	mux.HandleFunc("GET "+Path+"upstream", c.getUpstream)
	mux.HandleFunc("PUT "+Path+"upstream", c.putUpstream)
	mux.HandleFunc("GET "+Path+"events", c.getEvents)
	c.handler = guarded(mux)
	return c
}

// Watch shows the executions of a service, and the records and the gates in a store. It is called once, when nothing is executed yet: of
// the executions that the service has from a file it shows what they did so far.
func (c *Console) Watch(service *stepfunctions.Service, tables *dynamodb.Store, view executionview.View) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.executions.view = view
	c.stepFunctions, c.tables = service, tables
	earlier, _ := service.Executions("", "") // of all state machines, which cannot be unknown
	for _, execution := range slices.Backward(earlier[:min(len(earlier), MaxExecutions)]) {
		events, _ := service.History(execution.ARN) // it was there a moment ago
		for _, event := range events {
			c.executions.take(execution, event, c.config.Speed)
		}
	}
	c.executions.attempts = 0 // the upstream that is shown was not called for them
	service.Observe(c.observe)
}

// Middleware puts the console before the handler of the function URL. It has the form of stack.Config.Middleware.
func (c *Console) Middleware(url http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, Path):
			c.handler.ServeHTTP(rw, r)
		case r.URL.Path == strings.TrimSuffix(Path, "/"):
			http.Redirect(rw, r, Path, http.StatusMovedPermanently)
		default:
			url.ServeHTTP(rw, r)
		}
	})
}

// observe takes in an event of an execution.
func (c *Console) observe(execution stepfunctions.Execution, event asl.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.executions.take(execution, event, c.config.Speed)
	c.tell(func(l *listener) { l.executions[execution.ARN] = struct{}{} })
}

// watched is what is watched, or nil before there is anything.
func (c *Console) watched() (*stepfunctions.Service, *dynamodb.Store) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stepFunctions, c.tables
}

// writeJSON answers with a value.
func writeJSON(rw http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		writeProblem(rw, http.StatusInternalServerError, err.Error())
		return
	}
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(status)
	_, _ = rw.Write(body)
}
