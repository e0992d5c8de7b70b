package retry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// policyJSON is the JSON form of a policy. It leaves out what is zero, so that an empty object is the zero policy.
type policyJSON struct {
	RateLimits        Budget          `json:"rateLimits,omitzero"`
	ServerErrors      Budget          `json:"serverErrors,omitzero"`
	NetworkFailures   Budget          `json:"networkFailures,omitzero"`
	RetryAfterMax     duration        `json:"retryAfterMax,omitzero"`
	Scope             Scope           `json:"scope,omitempty"`
	Statuses          map[int]Verdict `json:"statuses,omitempty"`
	RepeatableMethods []string        `json:"repeatableMethods,omitzero"`
	AttemptTimeout    duration        `json:"attemptTimeout,omitzero"`
	Deadline          duration        `json:"deadline,omitzero"`
	MaxDeadline       duration        `json:"maxDeadline,omitzero"`
	Signals           []Rule          `json:"signals,omitempty"`
	Routes            []Route         `json:"routes,omitempty"`
}

// routeJSON is the JSON form of a route: the members of its policy stand beside its own.
type routeJSON struct {
	Methods []string `json:"methods,omitempty"`
	Path    string   `json:"path,omitempty"`
	policyJSON
}

type budgetJSON struct {
	Attempts int      `json:"attempts,omitempty"`
	Base     duration `json:"base,omitzero"`
	Max      duration `json:"max,omitzero"`
	Jitter   Jitter   `json:"jitter,omitempty"`
}

// duration is written as Go writes durations, "1m30s".
type duration time.Duration

// MarshalJSON writes the policy as an object in which durations are strings such as "1m30s". Fields that are zero are
// left out, and so are the repeatable methods if they are the default ones.
func (p Policy) MarshalJSON() ([]byte, error) { return json.Marshal(p.form()) }

func (p Policy) form() policyJSON {
	if slices.Equal(p.RepeatableMethods, repeatableMethods) {
		p.RepeatableMethods = nil
	}
	return policyJSON{
		RateLimits:        p.RateLimits,
		ServerErrors:      p.ServerErrors,
		NetworkFailures:   p.NetworkFailures,
		RetryAfterMax:     duration(p.RetryAfterMax),
		Scope:             p.Scope,
		Statuses:          p.Statuses,
		RepeatableMethods: p.RepeatableMethods,
		AttemptTimeout:    duration(p.AttemptTimeout),
		Deadline:          duration(p.Deadline),
		MaxDeadline:       duration(p.MaxDeadline),
		Signals:           p.Signals,
		Routes:            p.Routes,
	}
}

// UnmarshalJSON reads what MarshalJSON writes. A field that is not known is an error, so that a misspelt one does not
// silently mean the default. It does not validate.
func (p *Policy) UnmarshalJSON(data []byte) error {
	var form policyJSON
	if err := unmarshalStrictly(data, &form); err != nil {
		return fmt.Errorf("retry: policy: %w", err)
	}
	*p = form.policy()
	return nil
}

func (form policyJSON) policy() Policy {
	return Policy{
		RateLimits:        form.RateLimits,
		ServerErrors:      form.ServerErrors,
		NetworkFailures:   form.NetworkFailures,
		RetryAfterMax:     time.Duration(form.RetryAfterMax),
		Scope:             form.Scope,
		Statuses:          form.Statuses,
		RepeatableMethods: form.RepeatableMethods,
		AttemptTimeout:    time.Duration(form.AttemptTimeout),
		Deadline:          time.Duration(form.Deadline),
		MaxDeadline:       time.Duration(form.MaxDeadline),
		Signals:           form.Signals,
		Routes:            form.Routes,
	}
}

// MarshalJSON writes the route as an object, with the members of its policy beside its own.
func (r Route) MarshalJSON() ([]byte, error) {
	return json.Marshal(routeJSON{r.Methods, r.Path, r.Policy.form()})
}

// UnmarshalJSON reads what MarshalJSON writes. A field that is not known is an error.
func (r *Route) UnmarshalJSON(data []byte) error {
	var form routeJSON
	if err := unmarshalStrictly(data, &form); err != nil {
		return err
	}
	*r = Route{form.Methods, form.Path, form.policy()}
	return nil
}

// MarshalJSON writes the budget as an object, without the fields that are zero.
func (b Budget) MarshalJSON() ([]byte, error) {
	return json.Marshal(budgetJSON{b.Attempts, duration(b.Base), duration(b.Max), b.Jitter})
}

// UnmarshalJSON reads what MarshalJSON writes. A field that is not known is an error.
func (b *Budget) UnmarshalJSON(data []byte) error {
	var form budgetJSON
	if err := unmarshalStrictly(data, &form); err != nil {
		return err
	}
	*b = Budget{form.Attempts, time.Duration(form.Base), time.Duration(form.Max), form.Jitter}
	return nil
}

func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration: write one as \"1m30s\"", text)
	}
	*d = duration(v)
	return nil
}

func unmarshalStrictly(data []byte, v any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value")
	}
	return nil
}
