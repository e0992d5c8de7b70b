package retry

import (
	"net/http"
	"slices"
	"strings"
)

// A Rule says how an upstream's answers are to be read where what HTTP has for it does not suffice: a limit that is told in
// the body, under a status that means something else, or without saying when it ends. A policy's rules are tried first to
// last, before the built-in reading, and the first one that matches decides. It matches if the answer has one of its
// statuses, the request one of its methods and its path, and if its condition is met. What is left out restricts nothing.
//
// In JSON:
//
//	{
//	  "name": "throttled", "statuses": [200], "methods": ["POST"], "path": "/graphql",
//	  "when": {"expression": "errors[].extensions.code", "equals": "THROTTLED"},
//	  "verdict": "rate-limit", "wait": {"fixed": "1s"}, "scope": "per-account"
//	}
type Rule struct {
	// Name tells people which rule it was: in the reason of an attempt, and in what Explain prints. Lower-case letters,
	// digits and hyphens; unique within the policy. Required.
	Name string `json:"name"`

	// Statuses are those of the answer, from 200 to 599.
	Statuses []int `json:"statuses,omitempty"`

	// Methods are those of the request, in upper case.
	Methods []string `json:"methods,omitempty"`

	// Path begins the path of the request: /v1/reports is for that path and for those below it, and /v1/reports- for all that
	// begin with it.
	Path string `json:"path,omitempty"`

	// When is a condition on what the answer says. The zero Condition is always met.
	When Condition `json:"when,omitzero"`

	// Verdict is how the answer is judged. [Limited] is taken as proof that the upstream did nothing, so that the request is
	// repeated whatever its method. [Final] holds whatever the answer's fields say. Empty leaves the judgement to the rest of
	// the policy; the rule then only says what else it says.
	Verdict Verdict `json:"verdict,omitempty"`

	// Recorded says whether a final answer settles the operation, so that it is recorded and replayed under the request's
	// Idempotency-Key. Nil leaves that to the status.
	Recorded *bool `json:"recorded,omitempty"`

	// Wait is how long the upstream wants to be left alone. Like a Retry-After it is a floor, and it counts in its place
	// unless the answer has a Retry-After that is longer. What the answer says of quotas does not count then. The zero Wait
	// leaves that to the built-in reading, and so does one that finds nothing.
	Wait Wait `json:"wait,omitzero"`

	// Scope is what the limit is counted by. It takes precedence over the policy's. Empty leaves that to the policy.
	Scope Scope `json:"scope,omitempty"`

	// Daily says that a quota of the day is used up: the request ends at once, and the caller is told when to come again: what
	// Wait or the fields of the answer say, or else the next midnight of UTC. It has no effect on an answer that is judged
	// final.
	Daily bool `json:"daily,omitempty"`
}

// A Condition compares a value of the answer: that of a header field, or what a JMESPath expression selects from the body,
// which has to be JSON. With both Field and Expression, the expression selects from the value of the field, which has to be
// JSON. Of several values, one that compares is enough: of a field that came more than once, and of a list that an expression
// gives.
type Condition struct {
	Field      string `json:"field,omitempty"`
	Expression string `json:"expression,omitempty"`

	// Equals is what a value has to be: any JSON value. The value of a field is text, and is compared with the text of Equals.
	Equals any `json:"equals,omitempty"`

	// Matches is a regular expression, in the syntax of package regexp, that has to be found in a value which is text or a
	// number.
	Matches string `json:"matches,omitempty"`

	// Present says whether there has to be a value (true), or must not be (false). As in JMESPath, null, false, an empty text,
	// an empty list and an empty object are none. If neither Equals nor Matches nor Present is given, there has to be one.
	Present *bool `json:"present,omitempty"`
}

// IsZero says whether the condition is always met.
func (c Condition) IsZero() bool {
	return c.Field == "" && c.Expression == "" && c.Equals == nil && c.Matches == "" && c.Present == nil
}

// readsBody says whether a rule looks at bodies.
func (r *Rule) readsBody() bool {
	return r.When.Expression != "" && r.When.Field == "" || r.Wait.Expression != "" && r.Wait.Field == ""
}

