package retry

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// String says in one line what the rule is for and what it says.
func (r Rule) String() string {
	var b strings.Builder
	b.WriteString(r.Name + ": ")
	if len(r.Statuses) == 0 {
		b.WriteString("any status")
	} else {
		statuses := make([]string, len(r.Statuses))
		for i, status := range r.Statuses {
			statuses[i] = strconv.Itoa(status)
		}
		b.WriteString(strings.Join(statuses, ", "))
	}
	if of := requestsText(r.Methods, r.Path); of != "" {
		b.WriteString(" to " + of)
	}
	if !r.When.IsZero() {
		b.WriteString(", if " + r.When.String())
	}
	var says []string
	if r.Verdict != "" {
		says = append(says, string(r.Verdict))
	}
	if r.Daily {
		says = append(says, "ends at once")
	}
	if !r.Wait.IsZero() {
		says = append(says, "wait "+r.Wait.String())
	}
	if r.Scope != "" {
		says = append(says, string(r.Scope))
	}
	if r.Recorded != nil {
		says = append(says, map[bool]string{true: "recorded", false: "not recorded"}[*r.Recorded])
	}
	b.WriteString(": " + strings.Join(says, ", "))
	return b.String()
}

// String says what the condition compares.
func (c Condition) String() string {
	from := sourceText(c.Field, c.Expression)
	switch {
	case c.Equals != nil:
		value, err := json.Marshal(c.Equals)
		if err != nil {
			return from + " equals ?"
		}
		return from + " equals " + string(value)
	case c.Matches != "":
		return fmt.Sprintf("%s matches %s", from, c.Matches)
	case c.Present != nil && !*c.Present:
		return from + " is not present"
	}
	return from + " is present"
}

// String says where the wait is read from.
func (w Wait) String() string {
	var parts []string
	if w.Field != "" || w.Expression != "" {
		text := "by " + sourceText(w.Field, w.Expression)
		if w.Matches != "" {
			text += ", of which " + w.Matches
		}
		if w.Unit != "" {
			text += fmt.Sprintf(" (%s)", w.Unit)
		}
		parts = append(parts, text)
	}
	if w.Fixed > 0 {
		parts = append(parts, seconds(w.Fixed))
	}
	if w.Midnight != "" {
		parts = append(parts, "until midnight at "+w.Midnight)
	}
	return strings.Join(parts, ", or else ")
}

// String says which requests the route is for.
func (r Route) String() string { return requestsText(r.Methods, r.Path) }

// requestsText names requests: "GET, HEAD /search".
func requestsText(methods []string, path string) string {
	return strings.TrimSpace(strings.Join(methods, ", ") + " " + path)
}

// sourceText names what a value is read from.
func sourceText(field, expression string) string {
	switch {
	case expression == "":
		return field
	case field == "":
		return "body " + expression
	}
	return field + " " + expression
}
