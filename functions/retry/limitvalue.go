package retry

import (
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"
)

// An amount is a number that a field tells of a quota: how much remains of it, is used, or fits into it. It is not known
// if it could not be read. window is how long it is counted, zero if the value does not say.
type amount struct {
	n      float64
	known  bool
	whole  bool // without a fraction
	window time.Duration
}

// readAmounts reads a list of amounts. What cannot be read keeps its place, since places mean windows.
func readAmounts(value string) []amount {
	var list []amount
	for element := range parts(value, ',') {
		var a amount
		for part := range parts(element, ';') {
			if key, value, keyed := member(part); keyed {
				if m := readMember(key); m.quantity == window {
					a.window = span(value, m.unit)
				}
				continue
			}
			if !a.known {
				a = readAmount(part, a.window)
			}
		}
		list = append(list, a)
	}
	return list
}

// readAmount reads one number, with a sign, perhaps, and with what it is counted in or out of behind it: 20:120 is 20 in
// 120 seconds, 20/minute and 20 per minute are 20 in a minute, and 20/100 is 20 of 100.
func readAmount(text string, counted time.Duration) amount {
	a := amount{window: counted}
	text, seconds, windowed := strings.Cut(unquote(text), ":")
	if windowed {
		if a.window = span(seconds, 0); a.window == 0 {
			return a
		}
	}
	text, of, divided := strings.Cut(strings.Replace(text, " per ", "/", 1), "/")
	if divided {
		if _, ok := number(unquote(of)); !ok {
			if a.window = span(of, 0); a.window == 0 {
				return a
			}
		}
	}
	text = unquote(text)
	digits := strings.TrimLeft(text, "+-")
	if len(text)-len(digits) > 1 {
		return a
	}
	if a.n, a.known = number(digits); a.known {
		a.whole = a.n == float64(int64(a.n))
		if text[0] == '-' {
			a.n = -a.n
		}
	}
	return a
}

// span reads how long something is counted. Zero stands for what cannot be read.
func span(value string, unit time.Duration) time.Duration {
	value = unquote(value)
	if unit == 0 {
		unit = time.Second
	}
	if n, ok := number(value); ok {
		d, _ := credible(n * float64(unit))
		return d
	}
	if w := meaning(strings.ToLower(strings.ReplaceAll(value, " ", ""))); w.role == periodWord {
		return w.time
	}
	if d, err := time.ParseDuration(value); err == nil && d > 0 && d <= MaxCredibleFloor {
		return d
	}
	return 0
}

// A wait is one of the waits that a field tells.
type wait struct {
	d     time.Duration
	known bool
}

// waits reads a list of waits, or of moments. Dates have commas, too, behind the day of the week. What cannot be read keeps
// its place.
func (m moment) waits(value string, n limitName) []wait {
	var list []wait
	weekday := ""
	for element := range strings.SplitSeq(value, ",") {
		if weekday != "" {
			if d, ok := m.in(weekday+","+element, n); ok {
				list = append(list, wait{d, ok})
				weekday = ""
				continue
			}
			list = append(list, wait{})
		}
		if weekday = ""; isWeekday(element) {
			weekday = element
			continue
		}
		d, ok := m.in(element, n)
		list = append(list, wait{d, ok})
	}
	if weekday != "" {
		list = append(list, wait{})
	}
	return list
}

func isWeekday(text string) bool {
	text = unquote(text)
	return len(text) > 2 && strings.HasSuffix(strings.ToLower(text), "day") || slices.Contains(weekdays, text)
}

var weekdays = []string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}

// in reads a wait in the unit that the name of its field tells. A number that is large enough to be a moment is one,
// whatever the unit, and where the name asks for a moment no other number will do.
func (m moment) in(value string, n limitName) (time.Duration, bool) {
	if n.unit == 0 && !n.epoch {
		return m.parse(value)
	}
	text := trimWait(value)
	x, ok := number(text)
	switch {
	case !ok:
		return m.parse(value)
	case n.epoch && x <= epochSeconds:
		return 0, false
	case n.epoch, n.unit >= time.Second && x > epochSeconds, x > epochMilliseconds:
		return m.parse(value)
	}
	return m.left(x * float64(n.unit))
}

// parts splits a value at a separator, but not within quotes, and trims the parts.
func parts(value string, separator byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		start, quoted := 0, false
		for i := range len(value) {
			switch {
			case value[i] == '"':
				quoted = !quoted
			case value[i] == separator && !quoted:
				if !yield(strings.TrimSpace(value[start:i])) {
					return
				}
				start = i + 1
			}
		}
		yield(strings.TrimSpace(value[start:]))
	}
}

// member splits a part of a value such as remaining=0.
func member(part string) (key, value string, ok bool) {
	key, value, ok = strings.Cut(part, "=")
	key = strings.TrimSpace(key)
	if !ok || key == "" || strings.Trim(key, wordCharacters) != "" {
		return "", "", false
	}
	return key, strings.TrimSpace(value), true
}

const wordCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

// unquote trims a value, and takes the quotes from around it.
func unquote(value string) string { return strings.Trim(value, "\" \t") }

// keyed says whether a value has members, of which one tells what remains of a quota, or one that stands first.
func keyed(value string) bool {
	first := true
	for element := range parts(value, ',') {
		for part := range parts(element, ';') {
			if key, _, ok := member(part); ok {
				if first || readMember(key).quantity == remaining {
					return true
				}
			}
			first = false
		}
	}
	return false
}

// maxDepth is how deep JSON is read, which is deeper than anybody nests limits.
const maxDepth = 4

// decode reads a value that is a JSON object or array.
func decode(value string) (any, bool) {
	if value == "" || value[0] != '{' && value[0] != '[' {
		return nil, false
	}
	decoder := json.NewDecoder(strings.NewReader(value))
	decoder.UseNumber()
	var v any
	if decoder.Decode(&v) != nil || decoder.InputOffset() != int64(len(value)) {
		return nil, false
	}
	return v, true
}

// sortedKeys keeps what is read independent of the order of a map.
func sortedKeys(object map[string]any) []string { return slices.Sorted(maps.Keys(object)) }
