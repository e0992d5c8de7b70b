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
// is none that can be understood and meant, Fixed holds. At least one of the three is given, unless the Wait is zero.
type Wait struct {
	Field      string
	Expression string

	// Unit is what the value is given in. Empty means that it is read as Retry-After is, by its form: a number of seconds, a
	// time since the Unix epoch, a date, or a duration such as 6m0s.
	Unit Unit

	// Fixed is how long to wait where the answer does not say. Zero means that this is not known.
	Fixed time.Duration
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
			if wait, ok := w.Unit.read(at, text(value)); ok {
				longest, found = max(longest, wait), true
			}
		}
	}
	if !found {
		return w.Fixed, w.Fixed > 0
	}
	return longest, true
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
	Unit       Unit     `json:"unit,omitempty"`
	Fixed      duration `json:"fixed,omitzero"`
}

// MarshalJSON writes the wait as an object, without the members that are empty.
func (w Wait) MarshalJSON() ([]byte, error) {
	return json.Marshal(waitJSON{w.Field, w.Expression, w.Unit, duration(w.Fixed)})
}

// UnmarshalJSON reads what MarshalJSON writes. A member that is not known is an error.
func (w *Wait) UnmarshalJSON(data []byte) error {
	var form waitJSON
	if err := unmarshalStrictly(data, &form); err != nil {
		return err
	}
	*w = Wait{form.Field, form.Expression, form.Unit, time.Duration(form.Fixed)}
	return nil
}
