package asl

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// maxSeconds is the longest wait and timeout that a definition can ask for, in seconds.
const maxSeconds = 99999999

// maxWait is the longest that a Wait state waits, in whatever form it is asked to.
const maxWait = math.MaxInt32 * time.Second

// A waitUntil says how long a Wait state waits.
type waitUntil interface {
	duration(s *scope, now time.Time) (time.Duration, error)
}

type (
	waitSeconds       time.Duration
	waitSecondsPath   struct{ path *path }
	waitTimestamp     time.Time
	waitTimestampPath struct{ path *path }
)

func (w waitSeconds) duration(*scope, time.Time) (time.Duration, error) { return time.Duration(w), nil }

func (w waitSecondsPath) duration(s *scope, _ time.Time) (time.Duration, error) {
	v, err := w.path.find(s)
	var missing *noSuchPath
	if errors.As(err, &missing) {
		return 0, failure(Runtime, "The SecondsPath parameter does not reference an input value: %s", w.path.text)
	}
	n, ok := wholeSeconds(v)
	switch {
	case !ok:
		return 0, failure(Runtime, "The SecondsPath parameter cannot be parsed as a long value: %s == %s", w.path.text, plain(v))
	case n < 0:
		return 0, failure(Runtime, "The SecondsPath parameter references a negative value: %s == %d", w.path.text, n)
	}
	return time.Duration(min(n, math.MaxInt64/int64(time.Second))) * time.Second, nil
}

func (w waitTimestamp) duration(_ *scope, now time.Time) (time.Duration, error) {
	return time.Time(w).Sub(now), nil
}

func (w waitTimestampPath) duration(s *scope, now time.Time) (time.Duration, error) {
	v, err := w.path.find(s)
	var missing *noSuchPath
	if errors.As(err, &missing) {
		return 0, failure(Runtime, "The TimestampPath parameter does not reference an input value: %s", w.path.text)
	}
	t, ok := timestamp(v)
	if !ok {
		return 0, failure(Runtime, "The TimestampPath parameter does not reference a valid ISO-8601 extended offset "+
			"date-time format string: %s == %s", w.path.text, plain(v))
	}
	return t.Sub(now), nil
}

// wholeSeconds reads a number without a fraction, 10 and 10.0 alike.
func wholeSeconds(v any) (int64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	if i, err := strconv.ParseInt(n.String(), 10, 64); err == nil {
		return i, true
	}
	f, ok := number(n)
	if !ok || f != math.Trunc(f) || math.Abs(f) > 1<<53 || strings.ContainsAny(n.String(), "eE") {
		return 0, false
	}
	return int64(f), true
}

// plain writes a value for people: a string without quotes, anything else as JSON.
func plain(v any) string {
	if text, ok := v.(string); ok {
		return text
	}
	return encode(v)
}
