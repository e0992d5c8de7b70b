package retry

import (
	"time"

	"github.com/dunglas/httpsfv"
)

// standard reads RateLimit as the IETF draft has it since its eighth version, a list of items with the parameters r (what
// remains) and t (seconds until it is renewed), or as its seventh version had it, a dictionary. Where t is missing, the
// window w of the policy of the same name stands in for it: no quota takes longer than its window. It returns false if
// there is neither an r nor a remaining.
func (l *ledger) standard(field string, values, policy []string) bool {
	understood := false
	if list, err := httpsfv.UnmarshalList(values); err == nil {
		for _, member := range list {
			item, ok := member.(httpsfv.Item)
			if !ok {
				continue
			}
			remaining, ok := parameter(item, "r")
			understood = understood || ok
			if !ok || remaining > 0 {
				continue
			}
			name := quotaName(item)
			p := policyOf(policy, name)
			l.exhaustNamed(name, item, p)
			seconds, ok := parameter(item, "t")
			if !ok {
				seconds, ok = parameter(p, "w")
			}
			if wait, credible := l.moment.left(seconds * float64(time.Second)); ok && credible {
				l.structured.atLeast(field, wait)
			}
		}
		return understood
	}
	if dictionary, err := httpsfv.UnmarshalDictionary(values); err == nil {
		remaining, ok := entry(dictionary, "remaining")
		if !ok || remaining > 0 {
			return ok
		}
		l.exhausted = true
		seconds, ok := entry(dictionary, "reset")
		if wait, credible := l.moment.left(seconds * float64(time.Second)); ok && credible {
			l.structured.atLeast(field, wait)
		}
		return ok
	}
	return false
}

// exhaustNamed notes that a quota is used up, and whose it is: a partition key is a part of the quota that belongs to
// somebody whom the server has identified.
func (l *ledger) exhaustNamed(name string, item, policy httpsfv.Item) {
	l.exhausted, l.named = true, true
	m := readMember(name)
	seconds, _ := parameter(policy, "w")
	l.by = l.by.and(m.by)
	l.by.account = l.by.account || m.period >= day || seconds >= day.Seconds() || isPartitioned(item) || isPartitioned(policy)
}

// partitioned notes that all limits of an answer that does not say which one is meant are somebody's.
func (l *ledger) partitioned(policy []string) {
	list, err := httpsfv.UnmarshalList(policy)
	if err != nil || len(list) == 0 {
		return
	}
	for _, member := range list {
		if item, ok := member.(httpsfv.Item); !ok || !isPartitioned(item) {
			return
		}
	}
	l.by.account = true
}

func isPartitioned(item httpsfv.Item) bool {
	if item.Params == nil {
		return false
	}
	_, ok := item.Params.Get("pk")
	return ok
}

// policyOf returns the policy of a name in RateLimit-Policy.
func policyOf(values []string, name string) httpsfv.Item {
	list, err := httpsfv.UnmarshalList(values)
	if err != nil || name == "" {
		return httpsfv.Item{}
	}
	for _, member := range list {
		if item, ok := member.(httpsfv.Item); ok && quotaName(item) == name {
			return item
		}
	}
	return httpsfv.Item{}
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
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}
