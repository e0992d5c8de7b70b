package stack_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/npmpackages"
)

// The bases that clients call: the upstream itself; the stack in front of it; one with attempts of half a second at most; and
// one whose upstream is down.
const (
	directBase    = "direct"
	stackBase     = "through"
	impatientBase = "impatient"
	downBase      = "down"
)

var bothWays = []string{directBase, stackBase}

// A clientOperation is what clients do, and what the upstream answers.
type clientOperation struct {
	method    string // of testdata/clients/clients.mjs
	size      int    // of the text that is sent
	keyLength int    // of the Idempotency-Key; 0 for none
	bases     []string
	clients   []string // nil for all
	answer    http.HandlerFunc
}

func (o clientOperation) by(client string) bool {
	return o.clients == nil || slices.Contains(o.clients, client)
}

// operationsOfClients are carried out with the client's retries as they are, and those that fail again with its retries
// turned off: they then have unretried behind their name.
var operationsOfClients = map[string]clientOperation{
	"read":        {method: "get", bases: bothWays, answer: answerJSON(http.StatusOK, oneThing)},
	"write":       {method: "post", size: 10, bases: bothWays, answer: answerJSON(http.StatusOK, oneThing)},
	"missing":     {method: "get", bases: bothWays, answer: answerJSON(http.StatusNotFound, notNow)},
	"too-large":   {method: "post", size: 300_000, bases: bothWays, answer: answerJSON(http.StatusOK, oneThing)},
	"long-key":    {method: "post", keyLength: 300, bases: bothWays, answer: answerJSON(http.StatusOK, oneThing)},
	"no-answer":   {method: "get", bases: []string{downBase}},
	"unfit":       {method: "get", bases: []string{directBase}, answer: answerUnfit},
	"unavailable": {method: "get", bases: bothWays, answer: answerJSON(http.StatusServiceUnavailable, notNow)},
	"unwritten":   {method: "post", size: 10, bases: bothWays, answer: answerJSON(http.StatusServiceUnavailable, notNow)},
	"limited":     {method: "get", bases: bothWays, answer: answerJSON(http.StatusTooManyRequests, notNow, "Retry-After", "1")},
	"broken":      {method: "get", bases: bothWays, answer: answerNothing},
	"used-up":     {method: "get", bases: bothWays, clients: []string{"octokit"}, answer: answerUsedUp},
	"redirect":    {method: "get", bases: bothWays, clients: []string{"openai", "anthropic", "octokit", "got", "ky", "axios"}, answer: answerElsewhere},
	"pages":       {method: "pages", bases: bothWays, clients: []string{"octokit"}, answer: answerPage},
	"late":        {method: "post", bases: []string{directBase, impatientBase}, answer: answerLate},
}

const unretried = "-unretried"

var failingOperations = []string{"unavailable", "unwritten", "limited", "broken", "used-up"}

const (
	oneThing = `{"id":"1","object":"thing"}`

	// notNow has the members in which one client or another looks for what is wrong.
	notNow = `{"message":"not now","error":{"type":"api_error","code":"not_now","message":"not now"}}`
)

// answerJSON answers with a status, a body of JSON, and header fields in pairs of name and value.
func answerJSON(code int, body string, fields ...string) http.HandlerFunc {
	return respond(code, body, append(fields, "Content-Type", "application/json")...)
}

// answerUnfit answers with a problem of RFC 9457 that has only the members named there.
func answerUnfit(w http.ResponseWriter, r *http.Request) {
	respond(http.StatusUnprocessableEntity, `{"type":"https://example.com/problems#unfit","title":"That does not fit","status":422}`,
		"Content-Type", "application/problem+json")(w, r)
}

