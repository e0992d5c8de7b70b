package retry

import (
	"slices"
	"strings"
	"time"
)

// A limitName is what the name of a header field, or of a member of its value, says of a limit.
type limitName struct {
	quantity quantity

	// weak says that the quantity is told by a word that has other meanings, too, so that the value or another field has
	// to confirm it.
	weak bool

	// unit is what a number of time is in, if the name says so, and epoch that it is a moment and not a wait.
	unit  time.Duration
	epoch bool

	// rated says that the limit is named as one of rates, as in RateLimit and Throttle, and bare that no word for a limit
	// is there at all, as in Retry-After and X-Requests-Left.
	rated, bare bool

	// quota is the same for all fields that tell of one quota: every word but those for the quantity, in order.
	quota string

	// family is the vendor's prefix and the kind of limit, and qualifiers what is counted, for whom and how long: every
	// word behind the one for the limit, and before it those that have such a meaning.
	family     string
	qualifiers []string

	// qualified says that there are qualifiers behind the word for the limit: the upstream has several quotas, and this is
	// one of them.
	qualified bool

	// period is how long the quota is counted, zero if the name does not say.
	period time.Duration

	// by is whose quota it is.
	by holders
}

// A quantity is what the value of a field is.
type quantity int

const (
	whole      quantity = iota // all that is to be said of a limit, in a value that has names of its own
	holder                     // whose limit it is
	policies                   // the limits themselves, and their windows
	ceiling                    // how much a quota holds
	used                       // how much of it is used
	remaining                  // how much of it remains
	window                     // how long it is counted
	reset                      // when it is renewed
	retryAfter                 // when to come again
)

// holders are whose a limit is, as far as an answer says. Both can be true.
type holders struct{ account, address bool }

func (h holders) and(other holders) holders {
	return holders{h.account || other.account, h.address || other.address}
}

// scope returns the scope of a limit that is held so. What contradicts itself says nothing.
func (h holders) scope() Scope {
	switch {
	case h.account && !h.address:
		return PerAccount
	case h.address && !h.account:
		return PerAddress
	}
	return ""
}

// A role is the part that a word plays in the name of a field.
type role int

const (
	qualifier role = iota // any word that is not in the vocabulary
	filler                // says nothing: at, in, per
	limitWord             // limit, quota; where there has been one before, how much it holds
	rateWord              // rate, which with limit behind it is a word for a limit
	quantityWord
	retryWord   // retry, a word for when to come again only with after, in or at behind it, or in a rate limit
	afterWord   // after, in, at
	pauseWord   // wait, backoff: when to come again, but only in a rate limit
	unitWord    // what a number is in
	timeWord    // time: the quantity is one, or has one
	subjectWord // what is counted if nothing is said of a limit: requests, calls
	periodWord
	holderWord
	otherWord // what has limits that waiting does not lift: pages, storage
)

// A word is what a word of the vocabulary means.
type word struct {
	role     role
	quantity quantity
	weak     bool
	time     time.Duration // of a unit or a period
	by       holders
}

const (
	day   = 24 * time.Hour
	month = 30 * day
)

