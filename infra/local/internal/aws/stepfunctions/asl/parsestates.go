package asl

import (
	"slices"
	"strings"
	"time"
)

func parseInputOutput(f *fields, s *state) {
	s.inputPath = f.nullablePath("InputPath", rootPath)
	s.outputPath = f.nullablePath("OutputPath", rootPath)
}

func parseNext(f *fields, s *state) {
	end, hasEnd := f.get("End")
	if hasEnd && end != any(true) && end != any(false) {
		f.problem("End", "must be true or false, not %s", encode(end))
		return
	}
	switch next, hasNext := f.text("Next"); {
	case hasNext && end == any(true):
		f.problem("End", "cannot be there together with Next")
	case hasNext && next == "":
		f.problem("Next", "must not be empty")
	case !f.has("Next") && end != any(true):
		f.problem("Next", "is missing; without a next state there must be End: true")
	default:
		s.next = next
	}
}

func parsePass(f *fields, s *state) {
	parseInputOutput(f, s)
	parseNext(f, s)
	s.parameters, _ = f.template("Parameters")
	s.resultPath = f.resultPath()
	s.result, s.hasResult = f.get("Result")
}

func parseWait(f *fields, s *state) {
	parseInputOutput(f, s)
	parseNext(f, s)
	switch f.exclusive("Seconds", "SecondsPath", "Timestamp", "TimestampPath") {
	case "Seconds":
		n, _ := f.integer("Seconds", 0, maxSeconds)
		s.wait = waitSeconds(time.Duration(n) * time.Second)
	case "SecondsPath":
		p, _ := f.path("SecondsPath")
		s.wait = waitSecondsPath{p}
	case "Timestamp":
		text, ok := f.text("Timestamp")
		t, valid := timestamp(text)
		if ok && !valid {
			f.problem("Timestamp", "must be %s, not %q", timestampOperand, text)
		}
		s.wait = waitTimestamp(t)
	case "TimestampPath":
		p, _ := f.path("TimestampPath")
		s.wait = waitTimestampPath{p}
	default:
		f.problem("", "a Wait needs one of Seconds, SecondsPath, Timestamp, TimestampPath")
	}
}

func parseFail(f *fields, s *state) {
	s.failError = f.textOrPath("Error")
	s.failCause = f.textOrPath("Cause")
}

// textOrPath reads Error or ErrorPath, Cause or CausePath.
func (f *fields) textOrPath(name string) expression {
	switch f.exclusive(name, name+"Path") {
	case name:
		text, _ := f.text(name)
		return literal{text}
	case name + "Path":
		text, ok := f.text(name + "Path")
		if !ok {
			return nil
		}
		e, err := parseExpression(text)
		if err != nil {
			f.problem(name+"Path", "%v", err)
			return nil
		}
		if c, isCall := e.(*call); isCall {
			if function, _, _ := strings.Cut(c.text, "("); !yieldsText[strings.TrimSpace(function)] {
				f.problem(name+"Path", "%s yields no string; allowed are %s", function, strings.Join(sortedNames(yieldsText), ", "))
			}
		}
		return e
	}
	return nil
}

func parseChoice(f *fields, s *state) {
	parseInputOutput(f, s)
	if f.has("Default") {
		s.defaultChoice = f.requiredText("Default")
	}
	choices := f.array("Choices")
	if len(choices) == 0 {
		f.problem("Choices", "must be an array with at least one choice")
	}
	for i, v := range choices {
		inner, ok := f.inner(indexed("Choices", i), v)
		if !ok {
			continue
		}
		next := inner.requiredText("Next")
		s.choices = append(s.choices, choice{condition: parseCondition(inner), next: next})
	}
}

// parseCondition reads the part of a choice that says when it holds.
func parseCondition(f *fields) condition {
	f.text("Comment")
	defer f.refuseRest()
	switch f.exclusive("And", "Or", "Not", "Variable") {
	case "And":
		return allOf(parseConditions(f, "And"))
	case "Or":
		return anyOf(parseConditions(f, "Or"))
	case "Not":
		v, _ := f.get("Not")
		if inner, ok := f.inner("Not", v); ok {
			return noneOf{parseCondition(inner)}
		}
		return nil
	case "Variable":
		return parseComparison(f)
	}
	if !f.has("Condition") { // which is refused by its name
		f.problem("", "one of And, Or, Not and Variable is missing")
	}
	return nil
}

func parseConditions(f *fields, name string) []condition {
	array := f.array(name)
	if len(array) == 0 {
		f.problem(name, "must be an array with at least one condition")
	}
	var all []condition
	for i, v := range array {
		if inner, ok := f.inner(indexed(name, i), v); ok {
			all = append(all, parseCondition(inner))
		}
	}
	return all
}

