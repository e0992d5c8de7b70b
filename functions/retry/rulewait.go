package retry

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A Wait says where in an answer it stands how long to wait: in a header field, in what a JMESPath expression selects from
// the body, or, with both, in what it selects from the JSON value of the field. Of several values the longest counts. If there
// is none that can be understood and meant, Fixed or Midnight holds. At least one of the four is given, unless the Wait is zero.
//
// Expressions can calculate: (cost - available) / rate.
type Wait struct {
	Field      string
	Expression string

	// Matches is a regular expression, in the syntax of package regexp, with one group: what that finds in the text of the
	// value is the wait. Empty means the whole value.
	Matches string

	// Unit is what the value is given in. Empty means that it is read as Retry-After is, by its form: a number of seconds, a
	// time since the Unix epoch, a date, or a duration such as 6m0s.
	Unit Unit

	// Fixed is how long to wait where the answer does not say. Zero means that this is not known.
	Fixed time.Duration

	// Midnight is the difference from UTC, such as -08:00, of the place at whose next midnight the wait ends, where the answer
	// does not say. Of a place with daylight saving time give the one that ends later. Empty means that this is not known.
	Midnight string
}

// A Unit is what a Wait is given in.
type Unit string

const (
	Milliseconds      Unit = "milliseconds"
	Seconds           Unit = "seconds"
	Minutes           Unit = "minutes"
	Epoch             Unit = "epoch"              // seconds since the Unix epoch
	EpochMilliseconds Unit = "epoch-milliseconds" // milliseconds since the Unix epoch
	Date              Unit = "date"               // in any of the forms that Retry-After is read in
	Duration          Unit = "duration"           // as Go and protocol buffers write it (6m0s, 3.5s), or as ISO 8601 does (PT6M)
)

var waitUnits = []Unit{Milliseconds, Seconds, Minutes, Epoch, EpochMilliseconds, Date, Duration}

// IsZero says whether the wait is left to the built-in reading.
func (w Wait) IsZero() bool { return w == Wait{} }

// read returns the wait that an answer asks for.
func (w Wait) read(content *content) (time.Duration, bool) {
	if w.IsZero() {
		return 0, false
	}
	var longest time.Duration
	found := false
	if w.Field != "" || w.Expression != "" {
		at := receipt(content.result.Header, content.result.Received)
		for _, value := range content.values(w.Field, w.Expression) {
			value, ok := w.part(text(value))
			if !ok {
				continue
			}
			if wait, ok := w.Unit.read(at, value); ok {
				longest, found = max(longest, wait), true
			}
		}
	}
	switch offset, err := parseOffset(w.Midnight); {
	case found:
		return longest, true
	case w.Midnight != "" && err == nil:
		return untilMidnight(content.result.Received, offset), true
	}
	return w.Fixed, w.Fixed > 0
}

// part returns the part of a text that Matches is after.
func (w Wait) part(text string) (string, bool) {
	if w.Matches == "" {
		return text, true
	}
	pattern, err := compilePattern(w.Matches)
	if err != nil {
		return "", false
	}
	groups := pattern.FindStringSubmatch(text)
	if len(groups) < 2 {
		return "", false
	}
	return groups[1], true
}

// parseOffset reads a difference from UTC such as -08:00.
func parseOffset(text string) (time.Duration, error) {
	t, err := time.Parse("-07:00", text)
	if err != nil {
		return 0, err
	}
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second, nil
}

// untilMidnight returns how long it is to the next midnight of a place with a difference from UTC.
func untilMidnight(now time.Time, offset time.Duration) time.Duration {
	there := now.UTC().Add(offset)
	return there.Truncate(24 * time.Hour).Add(24 * time.Hour).Sub(there)
}

// read reads a value that is given in the unit.
func (u Unit) read(at moment, value string) (time.Duration, bool) {
	value = strings.TrimSpace(value)
	switch u {
	case "":
		return at.parse(value)
	case Date:
		t, ok := parseDate(value)
		if !ok {
			return 0, false
		}
		return at.until(t)
	case Duration:
		d, ok := parseDuration(value)
		if !ok {
			return 0, false
		}
		return at.left(float64(d))
	}
	n, ok := number(value)
	if !ok {
		return 0, false
	}
	switch u {
	case Milliseconds:
		return at.left(n * float64(time.Millisecond))
	case Minutes:
		return at.left(n * float64(time.Minute))
	case Epoch, EpochMilliseconds:
		// A number that is too small for the other one is a wait, and one that is too large is in the wrong unit; either
		// way it is not what the rule expects.
		if u == Epoch && (n < epochSeconds || n > epochMilliseconds) || u == EpochMilliseconds && n < epochMilliseconds {
			return 0, false
		}
		return at.parse(value)
	}
	return at.left(n * float64(time.Second))
}

// isoDuration is a duration of ISO 8601 in weeks, days, hours, minutes and seconds; months and years have no fixed length.
var isoDuration = regexp.MustCompile(`^P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$`)

// parseDuration reads a duration as Go or as ISO 8601 writes it.
func parseDuration(value string) (time.Duration, bool) {
	if d, err := time.ParseDuration(value); err == nil {
		return d, d >= 0
	}
	parts := isoDuration.FindStringSubmatch(value)
	if parts == nil {
		return 0, false
	}
	total, given := 0.0, false
	for i, unit := range []time.Duration{7 * 24 * time.Hour, 24 * time.Hour, time.Hour, time.Minute, time.Second} {
		if n, err := strconv.ParseFloat(parts[i+1], 64); err == nil {
			total, given = total+n*float64(unit), true
		}
	}
	if !given {
		return 0, false
	}
	return credible(total)
}

type waitJSON struct {
	Field      string   `json:"field,omitempty"`
	Expression string   `json:"expression,omitempty"`
	Matches    string   `json:"matches,omitempty"`
	Unit       Unit     `json:"unit,omitempty"`
	Fixed      duration `json:"fixed,omitzero"`
	Midnight   string   `json:"midnight,omitempty"`
}

// MarshalJSON writes the wait as an object, without the members that are empty.
func (w Wait) MarshalJSON() ([]byte, error) {
	return json.Marshal(waitJSON{w.Field, w.Expression, w.Matches, w.Unit, duration(w.Fixed), w.Midnight})
}

// UnmarshalJSON reads what MarshalJSON writes. A member that is not known is an error.
func (w *Wait) UnmarshalJSON(data []byte) error {
	var form waitJSON
	if err := unmarshalStrictly(data, &form); err != nil {
		return err
	}
	*w = Wait{form.Field, form.Expression, form.Matches, form.Unit, time.Duration(form.Fixed), form.Midnight}
	return nil
}
