package retry

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Validate returns all problems of the policy, its rules and its routes in one error, or nil. Each names the field, what was
// given, and what is allowed.
func (p Policy) Validate() error {
	var problems []error
	own := p.problems()
	for _, text := range own {
		problems = append(problems, errors.New("retry: "+text))
	}
	for i, r := range p.Routes {
		at := fmt.Sprintf("Routes[%d]", i)
		for _, text := range r.problems(p, own) {
			problems = append(problems, fmt.Errorf("retry: %s.%s", at, text))
		}
	}
	return errors.Join(problems...)
}

// problems lists what is wrong with a route in a policy, but for what is wrong with that one in the same way.
func (r Route) problems(p Policy, known []string) []string {
	var problems []string
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	requests(r.Methods, r.Path, problem)
	if len(r.Methods) == 0 && r.Path == "" {
		problem("Path and Methods are empty: give one, or say in the policy itself what holds for all requests")
	}
	if len(r.Policy.Routes) > 0 {
		problem("Policy has routes of its own: put them beside this one")
	}
	p.Routes, r.Policy.Routes = nil, nil
	for _, text := range r.Policy.Over(p).problems() {
		if !slices.Contains(known, text) {
			problem("Policy.%s", text)
		}
	}
	return problems
}

// requests reports what is wrong with what a rule or a route is for.
func requests(methods []string, path string, problem func(string, ...any)) {
	for _, method := range methods {
		if !isMethod(method) {
			problem("Methods has %q: give names of methods in upper case", method)
		}
	}
	if path != "" && path[0] != '/' {
		problem("Path is %q: begin it with a slash", path)
	}
	if strings.ContainsAny(path, "?#") {
		problem("Path is %q: give the path alone, without a query", path)
	}
}

func isMethod(method string) bool {
	return method != "" && strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") == ""
}

// problems lists what is wrong with the policy itself.
func (p Policy) problems() []string {
	p = p.filled()
	var problems []string
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }

	for _, b := range p.budgets() {
		if b.Attempts < 1 || b.Attempts > MaxAttempts {
			problem("%s.Attempts is %d: give 1 to %d, or 0 for the default", b.field, b.Attempts, MaxAttempts)
		}
		if b.Base < 0 {
			problem("%s.Base is %v: give a positive duration, or 0 for the default", b.field, b.Base)
		}
		if b.Max < 0 {
			problem("%s.Max is %v: give a positive duration, or 0 for the default", b.field, b.Max)
		} else if b.Max < b.Base {
			problem("%s.Max is %v, less than %s.Base, which is %v: raise Max or lower Base", b.field, b.Max, b.field, b.Base)
		}
		if !slices.Contains(jitters, b.Jitter) {
			problem("%s.Jitter is %q: give %s", b.field, b.Jitter, list(jitters))
		}
	}
	if p.RetryAfterMax < 0 {
		problem("RetryAfterMax is %v: give a positive duration, or 0 for the default", p.RetryAfterMax)
	}
	if !slices.Contains(scopes, p.Scope) {
		problem("Scope is %q: give %s", p.Scope, list(scopes))
	}
	for _, status := range slices.Sorted(maps.Keys(p.Statuses)) {
		if status < 200 || status > 599 {
			problem("Statuses has %d: give statuses from 200 to 599", status)
		}
		if !slices.Contains(verdicts, p.Statuses[status]) {
			problem("Statuses[%d] is %q: give %s", status, p.Statuses[status], list(verdicts))
		}
	}
	for _, method := range p.RepeatableMethods {
		if !isMethod(method) {
			problem("RepeatableMethods has %q: give names of methods in upper case", method)
		}
	}
	if p.AttemptTimeout < time.Millisecond {
		problem("AttemptTimeout is %v: give 1ms or more, or 0 for the default", p.AttemptTimeout)
	}
	if p.Deadline < time.Millisecond {
		problem("Deadline is %v: give 1ms or more, or 0 for the default", p.Deadline)
	}
	if p.MaxDeadline < time.Millisecond {
		problem("MaxDeadline is %v: give 1ms or more, or 0 for the default", p.MaxDeadline)
	} else if p.Deadline > p.MaxDeadline {
		problem("Deadline is %v, more than MaxDeadline, which is %v: lower Deadline or raise MaxDeadline",
			p.Deadline, p.MaxDeadline)
	}
	names := map[string]bool{}
	for i, r := range p.Signals {
		at := fmt.Sprintf("Signals[%d]", i)
		if r.Name != "" {
			at = fmt.Sprintf("Signals[%d] (%s)", i, r.Name)
		}
		if names[r.Name] {
			problem("%s.Name is that of another rule: give each its own", at)
		}
		names[r.Name] = r.Name != ""
		for _, text := range r.problems() {
			problem("%s.%s", at, text)
		}
	}
	return problems
}