// answerNothing closes the connection without an answer.
func answerNothing(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// answerUsedUp answers as GitHub does when a quota is used up.
func answerUsedUp(w http.ResponseWriter, r *http.Request) {
	reset := strconv.FormatInt(time.Now().Add(time.Second).Unix(), 10)
	answerJSON(http.StatusTooManyRequests, notNow, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", reset)(w, r)
}

// answerElsewhere redirects to an absolute URL of the upstream's, once.
func answerElsewhere(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/elsewhere") {
		answerJSON(http.StatusOK, oneThing)(w, r)
		return
	}
	respond(http.StatusFound, "", "Location", "http://"+r.Host+r.URL.Path+"/elsewhere")(w, r)
}

// answerPage answers with one of three pages, and an absolute link to the next.
func answerPage(w http.ResponseWriter, r *http.Request) {
	number, _ := strconv.Atoi(r.URL.Query().Get("page"))
	var link []string
	if number < 2 {
		link = []string{"Link", fmt.Sprintf(`<http://%s%s?page=%d>; rel="next"`, r.Host, r.URL.Path, number+1)}
	}
	answerJSON(http.StatusOK, fmt.Sprintf(`[{"page":%d}]`, number), link...)(w, r)
}

// impatience is how long an attempt of the impatient stack may take.
const impatience = 500 * time.Millisecond

// answerLate answers when such an attempt would be over.
func answerLate(w http.ResponseWriter, r *http.Request) {
	select {
	case <-time.After(2 * impatience):
		answerJSON(http.StatusOK, oneThing)(w, r)
	case <-r.Context().Done():
	}
}

// A clientLab is where clients are run: an upstream that answers each operation in its way, and stacks in front of it.
type clientLab struct {
	modules string // where the clients are installed
	bases   map[string]string

	mu       sync.Mutex
	received map[clientCall][]clientRequest // by the upstream
	astray   map[clientCall]int             // how often it was not from where the client had called
	called   map[clientCall]int             // how often a stack was
}

// A clientRequest is what the upstream got.
type clientRequest struct {
	method, contentType, body string
}

func newClientLab(t *testing.T) *clientLab {
	t.Helper()
	lab := &clientLab{modules: npmpackages.Installed(t, clientsDirectory), received: map[clientCall][]clientRequest{}, astray: map[clientCall]int{}, called: map[clientCall]int{}}
	upstream := serve(t, lab.answer)
	// Clients wait for as long as the stack says, in real time. The budgets are those of the default policy.
	brief := `"rateLimits":{"max":"1s"},"serverErrors":{"max":"1s"},"networkFailures":{"max":"1s"}`
	counted := func(_ testing.TB, c *config) { c.Middleware = lab.count }
	lab.bases = map[string]string{
		directBase:    upstream,
		stackBase:     start(t, upstream, policy("{"+brief+"}"), counted).URL(),
		impatientBase: start(t, upstream, policy(fmt.Sprintf(`{%s,"attemptTimeout":"%s"}`, brief, impatience)), counted).URL(),
		downBase:      start(t, closedAddress(t), policy("{"+brief+"}"), counted).URL(),
	}
	return lab
}

// A clientCall says who asks for what, and where. It is a segment of each path that is asked for.
type clientCall struct{ client, operation, base string }

func (c clientCall) String() string { return c.client + "~" + c.operation + "~" + c.base }

// callOf finds the call in the path of a request.
func callOf(r *http.Request) clientCall {
	for segment := range strings.SplitSeq(r.URL.Path, "/") {
		if parts := strings.Split(segment, "~"); len(parts) == 3 {
			return clientCall{parts[0], parts[1], parts[2]}
		}
	}
	return clientCall{}
}

func (lab *clientLab) answer(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	asked := callOf(r)
	lab.mu.Lock()
	lab.received[asked] = append(lab.received[asked], clientRequest{r.Method, r.Header.Get("Content-Type"), string(body)})
	if proxied := r.Header.Get("Via") != ""; proxied != (asked.base != directBase) {
		lab.astray[asked]++
	}
	lab.mu.Unlock()
	operationsOfClients[strings.TrimSuffix(asked.operation, unretried)].answer(w, r)
}

// count counts the calls of a stack.
func (lab *clientLab) count(url http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lab.mu.Lock()
		lab.called[callOf(r)]++
		lab.mu.Unlock()
		url.ServeHTTP(w, r)
	})
}

// A clientRun is what came of the operations of a client.
type clientRun struct {
	client   string
	lab      *clientLab
	outcomes map[string]clientOutcome // by call
}

// run has a client carry out its operations.
func (lab *clientLab) run(t *testing.T, client string) clientRun {
	t.Helper()
	var errands []errand
	add := func(name string, o clientOperation, retries bool) {
		for _, base := range o.bases {
			errands = append(errands, errand{
				Name: clientCall{client, name, base}.String(), Base: lab.bases[base], Method: o.method, Retries: retries,
				Size: o.size, KeyLength: o.keyLength,
			})
		}
	}
	for name, o := range operationsOfClients {
		if !o.by(client) {
			continue
		}
		add(name, o, true)
		if slices.Contains(failingOperations, name) {
			add(name+unretried, o, false)
		}
	}
	return clientRun{client: client, lab: lab, outcomes: runClient(t, lab.modules, client, errands)}
}

// outcome is what the client made of an operation.
func (ran clientRun) outcome(t *testing.T, operation, base string) clientOutcome {
	t.Helper()
	o, found := ran.outcomes[clientCall{ran.client, operation, base}.String()]
	if !found {
		t.Fatalf("%s did not carry out %s at the base %s", ran.client, operation, base)
	}
	return o
}

// requests are those that the upstream got for an operation. From clients of the stack they have to come by its proxies.
func (ran clientRun) requests(t *testing.T, operation, base string) []clientRequest {
	t.Helper()
	asked := clientCall{ran.client, operation, base}
	ran.lab.mu.Lock()
	defer ran.lab.mu.Unlock()
	if n := ran.lab.astray[asked]; n > 0 {
		t.Errorf("%s: the upstream was called %d times around the stack", operation, n)
	}
	return ran.lab.received[asked]
}

// callCounts are how often, for one operation, the upstream was called directly, the stack was called, and the upstream was
// called by the stack.
type callCounts struct{ direct, stack, through int }

func (ran clientRun) calls(t *testing.T, operation string) callCounts {
	t.Helper()
	c := callCounts{direct: len(ran.requests(t, operation, directBase)), through: len(ran.requests(t, operation, stackBase))}
	ran.lab.mu.Lock()
	defer ran.lab.mu.Unlock()
	c.stack = ran.lab.called[clientCall{ran.client, operation, stackBase}]
	return c
}

func (ran clientRun) expectCalls(t *testing.T, operation string, want callCounts) {
	t.Helper()
	if got := ran.calls(t, operation); got != want {
		t.Errorf("%s: the upstream was called %d times directly; the stack %d times, and the upstream by it %d times; want %d; %d, and %d",
			operation, got.direct, got.stack, got.through, want.direct, want.stack, want.through)
	}
}
