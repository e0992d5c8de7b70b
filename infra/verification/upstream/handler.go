package main

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/verification/scripted"
)

type (
	request  = events.LambdaFunctionURLRequest
	response = events.LambdaFunctionURLResponse
)

// An upstream answers requests as their scripts say.
type upstream struct {
	secret string
	kept   *store
	now    func() time.Time
}

// holdPause is how long lies between two looks whether a request is released.
const holdPause = 100 * time.Millisecond

func (u *upstream) handle(ctx context.Context, r request) (response, error) {
	secret, rest, found := strings.Cut(strings.TrimPrefix(r.RawPath, "/"), "/")
	if !found || subtle.ConstantTimeCompare([]byte(secret), []byte(u.secret)) == 0 {
		return plain(http.StatusNotFound, "there is nothing here\n"), nil
	}
	if control, is := strings.CutPrefix("/"+rest, scripted.ControlPath); is {
		return u.control(ctx, r, control)
	}
	script, target, _ := strings.Cut(rest, "/")
	arrival, err := arrivalOf(r, "/"+target)
	if err != nil {
		return response{}, err
	}
	return u.play(ctx, script, arrival)
}

// arrivalOf is what a request of the function URL says arrived, behind the path of its script.
func arrivalOf(r request, target string) (scripted.Arrival, error) {
	a := scripted.Arrival{Method: r.RequestContext.HTTP.Method, Target: target, Body: []byte(r.Body)}
	if r.RawQueryString != "" {
		a.Target += "?" + r.RawQueryString
	}
	if r.IsBase64Encoded {
		var err error
		if a.Body, err = base64.StdEncoding.DecodeString(r.Body); err != nil {
			return a, fmt.Errorf("the body of the event: %w", err)
		}
	}
	for name, value := range r.Headers {
		a.Fields = append(a.Fields, scripted.Field{Name: name, Value: value})
	}
	if len(r.Cookies) > 0 {
		a.Fields = append(a.Fields, scripted.Field{Name: "cookie", Value: strings.Join(r.Cookies, "; ")})
	}
	slices.SortFunc(a.Fields, func(a, b scripted.Field) int { return strings.Compare(a.Name, b.Name) })
	return a, nil
}

// play answers a request as its script says.
func (u *upstream) play(ctx context.Context, script string, a scripted.Arrival) (response, error) {
	a.At = u.now()
	scene, n, whole, err := u.kept.take(ctx, script)
	if errors.Is(err, errNoScript) {
		return plain(http.StatusNotFound, err.Error()+"\n"), nil
	}
	if err != nil {
		return response{}, err
	}
	if n >= len(whole.Replies) {
		a.Replied = u.now()
		return plain(http.StatusOK, scripted.Unexpected), u.kept.arrived(ctx, script, scene, n, a)
	}
	reply := whole.Replies[n]
	if delay := time.Duration(reply.DelayMilliseconds) * time.Millisecond; whole.Held || delay > 0 {
		if err := u.kept.arrived(ctx, script, scene, n, a); err != nil {
			return response{}, err
		}
		if whole.Held {
			if err := u.hold(ctx, script, scene); err != nil {
				return response{}, err
			}
		}
		if err := pause(ctx, delay); err != nil {
			return response{}, err
		}
	}
	a.Replied = u.now()
	if err := u.kept.arrived(ctx, script, scene, n, a); err != nil {
		return response{}, err
	}
	return answer(reply, a.Method, u.now()), nil
}

// hold returns once a scene is released.
func (u *upstream) hold(ctx context.Context, script string, scene int) error {
	for began := time.Now(); time.Since(began) < scripted.MaxHold; {
		if released, err := u.kept.released(ctx, script, scene); released || err != nil {
			return err
		}
		if err := pause(ctx, holdPause); err != nil {
			return err
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// answer is a reply to a request of a method, as the function URL takes it. Fields of one name become one, but for cookies.
func answer(reply scripted.Reply, method string, now time.Time) response {
	r := response{StatusCode: reply.Status, Headers: map[string]string{}}
	for _, f := range reply.Fields {
		name, value := http.CanonicalHeaderKey(f.Name), scripted.Moments(f.Value, now)
		if name == "Set-Cookie" {
			r.Cookies = append(r.Cookies, value)
			continue
		}
		if before, repeated := r.Headers[name]; repeated {
			value = before + ", " + value
		}
		r.Headers[name] = value
	}
	if method != http.MethodHead && reply.Status != http.StatusNoContent && reply.Status != http.StatusNotModified {
		r.Body, r.IsBase64Encoded = base64.StdEncoding.EncodeToString(reply.Body.Whole()), true
	}
	return r
}

// control writes and reads scripts.
func (u *upstream) control(ctx context.Context, r request, path string) (response, error) {
	parts := strings.Split(path, "/")
	scene := -1
	if len(parts) > 1 {
		if n, err := strconv.Atoi(parts[1]); err == nil {
			scene = n
		}
	}
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || scene < 0 || len(parts) == 3 && parts[2] != "release" {
		return plain(http.StatusNotFound, "give "+scripted.ControlPath+"NAME/SCENE, or /release behind it\n"), nil
	}
	script, method := parts[0], r.RequestContext.HTTP.Method
	switch {
	case method == http.MethodPost && len(parts) == 3:
		return response{StatusCode: http.StatusNoContent}, u.kept.release(ctx, script, scene)
	case method == http.MethodGet && len(parts) == 2:
		arrivals, err := u.kept.arrivals(ctx, script, scene)
		if err != nil {
			return response{}, err
		}
		body, err := json.Marshal(arrivals)
		return response{StatusCode: http.StatusOK, Headers: map[string]string{"Content-Type": "application/json"}, Body: string(body)}, err
	case method == http.MethodPut && len(parts) == 2:
		read, err := sceneOf(r)
		if err != nil {
			return plain(http.StatusBadRequest, err.Error()+"\n"), nil
		}
		return response{StatusCode: http.StatusNoContent}, u.kept.begin(ctx, script, scene, read)
	}
	return plain(http.StatusMethodNotAllowed, "PUT writes a scene, GET reads its arrivals, POST releases it\n"), nil
}

// sceneOf reads a scene, and says all that is wrong with it.
func sceneOf(r request) (scripted.Scene, error) {
	var scene scripted.Scene
	a, err := arrivalOf(r, "")
	if err != nil {
		return scene, err
	}
	if err := json.Unmarshal(a.Body, &scene); err != nil {
		return scene, fmt.Errorf("the body is no scene: %w", err)
	}
	var problems []error
	for i, reply := range scene.Replies {
		if reply.Status < 200 || reply.Status > 599 {
			problems = append(problems, fmt.Errorf("reply %d has the status %d; give one from 200 to 599", i+1, reply.Status))
		}
		if reply.DelayMilliseconds < 0 || reply.DelayMilliseconds > scripted.MaxHold.Milliseconds() {
			problems = append(problems, fmt.Errorf("reply %d takes %d ms; give 0 to %d", i+1, reply.DelayMilliseconds, scripted.MaxHold.Milliseconds()))
		}
	}
	return scene, errors.Join(problems...)
}

func plain(status int, text string) response {
	return response{StatusCode: status, Headers: map[string]string{"Content-Type": "text/plain; charset=utf-8"}, Body: text}
}
