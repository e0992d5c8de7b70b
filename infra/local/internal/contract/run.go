package contract

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Runner runs cases against an endpoint whose upstream is an Upstream.
type Runner struct {
	// Endpoint is the URL of the endpoint, without a slash at its end.
	Endpoint string

	// Upstream is what the endpoint calls.
	Upstream Upstream

	// Setup is how the endpoint was set up. Cases that need another one are left out.
	Setup Setup

	// Speed is how much faster than they are long the waits between attempts pass. Default: 1.
	Speed float64

	// Waits returns the waits after each attempt at the request with an id, which is the X-Amzn-Requestid of its answer. It
	// is for endpoints whose state machine can be asked; without it, and with it too, the clock is looked at.
	Waits func(requestID string) ([]time.Duration, error)

	// Patience is how long Probe asks again, if that takes longer than a second: names and permissions of what was just deployed
	// have to get about in AWS.
	Patience time.Duration

	// Sign signs requests. Default: they are sent unsigned.
	Sign func(r *http.Request, body []byte) error

	// Client sends the requests. Default: one that follows no redirects and adds nothing.
	Client *http.Client
}

// A Setup is how an endpoint is set up, as far as cases depend on it.
type Setup struct {
	// Policy is the retry policy, as JSON. Empty is the default one.
	Policy string

	// Down says that nothing listens at the upstream's address.
	Down bool

	// Pages is the origin whose pages may call from a browser. Empty: the function URL has no Cors.
	Pages string

	// LargeBodies says that bodies are carried that do not fit into a state.
	LargeBodies bool

	// Anonymous says that the endpoint does not know who sends the cases, and has them wait no longer than it has strangers.
	Anonymous bool
}

// Setup is what an endpoint has to be like for a case.
func (c *Case) Setup() Setup {
	s := Setup{Down: c.Down, Pages: c.Pages}
	if c.Policy != nil {
		var policy any
		_ = json.Unmarshal(c.Policy, &policy) // it was decoded before
		text, _ := json.Marshal(policy)
		s.Policy = string(text)
	}
	return s
}

// Unfit says why a case cannot be run against the endpoint, or nothing.
func (r *Runner) Unfit(c Case) string {
	switch needed := c.Setup(); {
	case needed.Policy != "" && needed.Policy != r.Setup.Policy:
		return "it needs an endpoint with the policy " + needed.Policy
	case needed.Policy == "" && r.Setup.Policy != "" && c.judgedByPolicy():
		return "it needs an endpoint with the default policy"
	case r.Setup.LargeBodies && c.large():
		return "it needs an endpoint without LargeBodies"
	case r.Setup.Anonymous && c.patient():
		return "it needs a caller whom the endpoint knows, since others may not wait for as long, and requests are not signed"
	case needed.Down != r.Setup.Down:
		return "it needs an endpoint whose upstream is down"
	case needed.Pages != r.Setup.Pages:
		return fmt.Sprintf("it needs an endpoint with a Cors for %q, and this one has it for %q", needed.Pages, r.Setup.Pages)
	}
	if r.Sign != nil {
		if reason := c.unsigned(); reason != "" {
			return reason
		}
	}
	return r.Upstream.unfit(&c)
}

// unsigned says why the requests of a case cannot be signed, or nothing.
func (c *Case) unsigned() string {
	for _, request := range c.every() {
		if request.Raw != nil {
			return "what no client sends cannot be signed"
		}
		signed := strings.Contains(request.Target, "X-Amz-")
		for _, line := range request.Fields {
			name := strings.ToLower(fieldOf(string(line)).name)
			signed = signed || name == "authorization" || strings.HasPrefix(name, "x-amz-")
		}
		if signed {
			return "it has a credential or a signature of its own, which would be in the way of the one for the function URL"
		}
	}
	return ""
}

// judgedByPolicy says whether another policy may lead to something else: whether an attempt is to follow an error, or is not.
func (c *Case) judgedByPolicy() bool {
	for _, request := range c.every() {
		for _, reply := range request.Upstream {
			if !reply.whole() || reply.Status >= http.StatusMultipleChoices {
				return true
			}
		}
	}
	return false
}

// small is how long a body may be, in bytes, that fits into a state, whatever it is.
const small = 150_000

// large says whether a case has bodies that may not fit into a state.
func (c *Case) large() bool {
	for _, request := range c.every() {
		if request.Body.size() > small || slices.ContainsFunc(request.Upstream, func(r Reply) bool { return r.Body.size() > small }) {
			return true
		}
	}
	return false
}

// mostAnonymous is for how long an endpoint has strangers wait, in seconds, unless its prop MaxAnonymousWait says otherwise.
const mostAnonymous = 60

// applied is a preference that an answer says was applied.
var applied = regexp.MustCompile(`(?i)^preference-applied:.*\bwait=([0-9]+)`)

// patient says whether a case is about waiting for longer than strangers may.
func (c *Case) patient() bool {
	for _, request := range c.every() {
		for _, line := range request.Answer.Fields {
			if wait := applied.FindStringSubmatch(string(line)); wait != nil {
				if seconds, _ := strconv.Atoi(wait[1]); seconds > mostAnonymous {
					return true
				}
			}
		}
	}
	return false
}

// Probe asks again for probePatience: what has just come up may have to be found. It waits for probePause in between at first,
// and for longestProbePause at last.
const (
	probePatience     = time.Second
	probePause        = 300 * time.Millisecond
	longestProbePause = 3 * time.Second
)