// vocabulary holds the words that names are made of. A word that is not here is a vendor's name, or says what is counted.
var vocabulary = func() map[string]word {
	v := map[string]word{
		"rate": {role: rateWord}, "retry": {role: retryWord}, "time": {role: timeWord},
		"epoch": {role: unitWord}, "timestamp": {role: unitWord}, "unix": {role: unitWord}, "unixtime": {role: unitWord},
	}
	add := func(w word, words string) {
		for name := range strings.FieldsSeq(words) {
			v[name] = w
		}
	}
	add(word{role: filler}, "x per this current on of the by utc date value counter info details exceeded")
	add(word{role: afterWord}, "after in at")
	add(word{role: limitWord}, "limit limits limiter quota quotas ratelimit ratelimits ratelimiter ratelimiting ratelimited"+
		" throttle throttling throttled")
	add(word{role: pauseWord}, "wait backoff")

	add(word{role: quantityWord, quantity: remaining}, "remaining remain remains left available")
	add(word{role: quantityWord, quantity: remaining, weak: true}, "status")
	add(word{role: quantityWord, quantity: used}, "used use usage consumed observed")
	add(word{role: quantityWord, quantity: used, weak: true}, "count")
	add(word{role: quantityWord, quantity: ceiling}, "total max maximum capacity")
	add(word{role: quantityWord, quantity: reset}, "reset resets until renew renews renewal refresh expires expiry")
	add(word{role: quantityWord, quantity: reset, weak: true}, "next")
	add(word{role: quantityWord, quantity: window}, "interval window period duration")
	add(word{role: quantityWord, quantity: policies}, "policy policies")
	add(word{role: quantityWord, quantity: holder}, "scope type")

	add(word{role: unitWord, time: time.Millisecond}, "ms msec msecs millis millisecond milliseconds")
	add(word{role: unitWord, time: time.Second}, "seconds secs sec")
	add(word{role: unitWord, time: time.Minute}, "minutes mins")
	add(word{role: unitWord, time: time.Hour}, "hours hrs")
	add(word{role: unitWord, time: day}, "days")

	add(word{role: subjectWord}, "request requests call calls query queries hits")
	add(word{role: periodWord, time: time.Second}, "second secondly")
	add(word{role: periodWord, time: time.Minute}, "minute minutely min")
	add(word{role: periodWord, time: time.Hour}, "hour hourly hr")
	add(word{role: periodWord, time: day}, "day daily today")
	add(word{role: periodWord, time: 7 * day}, "week weekly")
	add(word{role: periodWord, time: month}, "month monthly")
	add(word{role: periodWord, time: 365 * day}, "year yearly annual")

	add(word{role: holderWord, by: holders{account: true}}, "user users account accounts token key apikey app application tenant"+
		" org organization organisation project workspace subscription client customer consumer team company member owner login")
	add(word{role: holderWord, by: holders{address: true}}, "ip address addr")

	add(word{role: otherWord}, "page pages pagination paging offset cursor result results row rows record records item items"+
		" storage disk space byte bytes memory size upload uploads download downloads file files header headers body content"+
		" depth length timeout redirect redirects age percent percentage ratio")
	return v
}()

// mayTellLimit says whether a name can be that of a field of limits: whether any word is in it without which none is. It
// allocates nothing, and looks at two letters at a time, since every field of every answer is asked.
func mayTellLimit(name string) bool {
	for i := 0; i+4 <= len(name); i++ {
		var word string
		switch name[i] | 0x20 {
		case 'l':
			switch name[i+1] | 0x20 {
			case 'i':
				word = "limit"
			case 'e':
				word = "left"
			}
		case 'r':
			if name[i+1]|0x20 == 'e' {
				switch name[i+2] | 0x20 {
				case 't':
					word = "retry"
				case 'm':
					word = "remain"
				case 's':
					word = "reset"
				}
			}
		case 'q':
			word = "quota"
		case 't':
			if name[i+1]|0x20 == 'h' {
				word = "thrott"
			}
		case 'a':
			if name[i+1]|0x20 == 'v' {
				word = "avail"
			}
		}
		if word != "" && len(name)-i >= len(word) && strings.EqualFold(name[i:i+len(word)], word) {
			return true
		}
	}
	return false
}

// readLimitName reads the name of a header field. It returns false if it is not that of a field of limits.
func readLimitName(name string) (limitName, bool) {
	n := nameReader{limitName: limitName{bare: true}}
	n.read(splitName(strings.ToLower(name)))
	return n.limitName, n.ok()
}