// concerns says whether a rule is for such requests and such a status.
func (r *Rule) concerns(req Request, status int) bool {
	return (len(r.Statuses) == 0 || slices.Contains(r.Statuses, status)) && covers(r.Methods, r.Path, req.Method, req.Path)
}

// covers says whether a request is one of the methods, if there are any, and under a path, if there is one.
func covers(methods []string, prefix, method, path string) bool {
	if len(methods) > 0 && !slices.Contains(methods, method) {
		return false
	}
	rest, under := strings.CutPrefix(path, prefix)
	return under && (rest == "" || rest[0] == '/' || prefix == "" || !endsSegment(prefix))
}

// endsSegment says whether a prefix ends with a whole segment of a path, which goes on at the next slash only. One that ends
// with a slash or a hyphen, say, goes on with anything.
func endsSegment(prefix string) bool {
	last := prefix[len(prefix)-1]
	return 'a' <= last && last <= 'z' || 'A' <= last && last <= 'Z' || '0' <= last && last <= '9'
}

// ReadsBody says whether the policy has to see the body of an answer with this status to judge it: whether one of its rules
// looks at bodies and may be for this request and this answer. Whoever makes the attempts then puts the body into
// [Result.Body]. For all other answers that can be left out.
func (p Policy) ReadsBody(req Request, status int) bool {
	for _, r := range p.For(req.Method, req.Path).Signals {
		if r.readsBody() && r.concerns(req, status) {
			return true
		}
	}
	return false
}

// ReadsBodies says whether the policy may have to see the body of an answer to this request, whatever the status. The
// request should then ask for no coding of content but gzip, deflate and identity (RFC 9110 section 12.5.3), which are those
// that rules can read.
func (p Policy) ReadsBodies(req Request) bool {
	return slices.ContainsFunc(p.For(req.Method, req.Path).Signals, func(r Rule) bool {
		return r.readsBody() && covers(r.Methods, r.Path, req.Method, req.Path)
	})
}

// A ruling is the rule that an answer matched.
type ruling struct {
	*Rule

	// wait is what the rule has found for its Wait.
	wait  floor
	found bool
}

// rule returns the first rule that an answer matches, if there is one.
func (p Policy) rule(req Request, result Result) (ruling, bool) {
	if len(p.Signals) == 0 {
		return ruling{}, false
	}
	content := content{result: result}
	for i := range p.Signals {
		r := &p.Signals[i]
		if !r.concerns(req, result.Status) || !r.When.met(&content) {
			continue
		}
		wait, found := r.Wait.read(&content)
		return ruling{Rule: r, wait: floor{wait, "rule " + r.Name}, found: found}, true
	}
	return ruling{}, false
}

// applyTo puts what a rule has found in the place of what was read from the fields.
func (r ruling) applyTo(s *Signals) {
	if r.Scope != "" {
		s.Scope = r.Scope
	}
	if r.found && !(s.RetryAfter && s.Floor > r.wait.wait) {
		s.Floor, s.Field, s.RetryAfter, s.Doubtful = r.wait.wait, r.wait.field, true, false
	}
}

// values returns the values of a source: of a header field, of the body, or of the JSON in a field.
func (c *content) values(field, expression string) []any {
	if expression == "" {
		var values []any
		for _, text := range c.result.Header.Values(field) {
			values = append(values, strings.TrimSpace(text))
		}
		return values
	}
	var documents []any
	if field == "" {
		if body, ok := c.body(); ok {
			documents = []any{body}
		}
	} else {
		for _, text := range c.result.Header[http.CanonicalHeaderKey(field)] {
			if document, ok := parseDocument([]byte(text)); ok {
				documents = append(documents, document)
			}
		}
	}
	var values []any
	for _, document := range documents {
		switch selected := selectFrom(expression, document).(type) {
		case nil:
		case []any:
			values = append(values, selected...)
		default:
			values = append(values, selected)
		}
	}
	return values
}
