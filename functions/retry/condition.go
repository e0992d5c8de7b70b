package retry

import (
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
)

// met says whether the condition is met by an answer.
func (c Condition) met(content *content) bool {
	if c.IsZero() {
		return true
	}
	values := content.values(c.Field, c.Expression)
	switch {
	case c.Equals != nil:
		wanted := plainJSON(c.Equals)
		if c.Expression == "" {
			wanted = any(text(wanted))
		}
		return slices.ContainsFunc(values, func(value any) bool { return reflect.DeepEqual(value, wanted) })
	case c.Matches != "":
		pattern, err := compilePattern(c.Matches)
		return err == nil && slices.ContainsFunc(values, func(value any) bool {
			s := text(value)
			return s != "" && pattern.MatchString(s)
		})
	}
	present := slices.ContainsFunc(values, isPresent)
	return present == (c.Present == nil || *c.Present)
}

// isPresent says whether a value counts as one, as it does in JMESPath.
func isPresent(value any) bool {
	switch v := value.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	}
	return true
}

// text returns a value as text: that of a string, or of a number or a truth value as JSON has it. Lists and objects have
// none.
func text(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

// plainJSON returns a value as it is after it has been written and read as JSON, where all numbers are of one type.
func plainJSON(value any) any {
	switch v := value.(type) {
	case string, float64, bool:
		return v
	case int:
		return float64(v)
	}
	written, err := json.Marshal(value)
	if err != nil {
		return value
	}
	var read any
	if json.Unmarshal(written, &read) != nil {
		return value
	}
	return read
}