// readMember reads the name of a member of a field's value. It is inside something that speaks of limits, so that no word
// for a limit is needed.
func readMember(name string) limitName {
	switch name {
	case "r":
		return limitName{quantity: remaining}
	case "t":
		return limitName{quantity: reset}
	case "w":
		return limitName{quantity: window}
	case "q":
		return limitName{quantity: ceiling}
	}
	n := nameReader{behind: true}
	n.rated = true
	n.read(splitName(strings.ToLower(separate(name))))
	return n.limitName
}

// A nameReader is a name that has been read, and what matters only for whether it is that of a limit.
type nameReader struct {
	limitName
	subject, timed, other bool
	retries               bool // retry without after
	spoken                bool // there is a word for a quantity
	behind                bool // the word for the limit has been read
}

func (n *nameReader) read(words []string) {
	var own, prefix []string
	for i := 0; i < len(words); i++ {
		name := words[i]
		w := meaning(name)
		switch w.role {
		case rateWord:
			if i+1 < len(words) && (vocabulary[words[i+1]].role == limitWord || words[i+1] == "limited") {
				own = append(own, name) // rate limit, in two words
				n.rated = n.rated || n.bare
				words[i+1] = "limit"
				break
			}
			own = append(own, name)
			n.qualify(name)
		case limitWord:
			if n.behind {
				n.raise(ceiling, false)
				break
			}
			n.behind, n.bare = true, false
			n.rated = n.rated || strings.HasPrefix(name, "rate") || strings.HasPrefix(name, "thrott")
			own = append(own, name)
			if n.rated {
				name = "ratelimit"
			}
			prefix = append(prefix, name)
		case quantityWord:
			n.raise(w.quantity, w.weak)
		case retryWord:
			if i+1 < len(words) && vocabulary[words[i+1]].role == afterWord {
				n.raise(retryAfter, false)
				i++
				break
			}
			n.retries = true
		case pauseWord:
			n.raise(retryAfter, true)
		case unitWord:
			if !n.behind && !n.spoken { // Microsoft's ms
				own, prefix = append(own, name), append(prefix, name)
				break
			}
			n.unit, n.epoch = w.time, w.time == 0
		case timeWord:
			n.timed = true
		case filler, afterWord:
			if name == "x" {
				own = append(own, name)
			}
		default:
			if w.role == otherWord && n.spoken && n.quantity == window {
				break // the size of a window
			}
			if w.role == subjectWord {
				n.subject, name = true, subject(name)
			}
			if w.role == periodWord {
				n.period = w.time
			}
			n.other = n.other || w.role == otherWord
			n.by = n.by.and(w.by)
			own = append(own, name)
			if w.role == qualifier && !n.behind && !n.spoken {
				prefix = append(prefix, name)
				break
			}
			n.qualify(name)
		}
	}
	if n.quantity == remaining && (n.timed || n.unit != 0) {
		n.quantity = reset // the time that remains; of a request, if no limit is named
		if n.bare {
			n.quantity = whole
		}
	}
	if n.quantity == reset && n.weak {
		n.epoch = true // X-RateLimit-Next: a moment, as nobody says how much is next
	}
	if n.retries && !n.spoken && n.rated {
		n.raise(retryAfter, false) // X-RateLimit-Retry
		n.retries = false
	}
	slices.Sort(own)
	slices.Sort(n.qualifiers)
	n.quota, n.family = strings.Join(own, " "), strings.Join(prefix, " ")
}

func (n *nameReader) qualify(name string) {
	n.qualifiers = append(n.qualifiers, name)
	n.qualified = n.qualified || n.behind
}

// raise makes a quantity that of the name, if it says more than the one before. Of a window and a moment, and of a window
// and what remains in it, the last one is the noun.
func (n *nameReader) raise(q quantity, weak bool) {
	noun := q == window && n.quantity == reset || q == remaining && n.quantity == window
	if !n.spoken || q > n.quantity || q == n.quantity && !weak || noun {
		n.quantity, n.weak = q, weak
	}
	n.spoken = true
}