// Probe finds out whether requests to the endpoint come to the upstream.
func (r *Runner) Probe(ctx context.Context) error {
	probe := Case{theme: "probe", Requests: []Request{{Upstream: []Reply{{Status: http.StatusOK}}}}}
	patience, last := context.WithTimeout(ctx, max(r.Patience, probePatience))
	defer last()
	wrong := r.Run(ctx, probe)
	for wait := probePause; len(wrong) > 0 && pause(patience, wait) == nil; wait = min(2*wait, longestProbePause) {
		wrong = r.Run(ctx, probe)
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("a request to %s did not come to the upstream and back:\n%s", r.Endpoint, strings.Join(wrong, "\n"))
}

// every lists the requests of a case, those that are sent during others among them.
func (c *Case) every() []*Request {
	var all []*Request
	var list func([]Request)
	list = func(requests []Request) {
		for i := range requests {
			all = append(all, &requests[i])
			list(requests[i].During)
		}
	}
	list(c.Requests)
	return all
}

// Run runs a case, and says all that is not as it has to be.
func (r *Runner) Run(ctx context.Context, c Case) []string {
	s := r.Upstream.begin(fmt.Sprintf("%s-%d", c.theme, c.number))
	defer s.end()
	one := &execution{runner: r, script: s, values: values{"{path}": s.path(), "{endpoint}": r.Endpoint + s.path(), "{via}": ""}}
	if endpoint, err := url.Parse(r.Endpoint); err == nil {
		one.values["{host}"] = endpoint.Host
	}
	one.all(ctx, "request", c.Requests)
	return one.wrong
}

// An execution is one run of a case.
type execution struct {
	runner *Runner
	script script
	values values

	// last is what the upstream said last, in the words that an answer has to have.
	last *said

	wrong []string
}

// said is a whole answer of the upstream.
type said struct {
	status int
	fields []field
	body   []byte
}

func (e *execution) problem(place, format string, args ...any) {
	e.wrong = append(e.wrong, place+": "+fmt.Sprintf(format, args...))
}

func (e *execution) all(ctx context.Context, place string, requests []Request) {
	for i, request := range requests {
		e.one(ctx, fmt.Sprintf("%s %d", place, i+1), request)
	}
}

// one sends a request and looks at what comes of it.
func (e *execution) one(ctx context.Context, place string, request Request) {
	attempts, answers := e.sendAll(ctx, place, request)
	if len(answers) == 0 {
		return
	}
	e.judgeArrivals(place, request, attempts)
	e.judge(place, request, attempts, answers)
	if request.Recorded != nil {
		e.again(ctx, place+", sent again", request, answers[0], *request.Recorded)
	}
}

// sendAll sends a request as often as it says, with what happens during it. It returns the attempts that arrived, and the
// answers, unless one of them did not come.
func (e *execution) sendAll(ctx context.Context, place string, request Request) ([]arrival, []answer) {
	held := len(request.During) > 0
	first := request.Upstream
	if held {
		first = first[:1]
	}
	opening, err := e.script.expect(ctx, first, held)
	if err != nil {
		e.problem(place, "%v", err)
		return nil, nil
	}

	times := max(1, request.Together)
	answers := make([]answer, times)
	problems := make([]error, times)
	var sending sync.WaitGroup
	for i := range times {
		sending.Go(func() { answers[i], problems[i] = e.send(ctx, request) })
	}
	sent, allSent := context.WithCancel(ctx)
	go func() { sending.Wait(); allSent() }()
	scenes := []scene{opening}
	expected := []int{len(first)}
	if held {
		switch err := opening.begins(sent); {
		case err == nil:
			e.all(ctx, place+", during it", request.During)
			rest, err := e.script.expect(ctx, request.Upstream[1:], false)
			if err != nil {
				e.problem(place, "%v", err)
				break
			}
			scenes, expected = append(scenes, rest), append(expected, len(request.Upstream)-1)
		case sent.Err() == nil:
			e.problem(place, "%v", err)
		default:
			e.problem(place, "it was answered before an attempt arrived")
		}
		if err := opening.release(ctx); err != nil {
			e.problem(place, "%v", err)
		}
	}
	<-sent.Done()
	sending.Wait()

	for _, err := range problems {
		if err != nil {
			e.problem(place, "%v", err)
			answers = nil
			break
		}
	}
	var attempts, surplus []arrival
	for i, scene := range scenes {
		arrived, err := scene.arrivals(ctx)
		if err != nil {
			e.problem(place, "%v", err)
			return nil, nil
		}
		wanted := min(expected[i], len(arrived))
		attempts, surplus = append(attempts, arrived[:wanted]...), append(surplus, arrived[wanted:]...)
	}
	switch n := len(attempts) + len(surplus); {
	case len(surplus) > 0:
		e.problem(place, "%d requests arrived at the upstream, want %d; the first one too many is %s %s",
			n, len(request.Upstream), surplus[0].method, surplus[0].target)
	case n < len(request.Upstream):
		e.problem(place, "%d requests arrived at the upstream, want %d", n, len(request.Upstream))
	}
	return attempts, answers
}

// again sends a request again, to find out whether its answer was recorded.
func (e *execution) again(ctx context.Context, place string, request Request, first answer, recorded bool) {
	repeated := Request{
		Method: request.Method, Target: request.Target, Fields: request.Fields, Body: request.Body, Arrives: request.Arrives,
	}
	if recorded {
		repeated.Answer = Answer{Status: first.status, Body: &Body{binary: append([]byte{}, first.body...)}, Replayed: true}
	} else {
		repeated.Upstream = []Reply{{Status: http.StatusOK, Fields: []Text{"X-Again: yes"}, Body: Body{text: "once more"}}}
	}
	e.one(ctx, place, repeated)
}
