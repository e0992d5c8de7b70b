package message

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// A Callback has the state machine start another execution at the end of an asynchronous request: one that tells somebody of it.
type Callback struct {
	// Name is what the state machine calls that execution.
	Name string `json:"name"`

	// Input is what it starts with.
	Input *Envelope `json:"input"`
}

// The JSONPaths by which the state machine finds the callback of a request. Without one, nobody is told.
const (
	CallbackPath      = "$$.Execution.Input.callback"
	CallbackNamePath  = "$$.Execution.Input.callback.name"
	CallbackInputPath = "$$.Execution.Input.callback.input"
)

// CallbackRefused is the Error of an envelope whose callback was answered with something other than 2xx, after which it makes no
// sense to come again.
const CallbackRefused retry.Reason = "CallbackRefused"

// CallbackNotStarted is the reason of a dead letter whose callback could not be started.
const CallbackNotStarted retry.Reason = "CallbackNotStarted"

// CallbackLetterBody gives the MessageBody of the state that sends the letter of a callback which could not be started.
func CallbackLetterBody() map[string]any {
	return map[string]any{
		"version":     DeadLetterVersion,
		"execution.$": CallbackNamePath,
		"item.$":      CallbackInputPath + ".item",
		"requestId.$": CallbackInputPath + ".call.requestId",
		"deadline.$":  CallbackInputPath + ".call.deadline",
		"at.$":        "$$.State.EnteredTime",
		"summary":     map[string]any{"reason": string(CallbackNotStarted), "maybeProcessed": false},
	}
}

// maxCallbackURL is the longest URL of a callback, in bytes.
const maxCallbackURL = 2048

// CheckCallbackURL says what is wrong with the URL of a callback. It is one of https, or of http at a loopback address, which only
// a local stack reaches.
func CheckCallbackURL(text string) error {
	target, err := url.Parse(text)
	switch {
	case len(text) > maxCallbackURL:
		return fmt.Errorf("it has %d bytes; at most %d are allowed", len(text), maxCallbackURL)
	case err != nil, !isVisibleASCII(text):
		return errors.New("it is not a URL")
	case target.Host == "" || target.Opaque != "" || strings.Contains(target.Host, "%"): // a zone is one of this machine's
		return errors.New("it has no host")
	case target.User != nil:
		return errors.New("it has a user name or a password, which would be sent to nobody")
	case target.Fragment != "" || strings.Contains(text, "#"):
		return errors.New("it has a fragment, which is sent to nobody")
	case target.Scheme != "https" && (target.Scheme != "http" || !isLoopback(target.Hostname())):
		return errors.New("it must be one of https")
	case RefusedPath(callbackPath(target)) != "":
		return fmt.Errorf("its path %s", RefusedPath(callbackPath(target)))
	}
	return nil
}

// CheckCallbackHost says what is wrong with a host that callbacks may go to: its name or address in lower case, and behind a
// colon its port, if that is not 443.
func CheckCallbackHost(host string) error {
	target, err := url.Parse("https://" + host)
	switch {
	case err != nil, host == "", target.Host != host, target.Hostname() == "", !isVisibleASCII(host), strings.HasSuffix(host, ":"):
		return fmt.Errorf("%q is not a host, such as hooks.example.com or hooks.example.com:8443", host)
	case host != strings.ToLower(host):
		return fmt.Errorf("%q is not in lower case; give %q", host, strings.ToLower(host))
	case strings.ContainsRune(host, '*'):
		return fmt.Errorf("%q has a wildcard; hosts are compared as a whole, so name each", host)
	case target.Port() == "443":
		return fmt.Errorf("%q names the port of https; leave it out", host)
	}
	return nil
}

// CallbackHost is the host that a callback goes to, as CheckCallbackHost has it.
func CallbackHost(text string) string {
	target, err := url.Parse(text)
	if err != nil {
		return ""
	}
	host := strings.ToLower(target.Host)
	if target.Scheme == "https" {
		host = strings.TrimSuffix(host, ":443")
	}
	return host
}

// SetCallback makes the request one to the URL of a callback.
func (r *Request) SetCallback(text string) error {
	target, err := url.Parse(text)
	if err != nil {
		return fmt.Errorf("message: the URL of a callback is none: %w", errors.Unwrap(err))
	}
	r.Origin, r.Path, r.Query = target.Scheme+"://"+target.Host, callbackPath(target), target.RawQuery
	return nil
}

// callbackPath is the path of a URL, with its slash.
func callbackPath(target *url.URL) string {
	if target.EscapedPath() == "" {
		return "/"
	}
	return target.EscapedPath()
}

func isVisibleASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}
