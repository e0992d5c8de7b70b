package retry

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// Signals is what the header fields of an answer say about whether, and when, to come again.
type Signals struct {
	// Floor is how long, from the receipt of the answer, the upstream wants to be left alone. It is zero if Field is
	// empty, and also if the upstream named a time that has passed.
	Floor time.Duration

	// Field names the header field that Floor was read from. Empty if none says when.
	Field string

	// RetryAfter says that Floor was read from Retry-After or a field that stands for it, which speak of this request, and
	// not from a field for quotas.
	RetryAfter bool

	// Exhausted says that a quota is used up: a field for what remains of it says zero or less, or one for what is used
	// says as much as there is.
	Exhausted bool

	// Scope is what the answer itself says that the limit is counted by: [PerAddress], [PerAccount], or empty if it does
	// not say.
	Scope Scope

	// Doubtful says that Floor is the end of a quota of which something remains, in an answer that is a rate limit: another
	// limit binds, of which nothing is known, and the moment is better than none. No more than a policy's RetryAfterMax is
	// waited for it.
	Doubtful bool

	// Daily says that a quota of a day or longer is used up, and that nothing in the answer says when it is renewed.
	Daily bool

	// Advice is the upstream's own word on whether to repeat the request, and AdviceField the field that holds it.
	// Advice means nothing if AdviceField is empty.
	Advice      bool
	AdviceField string
}

// ReadSignals reads the header fields of an answer that was received at the given moment. Times of day are taken
// relative to the answer's own Date, so that a clock that is wrong, there or here, does no harm, and what a cache has kept
// is as old as its Age says. limited says that the status itself is a rate limit: fields that say when a quota is renewed,
// but not that it is used up, then count too.
//
// There is no list of vendors. The name of a field is read word by word: a word for a limit, such as RateLimit, Rate-Limit,
// Limit, Quota or Throttle; a word for what the value is, such as Remaining, Left, Reset, Until, Interval or Retry-After;
// and words for what is counted, for whom and how long. Fields that differ only in the second belong to one quota. A value
// is a number, a duration, a moment, a list of these with a place for each window, or has members, as JSON or as in
// remaining=0; resets=42. docs/rate-limit-signals.md has the rules, and a row for each form.
//
// A Retry-After in any of its forms comes first, and of several values the longest. Without a valid one the quotas that
// are used up count, and of those the one that is renewed last. A value that cannot be understood, or that nobody can mean,
// is read as if the field were not there. The result does not depend on the order of the fields.
func ReadSignals(header http.Header, received time.Time, limited bool) Signals {
	var s Signals
	for _, field := range adviceFields {
		if advice, ok := readAdvice(header, field); ok {
			s.Advice, s.AdviceField = advice, field
			break
		}
	}
	var room [16]string
	names := room[:0]
	for name := range header {
		if mayTellLimit(name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return s
	}
	slices.Sort(names)
	l := ledger{moment: receipt(header, received), limited: limited}
	for _, name := range names {
		l.field(header, name)
	}
	f := l.read()
	if policy := header[policyField]; len(policy) > 0 && !l.named {
		l.partitioned(policy)
	}
	s.Exhausted, s.Scope = l.exhausted, l.by.scope()
	s.RetryAfter = f.told.field != ""
	for _, floor := range []floor{f.told, f.own, f.shared, f.period, f.rate} {
		if floor.field != "" {
			s.Floor, s.Field = floor.wait, spelling(floor.field)
			return s
		}
	}
	s.Daily = f.daily
	if f.doubtful.field != "" {
		s.Floor, s.Field, s.Doubtful = f.doubtful.wait, spelling(f.doubtful.field), true
	}
	return s
}

// policyField is RateLimit-Policy, as net/http writes it.
const policyField = "Ratelimit-Policy"

// field enters what a field says.
func (l *ledger) field(header http.Header, name string) {
	n, ok := readLimitName(name)
	if !ok {
		return
	}
	if name == "Ratelimit" && l.standard(name, header[name], header[policyField]) {
		return
	}
	for _, value := range header[name] {
		l.tell(n, name, value)
	}
}

// spelling writes a name as vendors do, and as people look for it.
func spelling(name string) string {
	return strings.Replace(http.CanonicalHeaderKey(name), "Ratelimit", "RateLimit", 1)
}

func readAdvice(header http.Header, field string) (advice, ok bool) {
	switch strings.ToLower(strings.TrimSpace(header.Get(field))) {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return false, false
}

// adviceFields are what Stripe and what OpenAI and Anthropic send; their own clients obey them.
var adviceFields = []string{"Stripe-Should-Retry", "X-Should-Retry"}
