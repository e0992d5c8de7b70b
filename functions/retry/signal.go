package retry

import (
	"net/http"
	"strings"
	"time"

	"github.com/dunglas/httpsfv"
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

	// Exhausted says that a quota is used up: a field for what remains of it says zero.
	Exhausted bool

	// Scope is what the answer itself says that the limit is counted by: [PerAddress], [PerAccount], or empty if it does
	// not say.
	Scope Scope

	// Doubtful says that Floor is the end of a quota of which something remains, in an answer that is a rate limit: another
	// limit binds, of which nothing is known, and the moment is better than none. No more than a policy's RetryAfterMax is
	// waited for it.
	Doubtful bool

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
// Retry-After and the fields that stand for it come first, and of several values the longest. Without a valid one the
// fields of quotas are read: RateLimit, in the form of the IETF draft draft-ietf-httpapi-ratelimit-headers and in its older
// ones, and what vendors use instead. Of several quotas that are used up, the one that is renewed last counts. A value that
// cannot be understood, or that nobody can mean, is read as if the field were not there.
func ReadSignals(header http.Header, received time.Time, limited bool) Signals {
	r := signalReader{header, receipt(header, received)}
	var s Signals
	for _, field := range adviceFields {
		if advice, ok := r.advice(field); ok {
			s.Advice, s.AdviceField = advice, field
			break
		}
	}

	var told, quota floor
	for _, field := range retryAfterFields {
		told.atLeast(field, r.listed(field))
	}
	if _, known := r.remaining(perQuota.remaining); limited || !known {
		told.atLeast(perQuota.reset, r.listed(perQuota.reset))
	}
	for _, field := range millisecondFields {
		told.atLeast(field, r.milliseconds(field))
	}
	r.structured(&s, &quota)
	for _, q := range quotaFields {
		r.quota(q, limited, &s, &quota)
	}

	s.RetryAfter = told.field != ""
	if !s.RetryAfter {
		told = quota
	}
	s.Floor, s.Field = told.wait, told.field
	return s
}

// adviceFields are what Stripe and what OpenAI and Anthropic send; their own clients obey them.
var adviceFields = []string{"Stripe-Should-Retry", "X-Should-Retry"}

// retryAfterFields are Retry-After, and what some send in its place.
var retryAfterFields = []string{"Retry-After", "X-Retry-After"}

// perQuota is a Retry-After that some send with every answer, even if there is no need to wait. So it counts as one only
// with a rate limit, or where nothing else is known of the quota.
var perQuota = quotaField{remaining: "X-RateLimit-Remaining", reset: "X-RateLimit-Retry-After"}

// millisecondFields are what OpenAI and Azure's services send in addition to Retry-After.
var millisecondFields = []string{"Retry-After-Ms", "X-Ms-Retry-After-Ms"}

// quotaFields are the fields that say how much of a quota remains and when it is renewed.
var quotaFields = []quotaField{
	{remaining: "RateLimit-Remaining", reset: "RateLimit-Reset"},
	{remaining: "X-RateLimit-Remaining", reset: "X-RateLimit-Reset-After"},
	{remaining: "X-RateLimit-Remaining", reset: "X-RateLimit-Reset"},
	perQuota,
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

type quotaField struct {
	remaining, reset string

	// several says that the upstream sends several of these side by side, so that the time of one means nothing if it
	// does not also say that this one is used up.
	several bool
}

// A floor is a wait, and the field that asked for it.
type floor struct {
	wait  time.Duration
	field string
}

// atLeast raises the floor to the longest of the waits.
func (f *floor) atLeast(field string, waits []time.Duration) {
	for _, wait := range waits {
		if f.field == "" || wait > f.wait {
			f.wait, f.field = wait, field
		}
	}
}

// A signalReader reads the fields of one answer.
type signalReader struct {
	header http.Header
	moment moment
}

func (r signalReader) advice(field string) (advice, ok bool) {
	switch strings.ToLower(strings.TrimSpace(r.header.Get(field))) {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return false, false
}

// times reads every value of a field as a wait, and leaves out those that are none.
func (r signalReader) times(field string) []time.Duration {
	var waits []time.Duration
	for _, value := range r.header.Values(field) {
		if wait, ok := r.moment.parse(value); ok {
			waits = append(waits, wait)
		}
	}
	return waits
}

// listed is like times for a field whose values may have been joined to a list. Dates have commas, too, behind the day of
// the week: that is no wait, and the rest is a date without it.
func (r signalReader) listed(field string) []time.Duration {
	var waits []time.Duration
	for _, list := range r.header.Values(field) {
		for value := range strings.SplitSeq(list, ",") {
			if wait, ok := r.moment.parse(value); ok {
				waits = append(waits, wait)
			}
		}
	}
	return waits
}

// milliseconds reads every value of a field that holds a number of milliseconds.
func (r signalReader) milliseconds(field string) []time.Duration {
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
func (r signalReader) remaining(field string) (n float64, known bool) {
	return number(strings.TrimSpace(r.header.Get(field)))
}

// quota reads one quota told in a pair of fields.
func (r signalReader) quota(q quotaField, limited bool, s *Signals, f *floor) {
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
func (r signalReader) structured(s *Signals, f *floor) {
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
			if remaining, ok := parameter(item, "r"); !ok || remaining != 0 {
				continue
			}
			s.Exhausted = true
			seconds, ok := parameter(item, "t")
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
		if remaining, ok := entry(dictionary, "remaining"); !ok || remaining != 0 {
			return
		}
		s.Exhausted = true
		if seconds, ok := entry(dictionary, "reset"); ok {
			if wait, ok := r.moment.left(seconds * float64(time.Second)); ok {
				f.atLeast("RateLimit", []time.Duration{wait})
			}
		}
	}
}

// policyWindow returns the window of a policy in RateLimit-Policy, in seconds.
func (r signalReader) policyWindow(name string) (float64, bool) {
	list, err := httpsfv.UnmarshalList(r.header.Values("RateLimit-Policy"))
	if err != nil || name == "" {
		return 0, false
	}
	for _, member := range list {
		if item, ok := member.(httpsfv.Item); ok && quotaName(item) == name {
			return parameter(item, "w")
		}
	}
	return 0, false
}

// quotaName returns the name of a quota, a string or, in earlier drafts, a token. Anything else is no name.
func quotaName(item httpsfv.Item) string {
	switch name := item.Value.(type) {
	case string:
		return name
	case httpsfv.Token:
		return string(name)
	}
	return ""
}

func parameter(item httpsfv.Item, name string) (float64, bool) {
	if item.Params == nil {
		return 0, false
	}
	value, _ := item.Params.Get(name)
	return bareNumber(value)
}

func entry(dictionary *httpsfv.Dictionary, name string) (float64, bool) {
	member, ok := dictionary.Get(name)
	if !ok {
		return 0, false
	}
	item, ok := member.(httpsfv.Item)
	if !ok {
		return 0, false
	}
	return bareNumber(item.Value)
}

func bareNumber(value any) (float64, bool) {
	switch v := value.(type) {
	case int64:
		return float64(v), v >= 0
	case float64:
		return v, v >= 0
	}
	return 0, false
}