func parseComparison(f *fields) condition {
	variable, _ := f.path("Variable")
	var given []string
	for _, name := range sortedNames(f.object) {
		if _, known := findOperator(name); known {
			given = append(given, name)
			f.read[name] = true
		}
	}
	if len(given) != 1 {
		f.problem("", "there must be one comparison beside Variable, not %d %v", len(given), given)
		return nil
	}
	name := given[0]
	op, _ := findOperator(name)
	c := comparison{variable: variable, operator: name, compare: op.compare}
	if base := strings.TrimSuffix(name, "Path"); base != name {
		c.from, _ = f.path(name)
		return c
	}
	c.operand, _ = f.get(name)
	if !op.operand.allows(c.operand) {
		f.problem(name, "must be %s, not %s", op.operand, encode(c.operand))
	}
	return c
}

func findOperator(name string) (operator, bool) {
	if op, ok := operators[name]; ok {
		return op, true
	}
	base, isPath := strings.CutSuffix(name, "Path")
	op, ok := operators[base]
	return op, ok && isPath && !op.noPath
}

func parseTask(f *fields, s *state) {
	parseInputOutput(f, s)
	parseNext(f, s)
	var parameters map[string]any
	s.parameters, parameters = f.template("Parameters")
	s.resultSelector, _ = f.template("ResultSelector")
	s.resultPath = f.resultPath()
	if text := f.requiredText("Resource"); text != "" {
		r, err := parseResource(text)
		if err != nil {
			f.problem("Resource", "%v", err)
		} else {
			r.integration.check(f, parameters)
		}
		s.resource = r
	}
	switch f.exclusive("TimeoutSeconds", "TimeoutSecondsPath") {
	case "TimeoutSeconds":
		n, _ := f.integer("TimeoutSeconds", 1, maxSeconds)
		s.timeout = time.Duration(n) * time.Second
	case "TimeoutSecondsPath":
		s.timeoutPath, _ = f.path("TimeoutSecondsPath")
	}
	parseRetry(f, s)
	parseCatch(f, s)
}

func parseRetry(f *fields, s *state) {
	array := f.array("Retry")
	for i, v := range array {
		inner, ok := f.inner(indexed("Retry", i), v)
		if !ok {
			continue
		}
		inner.text("Comment")
		r := retrier{
			errorEquals: inner.errorEquals(i == len(array)-1),
			interval:    DefaultInterval, maxAttempts: DefaultMaxAttempts, backoffRate: DefaultBackoffRate,
			maxDelay: maxDelay, jitter: noJitter,
		}
		if n, given := inner.integer("IntervalSeconds", 1, maxSeconds); given {
			r.interval = time.Duration(n) * time.Second
		}
		if n, given := inner.integer("MaxAttempts", 0, maxSeconds); given {
			r.maxAttempts = int(n)
		}
		if v, given := inner.get("BackoffRate"); given {
			rate, ok := number(v)
			if !ok || rate < 1 {
				inner.problem("BackoffRate", "must be a number of at least 1.0, not %s", encode(v))
			}
			r.backoffRate = rate
		}
		if n, given := inner.integer("MaxDelaySeconds", 1, int64(maxDelay/time.Second)-1); given {
			r.maxDelay = time.Duration(n) * time.Second
			if r.maxDelay <= r.interval {
				inner.problem("MaxDelaySeconds", "must be more than IntervalSeconds, which is %d", r.interval/time.Second)
			}
		}
		if strategy, given := inner.text("JitterStrategy"); given {
			if r.jitter = jitter(strategy); r.jitter != fullJitter && r.jitter != noJitter {
				inner.problem("JitterStrategy", "%q is none of FULL, NONE", strategy)
			}
		}
		inner.refuseRest()
		s.retriers = append(s.retriers, r)
	}
}

func parseCatch(f *fields, s *state) {
	array := f.array("Catch")
	for i, v := range array {
		inner, ok := f.inner(indexed("Catch", i), v)
		if !ok {
			continue
		}
		inner.text("Comment")
		s.catchers = append(s.catchers, catcher{
			errorEquals: inner.errorEquals(i == len(array)-1),
			resultPath:  inner.resultPath(),
			next:        inner.requiredText("Next"),
		})
		inner.refuseRest()
	}
}

// errorEquals reads a list of error names. States.ALL must stand alone and last.
func (f *fields) errorEquals(last bool) []string {
	array := f.array("ErrorEquals")
	if len(array) == 0 {
		f.problem("ErrorEquals", "must be an array with at least one name of an error")
	}
	var names []string
	for i, v := range array {
		name, ok := v.(string)
		if !ok || name == "" {
			f.problem(indexed("ErrorEquals", i), "must be the name of an error, not %s", encode(v))
			continue
		}
		names = append(names, name)
	}
	if slices.Contains(names, All) && (len(names) > 1 || !last) {
		f.problem("ErrorEquals", "%s must stand alone, and in the last element", All)
	}
	return names
}
