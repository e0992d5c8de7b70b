package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// Limits of what is sent from the page, and kept of it.
const (
	// MaxCopies is how many times a request can be sent at once.
	MaxCopies = 20

	// MaxRequests is how many requests that were sent are shown. Of more, the first are forgotten.
	MaxRequests = 50

	// MaxShownBody is how much of the body of an answer is shown, in bytes.
	MaxShownBody = 16 << 10

	// sendTimeout is how long an answer is waited for. Callers wait for five minutes at most.
	sendTimeout = 6 * time.Minute
)

// A Field is a field of a header section. Names may repeat.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// A Sending is a request to send to the function URL.
type Sending struct {
	Method string `json:"method"`

	// Path is the path, escaped, and the query, if there is one.
	Path string `json:"path"`

	Headers []Field `json:"headers"`
	Body    string  `json:"body"`

	// Copies is how many times it is sent at once. Default: 1.
	Copies int `json:"copies"`
}

// A Request is what was sent from the page, once or several times at once, and what came back.
type Request struct {
	ID     int64     `json:"id"`
	Sent   time.Time `json:"sent"`
	Method string    `json:"method"`
	Path   string    `json:"path"`

	// Key is the Idempotency-Key, and IfNoneMatch the field of that name.
	Key         string `json:"key,omitempty"`
	IfNoneMatch string `json:"ifNoneMatch,omitempty"`

	// Copies is how many were sent. Answers are in the order in which they came.
	Copies  int      `json:"copies"`
	Answers []Answer `json:"answers"`

	// UpstreamCalls is how often the upstream was called from the sending until the last answer, by whomever.
	UpstreamCalls int64 `json:"upstreamCalls"`

	callsBefore int64
}

// An Answer is what came back for one copy of a request.
type Answer struct {
	// Status is the HTTP status, or zero if there was no answer; Error then says why.
	Status int    `json:"status,omitempty"`
	Error  string `json:"error,omitempty"`

	// DurationMilliseconds is how long it took.
	DurationMilliseconds int64 `json:"durationMilliseconds"`

	// RequestID is the id of the request at the function URL. The execution that was started for it, if one was, has it as
	// its name.
	RequestID string `json:"requestId,omitempty"`

	// Replayed says that the answer comes from the idempotency record (Idempotent-Replayed), and ServerCacheHit that the
	// JSON body says so.
	Replayed       bool `json:"replayed"`
	ServerCacheHit bool `json:"serverCacheHit"`

	ETag        string `json:"etag,omitempty"`
	ProxyStatus string `json:"proxyStatus,omitempty"`

	// Headers are the fields of the answer, by name and in the order in which they came below a name.
	Headers []Field `json:"headers"`

	// Body is the beginning of the body if it is text, and BodyBytes is the length of all of it.
	Body      string `json:"body,omitempty"`
	BodyBytes int64  `json:"bodyBytes"`
}

// requests holds what was sent. The console's lock guards it.
type requests struct {
	last int64 // id
	all  []*Request
}

func (all *requests) add(r *Request) {
	all.last++
	r.ID = all.last
	all.all = append(all.all, r)
	if len(all.all) > MaxRequests {
		all.all = slices.Delete(all.all, 0, 1)
	}
}

// newestFirst copies all requests, those that were sent last first.
func (all *requests) newestFirst() []Request {
	list := make([]Request, 0, len(all.all))
	for _, r := range slices.Backward(all.all) {
		list = append(list, r.copied())
	}
	return list
}

// copied is a request that later answers do not change.
func (r *Request) copied() Request {
	c := *r
	c.Answers = slices.Clone(r.Answers)
	return c
}

func (c *Console) getRequests(rw http.ResponseWriter, _ *http.Request) {
	c.mu.Lock()
	list := c.requests.newestFirst()
	c.mu.Unlock()
	writeJSON(rw, http.StatusOK, map[string]any{"requests": list})
}

// postRequest sends a request to the function URL, over the network as any other caller would, and answers 202 at once.
// A page could send it itself, but a browser follows redirects, keeps fields and methods to itself, and has six
// connections to spare, which are too few for ten duplicates at once.
func (c *Console) postRequest(rw http.ResponseWriter, r *http.Request) {
	var sending Sending
	if !readJSON(rw, r, &sending) {
		return
	}
	address, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		writeProblem(rw, http.StatusInternalServerError, "The console is not served over a network.")
		return
	}
	if sending.Copies == 0 {
		sending.Copies = 1
	}
	request, err := sending.request("http://" + address.String())
	if err != nil {
		writeProblem(rw, http.StatusBadRequest, err.Error())
		return
	}

	sent := &Request{
		Sent: c.config.Now(), Method: sending.Method, Path: sending.Path, Copies: sending.Copies, Answers: []Answer{},
		Key: request.Header.Get("Idempotency-Key"), IfNoneMatch: request.Header.Get("If-None-Match"),
	}
	c.mu.Lock()
	sent.callsBefore = c.upstream().Calls
	c.requests.add(sent)
	c.tellRequest(sent)
	shown := sent.copied()
	c.mu.Unlock()
	for range sending.Copies {
		go c.send(sent, request, sending.Body)
	}
	writeJSON(rw, http.StatusAccepted, shown)
}

