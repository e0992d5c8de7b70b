package retry

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Bounds of what is believed of an upstream's numbers.
const (
	// MaxCredibleFloor is the longest wait that is believed. Quotas are counted by the month at most; what says more is
	// a value in another unit, or a mistake, and is read as if it were not there. So is an Age of more than that.
	MaxCredibleFloor = 31 * 24 * time.Hour

	// MaxCredibleSkew is how far an answer's Date may be from our own clock before times of day are compared with both.
	// A server whose clock is a day off may tell all its times by that clock, or only its Date.
	MaxCredibleSkew = 24 * time.Hour

	// epochSeconds and the others are where a number stops being a number of seconds to wait, and is taken for a time
	// since the Unix epoch, from 2001 on in each of the units.
	epochSeconds      = 1e9
	epochMilliseconds = 1e12
	epochMicroseconds = 1e15
	epochNanoseconds  = 1e18
)

// A moment is when an answer came: by our clock, and by the clock of whoever made it.
type moment struct {
	ours, theirs time.Time

	// doubtful says that the two are too far apart to be sure that theirs counts.
	doubtful bool

	// age is how long before the answer was made, if it comes from a cache.
	age time.Duration
}

// receipt returns the moment of an answer's receipt, by its Date and its Age.
//
// A cache can keep the Date of the answer that it stored, or set Date when it hands the answer out, as many do. So it is
// taken for that of the two which is nearer to our clock.
func receipt(header http.Header, received time.Time) moment {
	m := moment{ours: received, theirs: received, age: age(header)}
	if date, ok := parseDate(strings.TrimSpace(header.Get("Date"))); ok {
		stored := date.Add(m.age)
		if m.theirs = date; stored.Sub(received).Abs() < date.Sub(received).Abs() {
			m.theirs = stored
		}
		m.doubtful = m.theirs.Sub(received).Abs() > MaxCredibleSkew
	}
	return m
}

// age reads Age. What cannot be understood, or cannot be meant, is no age. Of a list the first counts (RFC 9111 section
// 5.1).
func age(header http.Header) time.Duration {
	first, _, _ := strings.Cut(header.Get("Age"), ",")
	seconds, err := strconv.ParseUint(strings.TrimSpace(first), 10, 32)
	if age := time.Duration(seconds) * time.Second; err == nil && age <= MaxCredibleFloor {
		return age
	}
	return 0
}

// left returns what is left of a wait that began when the answer was made. The wait is given in nanoseconds.
func (m moment) left(wait float64) (time.Duration, bool) {
	d, ok := credible(wait)
	return max(0, d-m.age), ok
}

// until returns the time until t, zero if t has passed. If their clock is in doubt, it is the shorter one of what the two
// clocks say, and a clock by which t has passed, or lies years ahead, says nothing if the other one does: the time that an
// answer tells is meant to come, and soon.
func (m moment) until(t time.Time) (time.Duration, bool) {
	wait, ok := credible(float64(max(0, t.Sub(m.theirs))))
	if m.doubtful {
		ours, credible := credible(float64(max(0, t.Sub(m.ours))))
		if !ok || credible && ours > 0 && (wait == 0 || ours < wait) {
			return ours, credible
		}
	}
	return wait, ok
}

// parse reads a wait in any of the forms that are met: seconds, whole or not; a time since the Unix epoch in seconds,
// milliseconds, microseconds or nanoseconds; a date; a duration as Go writes it, such as 6m0s, as ISO 8601
// does, such as PT6M, or as people do, such as 30 seconds. Quotes, a plus sign
// and parameters do no harm. A time that has passed is no wait.
func (m moment) parse(value string) (time.Duration, bool) {
	value = trimWait(value)
	if n, ok := number(value); ok {
		switch {
		case n > epochNanoseconds:
			return m.until(time.Unix(0, int64(min(math.Ceil(n), math.MaxInt64/2))))
		case n > epochMicroseconds:
			return m.until(time.UnixMicro(int64(math.Ceil(n))))
		case n > epochMilliseconds:
			return m.until(time.UnixMilli(int64(math.Ceil(n))))
		case n > epochSeconds:
			whole, part := math.Modf(n)
			return m.until(time.Unix(int64(whole), int64(math.Ceil(part*1e9))))
		}
		return m.left(n * float64(time.Second))
	}
	if t, ok := parseDate(value); ok {
		return m.until(t)
	}
	if d, err := time.ParseDuration(value); err == nil && d >= 0 {
		return m.left(float64(d))
	}
	if iso, ok := strings.CutPrefix(value, "PT"); ok {
		if d, err := time.ParseDuration(strings.ToLower(iso)); err == nil && d >= 0 {
			return m.left(float64(d))
		}
	}
	name := strings.TrimLeft(value, "0123456789.")
	n, ok := number(value[:len(value)-len(name)])
	unit, known := units[strings.ToLower(strings.TrimSpace(name))]
	if !ok || !known {
		return 0, false
	}
	return m.left(n * float64(unit))
}

