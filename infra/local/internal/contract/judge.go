package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dunglas/httpsfv"
)

// problemBase begins the types of problems.
const problemBase = "https://github.com/retrying-api-proxy/retrying-api-proxy#"

// oneConnection are the fields that do not go on, in either direction: those of one connection (RFC 9110 section 7.6.1), and
// those that whoever sends a message on writes anew.
var oneConnection = []string{
	"connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer",
	"transfer-encoding", "upgrade", "content-length",
}

// notAnswered are the fields of the upstream's that function URLs do not let through under their names.
var notAnswered = []string{"date", "www-authenticate"}

// notForwarded are the fields of requests that are not meant for the upstream.
var notForwarded = []string{"host", "expect"}

// judgeArrivals looks at what arrived at the upstream: when, and whether it is what was sent.
func (e *execution) judgeArrivals(place string, request Request, attempts []arrival) {
	for i, a := range attempts {
		at := fmt.Sprintf("%s, attempt %d", place, i+1)
		if request.Raw == nil {
			e.judgeArrival(at, request, a.received)
		}
		want := request.Arrives
		if want.Method != "" && a.received.method != want.Method {
			e.problem(at, "the method is %s, want %s", a.received.method, want.Method)
		}
		if wanted := e.values.expand(want.Target); want.Target != "" && a.received.target != wanted {
			e.problem(at, "the target is %s, want %s", a.received.target, wanted)
		}
		if want.Body != nil && !a.received.unread {
			e.judgeBody(at, a.received.body, want.Body.bytes(e.values))
		}
		for _, wrong := range want.judge(e.values, a.received.fields) {
			e.problem(at, "as it arrived, %s", wrong)
		}
		if i > 0 && i <= len(request.Waits) {
			e.judgeGap(at, time.Duration(request.Waits[i-1]), attempts[i-1].replied, a.received.at)
		}
	}
}

// judgeArrival compares what arrived with what was sent, as far as the case does not say how it arrives.
func (e *execution) judgeArrival(place string, request Request, got received) {
	want := request.Arrives
	method := request.Method
	if method == "" {
		method = http.MethodGet
	}
	if want.Method == "" && got.method != method {
		e.problem(place, "the method is %s, want %s", got.method, method)
	}
	if target := e.values.expand(request.target()); want.Target == "" && got.target != target {
		e.problem(place, "the target is %s, want %s", got.target, target)
	}
	if want.Body == nil && !got.unread {
		e.judgeBody(place, got.body, request.Body.bytes(e.values))
	}
	sent := e.values.fieldsOf(request.Fields)
	for _, name := range namesOf(sent) {
		if slices.Contains(oneConnection, name) || slices.Contains(notForwarded, name) || want.speaksOf(name) {
			continue
		}
		g, w := valuesOf(got.fields, name), valuesOf(sent, name)
		if name == "prefer" {
			w = forUpstream(w)
		}
		if len(w) == 0 && len(g) > 0 || len(w) > 0 && !same(name, g, w) {
			e.problem(place, "%s arrived as %s, want %s", name, told(g), told(w))
		}
	}
}

// preference is one of Prefer: up to a comma that does not stand in quotes.
var preference = regexp.MustCompile(`(?:[^,"]|"(?:[^"\\]|\\.)*")+`)

// forUpstream are the preferences that go on: wait and attempts are for the endpoint.
func forUpstream(values []string) []string {
	var all []string
	for _, p := range preference.FindAllString(strings.Join(values, ","), -1) {
		name, _, _ := strings.Cut(p, "=")
		if name = strings.TrimSpace(name); !strings.EqualFold(name, "wait") && !strings.EqualFold(name, "attempts") {
			all = append(all, strings.TrimSpace(p))
		}
	}
	return all
}

func (e *execution) judgeBody(place string, got, want []byte) {
	if !bytes.Equal(got, want) {
		e.problem(place, "the body is %q, want %q", abbreviated(string(got)), abbreviated(string(want)))
	}
}

// judgeGap looks at the time between an attempt and the next one, which is shorter than the wait where waits pass faster.
func (e *execution) judgeGap(place string, least time.Duration, replied, arrived time.Time) {
	speed := max(e.runner.Speed, 1)
	if gap := arrived.Sub(replied); gap < time.Duration(float64(least)/speed) {
		e.problem(place, "it came %v after the answer to the one before, want %v at %g times the speed", gap, least, speed)
	}
}

