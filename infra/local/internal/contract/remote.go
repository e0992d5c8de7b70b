package contract

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/verification/scripted"
)

// A Remote is an Upstream that endpoints in AWS reach: the scripted upstream of the verification stack, a Lambda function
// behind a function URL. See package scripted.
type Remote struct {
	base   string
	run    string
	client *http.Client
}

// NewRemote uses the scripted upstream at a URL, which ends with the secret of its stack.
func NewRemote(base string) *Remote {
	return &Remote{base: strings.TrimSuffix(base, "/"), run: runName(), client: client}
}

// remoteScript is a script in AWS.
type remoteScript struct {
	remote *Remote
	name   string
	scenes atomic.Int64
}

func (r *Remote) begin(name string) script {
	return &remoteScript{remote: r, name: r.run + "-" + name}
}

func (s *remoteScript) path() string { return "/" + s.name }

// end does nothing: scripts are forgotten by themselves.
func (s *remoteScript) end() {}

type remoteScene struct {
	script *remoteScript
	number int64
	held   bool
}

func (s *remoteScript) expect(ctx context.Context, replies []Reply, held bool) (scene, error) {
	c := &remoteScene{script: s, number: s.scenes.Add(1), held: held}
	v := values{"{upstream}": s.remote.base + s.path(), "{path}": s.path()}
	written := scripted.Scene{Held: held}
	for _, reply := range replies {
		written.Replies = append(written.Replies, reply.scripted(v))
	}
	body, err := json.Marshal(written)
	if err != nil {
		return nil, err
	}
	return c, c.control(ctx, http.MethodPut, "", body, nil)
}

// silence is how long a function says nothing that has to fall silent: longer than an attempt may take that others may follow,
// and than those cases let the last one take that have it do so.
const silence = 15 * time.Second

// silent says whether nothing is answered, and the connection stays open.
func (r *Reply) silent() bool { return r.Status == 0 && r.Raw == nil && r.Then == "stall" }

// scripted is a reply in the words of the scripted upstream. What it may be like says [Remote.unfit].
func (r *Reply) scripted(v values) scripted.Reply {
	reply := scripted.Reply{Status: r.Status, DelayMilliseconds: time.Duration(r.After).Milliseconds()}
	if r.silent() {
		return scripted.Reply{Status: http.StatusNoContent, DelayMilliseconds: silence.Milliseconds()}
	}
	for _, line := range r.Fields {
		f := fieldOf(v.atRest(line.bytes()))
		if strings.EqualFold(f.name, "Date") {
			continue // it is {date}, which the function URL says by itself
		}
		reply.Fields = append(reply.Fields, scripted.Field{Name: f.name, Value: f.value})
	}
	if r.Body.binary != nil {
		reply.Body = scripted.Body{Bytes: r.Body.binary, Times: r.Body.times}
	} else {
		reply.Body.Bytes = r.Body.bytes(v)
	}
	return reply
}

// beginsPause is how long lies between two looks whether a request has come.
const beginsPause = 100 * time.Millisecond

func (c *remoteScene) begins(ctx context.Context) error {
	for {
		arrived, err := c.arrivals(ctx)
		if err != nil || len(arrived) > 0 {
			return err
		}
		if err := pause(ctx, beginsPause); err != nil {
			return err
		}
	}
}

func (c *remoteScene) release(ctx context.Context) error {
	if !c.held {
		return nil
	}
	return c.control(ctx, http.MethodPost, "/release", nil, nil)
}

// ofFunctionURL are fields that a function URL adds to a request, so that nobody can tell what the endpoint has sent of them.
var ofFunctionURL = []string{"x-forwarded-for", "x-forwarded-port", "x-forwarded-proto", "x-amzn-trace-id"}

func (c *remoteScene) arrivals(ctx context.Context) ([]arrival, error) {
	var read scripted.Arrivals
	if err := c.control(ctx, http.MethodGet, "", nil, &read); err != nil {
		return nil, err
	}
	all := make([]arrival, len(read.Arrivals))
	for i, a := range read.Arrivals {
		all[i] = arrival{
			received: received{method: a.Method, target: a.Target, body: a.Body, at: a.At},
			upstream: c.script.remote.base + c.script.path(), replied: a.Replied,
		}
		for _, f := range a.Fields {
			if !slices.Contains(ofFunctionURL, strings.ToLower(f.Name)) {
				all[i].fields = append(all[i].fields, field{f.Name, f.Value})
			}
		}
	}
	return all, nil
}

// controlTries is how often a script is written or read, if that fails, and controlPause what lies between the first two.
const (
	controlTries = 4
	controlPause = 200 * time.Millisecond
)

// control writes or reads the scene. Doing so twice does no harm.
func (c *remoteScene) control(ctx context.Context, method, behind string, body []byte, into any) error {
	remote := c.script.remote
	at := remote.base + scripted.ControlPath + url.PathEscape(c.script.name) + "/" + strconv.FormatInt(c.number, 10) + behind
	var err error
	for try := range controlTries {
		if try > 0 {
			if pause(ctx, controlPause<<(try-1)) != nil {
				break
			}
		}
		var again bool
		if again, err = remote.ask(ctx, method, at, body, into); err == nil || !again {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("the scripted upstream: %w", err)
	}
	return nil
}

// ask sends one request for control. If it failed, it says whether another one may do better.
func (r *Remote) ask(ctx context.Context, method, at string, body []byte, into any) (again bool, err error) {
	made, err := http.NewRequestWithContext(ctx, method, at, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	made.Header.Set("Content-Type", "application/json")
	response, err := r.client.Do(made)
	if err != nil {
		return ctx.Err() == nil, err
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		return true, err
	}
	if response.StatusCode >= 300 {
		again = response.StatusCode == http.StatusTooManyRequests || response.StatusCode >= 500
		return again, fmt.Errorf("%s of a script is answered with %d %s", method, response.StatusCode, abbreviated(string(read)))
	}
	if into == nil {
		return false, nil
	}
	return false, json.Unmarshal(read, into)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
