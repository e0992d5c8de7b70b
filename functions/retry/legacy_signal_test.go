package retry

import (
	"math"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/dunglas/httpsfv"
)

// LegacySignals is the reader of before the grammar of names, which knew a list of fields. What it read rightly has to be
// read so for ever: it is here to be compared with, and must not change.
func LegacySignals(header http.Header, received time.Time, limited bool) Signals {
	r := legacyReader{header, receipt(header, received)}
	var s Signals
	for _, field := range legacyAdviceFields {
		if advice, ok := r.advice(field); ok {
			s.Advice, s.AdviceField = advice, field
			break
		}
	}

	var told, quota legacyFloor
	for _, field := range legacyRetryAfterFields {
		told.atLeast(field, r.listed(field))
	}
	if _, known := r.remaining(legacyPerQuota.remaining); limited || !known {
		told.atLeast(legacyPerQuota.reset, r.listed(legacyPerQuota.reset))
	}
	for _, field := range legacyMillisecondFields {
		told.atLeast(field, r.milliseconds(field))
	}
	r.structured(&s, &quota)
	for _, q := range legacyQuotaFields {
		r.quota(q, limited, &s, &quota)
	}

	s.RetryAfter = told.field != ""
	if !s.RetryAfter {
		told = quota
	}
	s.Floor, s.Field = told.wait, told.field
	return s
}

// legacyAdviceFields are what Stripe and what OpenAI and Anthropic send; their own clients obey them.
var legacyAdviceFields = []string{"Stripe-Should-Retry", "X-Should-Retry"}

// legacyRetryAfterFields are Retry-After, and what some send in its place.
var legacyRetryAfterFields = []string{"Retry-After", "X-Retry-After"}

// legacyPerQuota is a Retry-After that some send with every answer, even if there is no need to wait. So it counts as one only
// with a rate limit, or where nothing else is known of the quota.
var legacyPerQuota = legacyQuotaField{remaining: "X-RateLimit-Remaining", reset: "X-RateLimit-Retry-After"}

// legacyMillisecondFields are what OpenAI and Azure's services send in addition to Retry-After.
var legacyMillisecondFields = []string{"Retry-After-Ms", "X-Ms-Retry-After-Ms"}

// legacyQuotaFields are the fields that say how much of a quota remains and when it is renewed.
var legacyQuotaFields = []legacyQuotaField{
	{remaining: "RateLimit-Remaining", reset: "RateLimit-Reset"},
	{remaining: "X-RateLimit-Remaining", reset: "X-RateLimit-Reset-After"},
	{remaining: "X-RateLimit-Remaining", reset: "X-RateLimit-Reset"},
	legacyPerQuota,
	{remaining: "X-Rate-Limit-Remaining", reset: "X-Rate-Limit-Reset"},
	{remaining: "X-Sib-RateLimit-Remaining", reset: "X-Sib-RateLimit-Reset"},
	{remaining: "X-RateLimit-Requests-Remaining", reset: "X-RateLimit-Requests-Reset", several: true},
	{remaining: "X-RateLimit-Remaining-Requests", reset: "X-RateLimit-Reset-Requests", several: true},
	{remaining: "X-RateLimit-Remaining-Tokens", reset: "X-RateLimit-Reset-Tokens", several: true},
	{remaining: "Anthropic-RateLimit-Requests-Remaining", reset: "Anthropic-RateLimit-Requests-Reset", several: true},
	{remaining: "Anthropic-RateLimit-Tokens-Remaining", reset: "Anthropic-RateLimit-Tokens-Reset", several: true},
	{remaining: "Anthropic-RateLimit-Input-Tokens-Remaining", reset: "Anthropic-RateLimit-Input-Tokens-Reset", several: true},
	{remaining: "Anthropic-RateLimit-Output-Tokens-Remaining", reset: "Anthropic-RateLimit-Output-Tokens-Reset", several: true},
}

type legacyQuotaField struct {
	remaining, reset string

	// several says that the upstream sends several of these side by side, so that the time of one means nothing if it
	// does not also say that this one is used up.
	several bool
}

// A legacyFloor is a wait, and the field that asked for it.
type legacyFloor struct {
	wait  time.Duration
	field string
}

// atLeast raises the legacyFloor to the longest of the waits.
func (f *legacyFloor) atLeast(field string, waits []time.Duration) {
	for _, wait := range waits {
		if f.field == "" || wait > f.wait {
			f.wait, f.field = wait, field
		}
	}
}

// A legacyReader reads the fields of one answer.
type legacyReader struct {
	header http.Header
	moment moment
}