// judge looks at the answers to a request.
func (e *execution) judge(place string, request Request, attempts []arrival, answers []answer) {
	if n := len(attempts); n > 0 {
		e.values["{upstream}"] = attempts[n-1].upstream
		e.values["{via}"] = attempts[n-1].received.value("Via")
	}
	if n := len(request.Upstream); n > 0 {
		e.last = nil
		if last := request.Upstream[n-1]; last.whole() {
			e.last = e.answerOf(last, request)
		}
	}
	replays := 0
	for i, got := range answers {
		at := place
		if len(answers) > 1 {
			at = fmt.Sprintf("%s, answer %d", place, i+1)
		}
		replayed := e.judgeReplayed(at, request, got)
		if replayed {
			replays++
		}
		e.judgeAnswer(at, request, got)
		if !replayed {
			e.judgeAttempts(at, request, attempts, got)
		}
	}
	if want := len(answers) - 1; len(answers) > 1 && replays != want {
		e.problem(place, "%d of the answers are replays, want %d", replays, want)
	}
}

// answerOf is what a caller gets who gets a reply of the upstream's as it is.
func (e *execution) answerOf(r Reply, to Request) *said {
	s := &said{status: r.Status}
	if to.Method != http.MethodHead && r.Status != http.StatusNoContent && r.Status != http.StatusNotModified {
		s.body = r.Body.bytes(e.values)
	}
	for _, f := range e.values.fieldsOf(r.Fields) {
		if name := strings.ToLower(f.name); !slices.Contains(oneConnection, name) && !slices.Contains(notAnswered, name) {
			s.fields = append(s.fields, f)
		}
	}
	return s
}

// judgeReplayed says whether an answer is a replay.
func (e *execution) judgeReplayed(place string, request Request, got answer) bool {
	mark := valuesOf(got.fields, "Idempotent-Replayed")
	replayed := slices.Equal(mark, []string{"true"})
	switch {
	case len(mark) > 0 && !replayed:
		e.problem(place, "Idempotent-Replayed is %s, want true or none", told(mark))
	case request.Together > 1:
	case replayed != request.Answer.Replayed:
		e.problem(place, "Idempotent-Replayed is %s, want replayed to be %t", told(mark), request.Answer.Replayed)
	}
	return replayed
}

// judgeAnswer compares an answer with what the case says, and for the rest with what the upstream said last.
func (e *execution) judgeAnswer(place string, request Request, got answer) {
	want := request.Answer
	before := len(e.wrong)
	status, body, fields := want.Status, []byte(nil), []field(nil)
	compareBody := false
	if e.last != nil && want.Problem == nil {
		if status == 0 {
			status = e.last.status
		}
		if status == e.last.status {
			body, fields, compareBody = e.last.body, e.last.fields, true
		}
	}
	if want.Body != nil {
		body, compareBody = want.Body.bytes(e.values), true
	}
	if got.status != status {
		e.problem(place, "the status is %d, want %d", got.status, status)
	}
	if compareBody {
		e.judgeBody(place, got.body, body)
	}
	for _, name := range namesOf(fields) {
		if want.speaksOf(name) {
			continue
		}
		if g, w := valuesOf(got.fields, name), valuesOf(fields, name); !same(name, g, w) {
			e.problem(place, "%s is %s, want %s as the upstream said", name, told(g), told(w))
		}
	}
	for _, wrong := range want.judge(e.values, got.fields) {
		e.problem(place, "%s", wrong)
	}
	if want.Problem != nil {
		e.judgeProblem(place, want, got)
	}
	if id := valuesOf(got.fields, "X-Amzn-Requestid"); len(id) != 1 || id[0] == "" {
		e.problem(place, "X-Amzn-Requestid is %s, want one", told(id))
	}
	if len(e.wrong) > before {
		e.problem(place, "the answer was %s", got.told())
	}
}

// told shows an answer in a message.
func (a answer) told() string {
	lines := make([]string, len(a.fields))
	for i, f := range a.fields {
		lines[i] = abbreviated(f.name + ": " + f.value)
	}
	slices.Sort(lines)
	return fmt.Sprintf("%d\n%s\n\n%s", a.status, strings.Join(lines, "\n"), abbreviated(string(a.body)))
}