// trimWait takes from a wait what does no harm.
func trimWait(value string) string {
	value, _, _ = strings.Cut(value, ";")
	value = strings.TrimFunc(value, func(r rune) bool { return r == '"' || unicode.IsSpace(r) })
	return strings.TrimPrefix(value, "+")
}

// units are the units of time that people write behind a number.
var units = map[string]time.Duration{
	"ms": time.Millisecond, "millisecond": time.Millisecond, "milliseconds": time.Millisecond,
	"s": time.Second, "sec": time.Second, "secs": time.Second, "second": time.Second, "seconds": time.Second,
	"m": time.Minute, "min": time.Minute, "mins": time.Minute, "minute": time.Minute, "minutes": time.Minute,
	"h": time.Hour, "hr": time.Hour, "hrs": time.Hour, "hour": time.Hour, "hours": time.Hour,
}

// plainDates are the forms of dates that have no zone, or the name of one behind them: that of HTTP and of mail, of RFC 850,
// both without the day of the week, too; of C; and of ISO 8601.
var plainDates = []string{
	"Mon, 2 Jan 2006 15:04:05",
	"Monday, 2-Jan-06 15:04:05",
	"2 Jan 2006 15:04:05",
	"2-Jan-06 15:04:05",
	time.ANSIC,
	"2006-01-02T15:04:05",
	"2006-01-02 15:04:05",
}

// zonedDates are the forms of dates that hold the difference from UTC: that of ISO 8601 in full and to the minute, of mail,
// and of JavaScript.
var zonedDates = []string{
	time.RFC3339,
	"2006-01-02T15:04Z07:00",
	"2006-01-02 15:04:05Z07:00",
	"Mon, 2 Jan 2006 15:04:05 -0700",
	"2 Jan 2006 15:04:05 -0700",
	"2-Jan-06 15:04:05 -0700",
	"Mon Jan 02 2006 15:04:05 GMT-0700",
}

// zones are the names of zones of RFC 822 section 5.1, without the letters of the military, and UTC. Other names mean
// different zones in different places.
var zones = map[string]time.Duration{
	"GMT": 0, "UTC": 0, "UT": 0, "Z": 0,
	"EST": -5 * time.Hour, "EDT": -4 * time.Hour,
	"CST": -6 * time.Hour, "CDT": -5 * time.Hour,
	"MST": -7 * time.Hour, "MDT": -6 * time.Hour,
	"PST": -8 * time.Hour, "PDT": -7 * time.Hour,
}

// parseDate reads a date. One without a zone is in UTC.
func parseDate(value string) (time.Time, bool) {
	plain, offset := value, time.Duration(0)
	if i := strings.LastIndexByte(value, ' '); i >= 0 {
		if difference, known := zones[value[i+1:]]; known {
			plain, offset = strings.TrimRight(value[:i], " "), difference
		}
	}
	// The layouts have no names of zones, so that it does not matter which of them this machine knows.
	for _, layout := range plainDates {
		if t, err := time.Parse(layout, plain); err == nil {
			return t.Add(-offset), true
		}
	}
	zoned, _, _ := strings.Cut(value, " (") // JavaScript puts the name of the zone behind a date
	for _, layout := range zonedDates {
		if t, err := time.Parse(layout, zoned); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// credible turns nanoseconds into a duration, rounded up, unless there are more of them than can be meant.
func credible(nanoseconds float64) (time.Duration, bool) {
	if !(nanoseconds >= 0 && nanoseconds <= float64(MaxCredibleFloor)) {
		return 0, false
	}
	return time.Duration(math.Ceil(nanoseconds)), true
}

// number reads digits with at most one point among them: no sign, no exponent, no infinity.
func number(value string) (float64, bool) {
	if value == "" || strings.Trim(value, "0123456789.") != "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(value, 64)
	return n, err == nil
}
