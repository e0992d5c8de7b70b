package message

import (
	"log/slog"
	"strings"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

const (
	// maxLoggedPath is the most that a log line has of a path, and maxLoggedMethod of a method, in bytes. A line is paid for by its
	// length, and whoever looks for a request knows how its path begins.
	maxLoggedPath   = 256
	maxLoggedMethod = 20

	// cut stands at the end of what is longer.
	cut = "..."
)

// LoggedPath is a path as log lines have it: escaped, in visible ASCII, without a query, and without the end of one that is too
// long. What a caller has written there cannot make a line of its own.
func LoggedPath(path string) string {
	if end := strings.IndexAny(path, "?#"); end >= 0 {
		path = path[:end] // of a plain event, which is refused for it
	}
	if len(path) > maxLoggedPath {
		path = path[:maxLoggedPath+1] // so that no more is escaped than is needed
	}
	path = EscapedPath(path)
	if len(path) > maxLoggedPath {
		path = path[:maxLoggedPath-len(cut)] + cut
	}
	return path
}

// LoggedMethod is a method as log lines have it. What is no token is left out.
func LoggedMethod(method string) string {
	switch {
	case !IsToken(method):
		return ""
	case len(method) > maxLoggedMethod:
		return method[:maxLoggedMethod-len(cut)] + cut
	}
	return method
}

// AttemptAttributes are what the log line of an attempt says, without anything of what was sent or received but the method and
// the path: of an attempt with a number, from one, and of what was decided after it. What there is none of is left out.
//
// Of a callback, neither method nor path is told. It goes to a URL that a caller has named, and many such URLs are a secret.
func AttemptAttributes(call *Call, number int, a retry.Attempt, outcome retry.Outcome) []slog.Attr {
	attributes := make([]slog.Attr, 0, 20)
	text := func(name, value string) {
		if value != "" {
			attributes = append(attributes, slog.String(name, value))
		}
	}
	text("execution", call.run())
	if call.Request.Origin != "" {
		attributes = append(attributes, slog.Bool("callback", true))
	} else {
		text("method", LoggedMethod(call.Request.Method))
		text("path", LoggedPath(call.Request.Path))
	}
	attributes = append(attributes, slog.Int("attempt", number))
	text("proxy", a.Proxy)
	text("address", a.Address)
	if a.Status != 0 {
		attributes = append(attributes, slog.Int("status", a.Status))
	}
	text("error", string(a.Error))
	text("details", a.Details)
	if a.Start != 0 {
		attributes = append(attributes, slog.Int64("durationMs", a.Duration))
	}
	text("outcome", string(outcome))
	if outcome == retry.Again {
		attributes = append(attributes, slog.Int64("waitMs", a.Wait))
	}
	text("why", a.Why)
	return attributes
}

// Attempt measures an attempt, which is the number-th of its request.
func (m *Measurement) Attempt(number int, a retry.Attempt, outcome retry.Outcome) {
	m.CountOf(a.Proxy, MetricAttempts)
	if number > 1 {
		m.CountOf(a.Proxy, MetricRetries)
	}
	if a.Kind == retry.RateLimit {
		m.CountOf(a.Proxy, MetricRateLimits)
	}
	if a.Start != 0 { // else its proxy was lost, and nobody knows
		m.Milliseconds(MetricAttemptTime, time.Duration(a.Duration)*time.Millisecond)
	}
	if outcome == retry.Again && a.Wait > 0 {
		m.Milliseconds(MetricRetryWait, time.Duration(a.Wait)*time.Millisecond)
	}
}