func (r legacyReader) advice(field string) (advice, ok bool) {
	switch strings.ToLower(strings.TrimSpace(r.header.Get(field))) {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return false, false
}

// times reads every value of a field as a wait, and leaves out those that are none.
func (r legacyReader) times(field string) []time.Duration {
	var waits []time.Duration
	for _, value := range r.header.Values(field) {
		if wait, ok := r.parse(value); ok {
			waits = append(waits, wait)
		}
	}
	return waits
}

// listed is like times for a field whose values may have been joined to a list. Dates have commas, too, behind the day of
// the week: that is no wait, and the rest is a date without it.
func (r legacyReader) listed(field string) []time.Duration {
	var waits []time.Duration
	for _, list := range r.header.Values(field) {
		for value := range strings.SplitSeq(list, ",") {
			if wait, ok := r.parse(value); ok {
				waits = append(waits, wait)
			}
		}
	}
	return waits
}

// milliseconds reads every value of a field that holds a number of milliseconds.
func (r legacyReader) milliseconds(field string) []time.Duration {
	var waits []time.Duration
	for _, value := range r.header.Values(field) {
		if ms, ok := number(strings.TrimSpace(value)); ok {
			if wait, ok := r.moment.left(ms * float64(time.Millisecond)); ok {
				waits = append(waits, wait)
			}
		}
	}
	return waits
}

// remaining reads a field that says what remains of a quota.
func (r legacyReader) remaining(field string) (n float64, known bool) {
	return number(strings.TrimSpace(r.header.Get(field)))
}

// quota reads one quota told in a pair of fields.
func (r legacyReader) quota(q legacyQuotaField, limited bool, s *Signals, f *legacyFloor) {
	remaining, known := r.remaining(q.remaining)
	exhausted := known && remaining == 0
	if exhausted {
		s.Exhausted = true
	}
	if exhausted || limited && !known && !q.several {
		f.atLeast(q.reset, r.times(q.reset))
	}
}

// structured reads RateLimit as the IETF draft has it since its eighth version, a list of items with the parameters r
// (what remains) and t (seconds until it is renewed), or as its seventh version had it, a dictionary. Where t is
// missing, the window w of the policy of the same name stands in for it: no quota takes longer than its window.
func (r legacyReader) structured(s *Signals, f *legacyFloor) {
	values := r.header.Values("RateLimit")
	if len(values) == 0 {
		return
	}
	if list, err := httpsfv.UnmarshalList(values); err == nil {
		for _, member := range list {
			item, ok := member.(httpsfv.Item)
			if !ok {
				continue
			}
			if remaining, ok := legacyParameter(item, "r"); !ok || remaining != 0 {
				continue
			}
			s.Exhausted = true
			seconds, ok := legacyParameter(item, "t")
			if !ok {
				seconds, ok = r.policyWindow(quotaName(item))
			}
			if wait, credible := r.moment.left(seconds * float64(time.Second)); ok && credible {
				f.atLeast("RateLimit", []time.Duration{wait})
			}
		}
		return
	}
	if dictionary, err := httpsfv.UnmarshalDictionary(values); err == nil {
		if remaining, ok := legacyEntry(dictionary, "remaining"); !ok || remaining != 0 {
			return
		}
		s.Exhausted = true
		if seconds, ok := legacyEntry(dictionary, "reset"); ok {
			if wait, ok := r.moment.left(seconds * float64(time.Second)); ok {
				f.atLeast("RateLimit", []time.Duration{wait})
			}
		}
	}
}

// policyWindow returns the window of a policy in RateLimit-Policy, in seconds.
func (r legacyReader) policyWindow(name string) (float64, bool) {
	list, err := httpsfv.UnmarshalList(r.header.Values("RateLimit-Policy"))
	if err != nil || name == "" {
		return 0, false
	}
	for _, member := range list {
		if item, ok := member.(httpsfv.Item); ok && quotaName(item) == name {
			return legacyParameter(item, "w")
		}
	}
	return 0, false
}

// parse reads a wait in any of the forms that are met: seconds, whole or not; a time since the Unix epoch in seconds or
// milliseconds; a date; a duration as Go writes it, such as 6m0s, or as people do, such as 30 seconds. Quotes, a plus sign
// and parameters do no harm. A time that has passed is no wait.
func (r legacyReader) parse(value string) (time.Duration, bool) {
	value, _, _ = strings.Cut(value, ";")
	value = strings.TrimFunc(value, func(r rune) bool { return r == '"' || unicode.IsSpace(r) })
	value = strings.TrimPrefix(value, "+")
	if n, ok := number(value); ok {
		switch {
		case n > epochMilliseconds:
			return r.moment.until(time.UnixMilli(int64(min(math.Ceil(n), math.MaxInt64/2))))
		case n > epochSeconds:
			whole, part := math.Modf(n)
			return r.moment.until(time.Unix(int64(whole), int64(math.Ceil(part*1e9))))
		}
		return r.moment.left(n * float64(time.Second))
	}
	if t, ok := parseDate(value); ok {
		return r.moment.until(t)
	}
	if d, err := time.ParseDuration(value); err == nil && d >= 0 {
		return r.moment.left(float64(d))
	}
	name := strings.TrimLeft(value, "0123456789.")
	n, ok := number(value[:len(value)-len(name)])
	unit, known := units[strings.ToLower(strings.TrimSpace(name))]
	if !ok || !known {
		return 0, false
	}
	return r.moment.left(n * float64(unit))
}

func legacyParameter(item httpsfv.Item, name string) (float64, bool) {
	n, ok := parameter(item, name)
	return n, ok && n >= 0
}

func legacyEntry(dictionary *httpsfv.Dictionary, name string) (float64, bool) {
	n, ok := entry(dictionary, name)
	return n, ok && n >= 0
}