// ok says whether the name is that of a field of limits.
func (n *nameReader) ok() bool {
	switch {
	case n.retries: // of how many attempts there are, and such
		return false
	case n.quantity == retryAfter && n.weak && !n.rated:
		return false
	case n.other && !n.rated:
		return false
	case n.other && n.quantity == ceiling: // a share of something
		return false
	case !n.bare:
		return true
	case n.quantity == retryAfter:
		return true
	case n.quantity == remaining && !n.weak:
		return n.subject || n.period != 0
	case n.quantity == reset:
		return n.subject
	}
	return false
}

// subject writes what is counted in the plural.
func subject(name string) string {
	switch name {
	case "request":
		return "requests"
	case "call":
		return "calls"
	case "query":
		return "queries"
	}
	return name
}

// meaning returns what a word means. A number with a unit, such as 24hour and 10s, is a period.
func meaning(name string) word {
	if w, ok := vocabulary[name]; ok {
		return w
	}
	unit := strings.TrimLeft(name, "0123456789")
	if n, ok := number(name[:len(name)-len(unit)]); ok && n > 0 && n < 1e4 {
		switch {
		case unit == "d":
			return word{role: periodWord, time: time.Duration(n) * day}
		case units[unit] > 0:
			return word{role: periodWord, time: time.Duration(n) * units[unit]}
		case vocabulary[unit].role == periodWord || vocabulary[unit].role == unitWord:
			return word{role: periodWord, time: time.Duration(n) * vocabulary[unit].time}
		}
	}
	return word{}
}

// splitName splits a name in lower case into words. Words that were written together are taken apart, since HTTP does not
// keep the capital letters that parted them.
func splitName(name string) []string {
	words := make([]string, 0, 8)
	for piece := range strings.FieldsFuncSeq(name, func(r rune) bool {
		return !('a' <= r && r <= 'z' || '0' <= r && r <= '9')
	}) {
		words = unglue(words, piece)
	}
	return words
}

// longestGlued is the longest word that is taken apart. Longer ones are nobody's.
const longestGlued = 40

// unglue appends the words that a piece of a name consists of. What is not in the vocabulary stays one word, but in front
// of a word that no other one ends in, as in SearchRemaining.
func unglue(words []string, piece string) []string {
	if w := meaning(piece); w.role != qualifier || len(piece) < 5 || len(piece) > longestGlued {
		return append(words, piece)
	}
	if known, ok := known(words, piece); ok {
		return known
	}
	if rest, ok := strings.CutPrefix(piece, "x"); ok {
		if known, ok := known(append(words, "x"), rest); ok {
			return known
		}
	}
	for _, end := range []string{"ratelimit", "remaining", "limit", "reset", "quota"} {
		if head, ok := strings.CutSuffix(piece, end); ok && len(head) > 2 {
			return append(words, head, end)
		}
	}
	if tail, ok := strings.CutPrefix(piece, "ratelimit"); ok && len(tail) > 2 {
		return append(words, "ratelimit", tail)
	}
	return append(words, piece)
}

// known appends the words of the vocabulary that a piece consists of, the longest first.
func known(words []string, piece string) ([]string, bool) {
	for end := len(piece); end > 1; end-- {
		if _, ok := vocabulary[piece[:end]]; !ok {
			continue
		}
		if end == len(piece) {
			return append(words, piece), true
		}
		if rest, ok := known(append(words, piece[:end]), piece[end:]); ok {
			return rest, true
		}
	}
	return nil, false
}

// separate puts a hyphen before each capital letter that begins a word.
func separate(name string) string {
	var b strings.Builder
	for i := range len(name) {
		if upper(name[i]) && i > 0 && !upper(name[i-1]) {
			b.WriteByte('-')
		}
		b.WriteByte(name[i])
	}
	return b.String()
}

func upper(c byte) bool { return 'A' <= c && c <= 'Z' }