// problems lists what is wrong with a rule.
func (r Rule) problems() []string {
	var problems []string
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if r.Name == "" || strings.Trim(r.Name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || len(r.Name) > maxRuleName {
		problem("Name is %q: give up to %d lower-case letters, digits and hyphens", r.Name, maxRuleName)
	}
	for _, status := range r.Statuses {
		if status < 200 || status > 599 {
			problem("Statuses has %d: give statuses from 200 to 599", status)
		}
	}
	requests(r.Methods, r.Path, problem)
	source(r.When.Field, r.When.Expression, "When", problem)
	given := 0
	for _, is := range []bool{r.When.Equals != nil, r.When.Matches != "", r.When.Present != nil} {
		if is {
			given++
		}
	}
	if given > 1 {
		problem("When has more than one of Equals, Matches and Present: give one")
	}
	if given > 0 && r.When.Field == "" && r.When.Expression == "" {
		problem("When says what to compare with, and not what: give Field or Expression")
	}
	if _, err := json.Marshal(r.When.Equals); err != nil {
		problem("When.Equals is no JSON value: %v", err)
	}
	if _, err := compilePattern(r.When.Matches); err != nil {
		problem("When.Matches is %q: %v", r.When.Matches, err)
	}
	if r.Verdict != "" && !slices.Contains(verdicts, r.Verdict) {
		problem("Verdict is %q: give %s, or leave it out", r.Verdict, list(verdicts))
	}
	source(r.Wait.Field, r.Wait.Expression, "Wait", problem)
	if r.Wait.Unit != "" && !slices.Contains(waitUnits, r.Wait.Unit) {
		problem("Wait.Unit is %q: give %s, or leave it out", r.Wait.Unit, list(waitUnits))
	}
	if (r.Wait.Unit != "" || r.Wait.Matches != "") && r.Wait.Field == "" && r.Wait.Expression == "" {
		problem("Wait says how a value is to be read, and not where it is: give Field or Expression; Fixed is a duration")
	}
	if pattern, err := compilePattern(r.Wait.Matches); err != nil {
		problem("Wait.Matches is %q: %v", r.Wait.Matches, err)
	} else if r.Wait.Matches != "" && pattern.NumSubexp() != 1 {
		problem("Wait.Matches is %q, with %d groups: give it one, in which the wait is", r.Wait.Matches, pattern.NumSubexp())
	}
	if _, err := parseOffset(r.Wait.Midnight); r.Wait.Midnight != "" && err != nil {
		problem("Wait.Midnight is %q: give a difference from UTC, such as -08:00", r.Wait.Midnight)
	}
	if r.Wait.Midnight != "" && r.Wait.Fixed != 0 {
		problem("Wait has Fixed and Midnight: give one")
	}
	if r.Wait.Fixed < 0 || r.Wait.Fixed > MaxCredibleFloor {
		problem("Wait.Fixed is %v: give a positive duration of up to %v", r.Wait.Fixed, MaxCredibleFloor)
	}
	if r.Scope != "" && !slices.Contains(scopes, r.Scope) {
		problem("Scope is %q: give %s, or leave it out", r.Scope, list(scopes))
	}
	if r.Daily && r.Verdict == Final {
		problem("Daily has no effect with the verdict %q: leave one of them out", Final)
	}
	if r.Verdict == "" && r.Recorded == nil && r.Wait.IsZero() && r.Scope == "" && !r.Daily {
		problem("Verdict, Recorded, Wait, Scope and Daily are left out, so that the rule says nothing: give one")
	}
	return problems
}

// source reports what is wrong with where a value is to be found.
func source(field, expression, at string, problem func(string, ...any)) {
	if strings.Trim(field, fieldNameCharacters) != "" {
		problem("%s.Field is %q: give the name of a header field", at, field)
	}
	if expression == "" {
		return
	}
	if _, err := compileExpression(expression); err != nil {
		problem("%s.Expression is %q: %v", at, expression, err)
	}
}

// fieldNameCharacters are those of a token (RFC 9110 section 5.6.2).
const fieldNameCharacters = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// maxRuleName is how long the name of a rule may be: it travels with every attempt that the rule was applied to.
const maxRuleName = 40

var (
	scopes   = []Scope{PerAddress, PerAccount, Inferred}
	verdicts = []Verdict{Final, Limited, Erroneous}
)

// list names the allowed values of a string type, for a message.
func list[T ~string](values []T) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = fmt.Sprintf("%q", string(v))
	}
	last := len(quoted) - 1
	return strings.Join(quoted[:last], ", ") + " or " + quoted[last]
}