// request checks what is to be sent and makes it, without its body. The error lists all that is wrong.
func (s Sending) request(url string) (*http.Request, error) {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if s.Copies < 1 || s.Copies > MaxCopies {
		problem("copies is %d; give 1 to %d", s.Copies, MaxCopies)
	}
	if !strings.HasPrefix(s.Path, "/") {
		problem("path is %q; begin it with a slash", s.Path)
		return nil, errors.Join(problems...)
	}
	request, err := http.NewRequest(s.Method, url+s.Path, nil)
	if err != nil {
		problem("method %q and path %q make no request: %w", s.Method, s.Path, err)
		return nil, errors.Join(problems...)
	}
	if strings.HasPrefix(request.URL.Path+"/", Path) {
		problem("path is %q, which is the console's own", s.Path)
	}
	if s.Method == http.MethodConnect {
		problem("method is CONNECT, which asks for a tunnel; a function URL has none")
	}
	for _, field := range s.Headers {
		switch name := http.CanonicalHeaderKey(field.Name); name {
		case "Connection", "Content-Length", "Host", "Transfer-Encoding", "Trailer", "Upgrade":
			problem("header %s is for the connection, and is set by whoever sends", name)
		default:
			if !message.IsToken(field.Name) {
				problem("header name %q is not one: give letters, digits and hyphens", field.Name)
			}
			if strings.ContainsAny(field.Value, "\r\n\x00") {
				problem("header %s holds a line break or a zero byte", field.Name)
			}
			request.Header.Add(field.Name, field.Value)
		}
	}
	return request, errors.Join(problems...)
}

// transport leaves answers as they are.
var transport = &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: MaxCopies, IdleConnTimeout: time.Minute}

// send sends one copy and takes in its answer.
func (c *Console) send(sent *Request, request *http.Request, body string) {
	ctx, cancel := context.WithTimeout(context.Background(), sendTimeout)
	defer cancel()
	copied := request.Clone(ctx)
	if body != "" {
		copied.Body, copied.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	}
	began := c.config.Now()
	answer, err := exchange(copied)
	if err != nil {
		answer = Answer{Error: err.Error(), Headers: []Field{}}
	}
	answer.DurationMilliseconds = c.config.Now().Sub(began).Milliseconds()

	c.mu.Lock()
	defer c.mu.Unlock()
	sent.Answers = append(sent.Answers, answer)
	sent.UpstreamCalls = c.upstream().Calls - sent.callsBefore
	c.tellRequest(sent)
}

// exchange sends a request and reads its answer. Redirects are answers.
func exchange(request *http.Request) (Answer, error) {
	response, err := transport.RoundTrip(request)
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return Answer{}, err
	}
	answer := Answer{
		Status: response.StatusCode, Headers: []Field{}, BodyBytes: int64(len(body)),
		RequestID:   response.Header.Get("X-Amzn-Requestid"),
		Replayed:    strings.EqualFold(response.Header.Get("Idempotent-Replayed"), "true"),
		ETag:        response.Header.Get("ETag"),
		ProxyStatus: strings.Join(response.Header.Values("Proxy-Status"), ", "),
	}
	var marked struct {
		ServerCacheHit bool `json:"serverCacheHit"`
	}
	answer.ServerCacheHit = json.Unmarshal(body, &marked) == nil && marked.ServerCacheHit
	for name, values := range response.Header {
		for _, value := range values {
			answer.Headers = append(answer.Headers, Field{name, value})
		}
	}
	slices.SortStableFunc(answer.Headers, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
	if utf8.Valid(body) && !bytes.ContainsRune(body, 0) {
		answer.Body = strings.ToValidUTF8(string(body[:min(len(body), MaxShownBody)]), "")
	}
	return answer, nil
}

// tellRequest tells the listeners of a request that has changed. The console's lock must be held.
func (c *Console) tellRequest(r *Request) {
	c.tell(func(l *listener) { l.requests[r.ID] = struct{}{} })
}