// judgeProblem looks at an answer that has to be a problem.
func (e *execution) judgeProblem(place string, want Answer, got answer) {
	mediaType := want.Problem.MediaType
	if mediaType == "" {
		mediaType = "application/problem+json"
	}
	contentType := strings.Join(valuesOf(got.fields, "Content-Type"), ", ")
	if essence, _, _ := mime.ParseMediaType(contentType); essence != mediaType {
		e.problem(place, "Content-Type is %q, want %s", contentType, mediaType)
		if !strings.HasSuffix(essence, "json") {
			return
		}
	}
	var document struct {
		Type, Title, Detail, Instance, Processed string
		Status                                   int
		Error                                    *struct{ Type, Code, Message string }
	}
	if err := json.Unmarshal(got.body, &document); err != nil {
		e.problem(place, "the problem is not JSON: %v", err)
		return
	}
	expect := func(member, got, want string) {
		if got != want {
			e.problem(place, "the member %s is %q, want %q", member, got, want)
		}
	}
	expect("type", document.Type, problemBase+want.Problem.Name)
	expect("status", strconv.Itoa(document.Status), strconv.Itoa(want.Status))
	expect("processed", document.Processed, want.Problem.Processed)
	expect("instance", document.Instance, "urn:uuid:"+strings.Join(valuesOf(got.fields, "X-Amzn-Requestid"), ""))
	if document.Title == "" || document.Detail == "" {
		e.problem(place, "the title is %q and the detail %q, want both", document.Title, document.Detail)
	}
	if document.Error == nil {
		e.problem(place, "there is no member error, by which the clients of many APIs know a failure")
		return
	}
	expect("error.type", document.Error.Type, "api_error")
	expect("error.code", document.Error.Code, want.Problem.Name)
	expect("error.message", document.Error.Message, document.Title+": "+document.Detail)
}

// judgeAttempts looks at what an answer tells of the attempts.
func (e *execution) judgeAttempts(place string, request Request, attempts []arrival, got answer) {
	want := request.Attempts
	if want == nil {
		for _, reply := range request.Upstream {
			want = append(want, strconv.Itoa(reply.Status))
		}
	}
	own := 0 // members that the upstream wrote itself
	if n := len(attempts); n > 0 && e.last != nil {
		if list, err := httpsfv.UnmarshalList(valuesOf(e.last.fields, "Proxy-Status")); err == nil {
			own = len(list)
		}
	}
	field := valuesOf(got.fields, "Proxy-Status")
	list, err := httpsfv.UnmarshalList(field)
	if err != nil {
		e.problem(place, "Proxy-Status is %s, which is no list: %v", told(field), err)
		return
	}
	var of []string
	for _, member := range list[min(own, len(list)):] {
		of = append(of, attemptOf(member))
	}
	if !slices.Equal(of, want) {
		e.problem(place, "the attempts are %q, want %q; Proxy-Status is %s", of, want, told(field))
	}
	if e.runner.Waits != nil && len(request.Waits) > 0 {
		e.judgeWaits(place, request, got)
	}
}

// attemptOf reads what is told of one attempt.
func attemptOf(member httpsfv.Member) string {
	item, ok := member.(httpsfv.Item)
	if !ok || item.Params == nil {
		return "?"
	}
	var parts []string
	for _, name := range []string{"received-status", "error"} {
		if value, told := item.Params.Get(name); told {
			parts = append(parts, fmt.Sprint(value))
		}
	}
	return strings.Join(parts, " ")
}

// judgeWaits looks at the waits that the endpoint tells of.
func (e *execution) judgeWaits(place string, request Request, got answer) {
	waits, err := e.runner.Waits(strings.Join(valuesOf(got.fields, "X-Amzn-Requestid"), ""))
	if err != nil {
		e.problem(place, "%v", err)
		return
	}
	for i, least := range request.Waits {
		if i >= len(waits) || waits[i] < time.Duration(least) {
			e.problem(place, "the waits are %v, want %v at least after attempt %d", waits, time.Duration(least), i+1)
		}
	}
}
