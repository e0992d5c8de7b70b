package handler

import (
	"strconv"
	"strings"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// preferences is what a caller asks for in Prefer, RFC 7240, as far as the gateway knows it. Zero means not asked for.
type preferences struct {
	// wait is how long the caller waits, RFC 7240 section 4.3.
	wait time.Duration

	// attempts is how many attempts the caller wants at most. The preference is this project's own.
	attempts int

	// async asks for an answer before the request is carried out, RFC 7240 section 4.1, and deadline is until when it may take.
	// The latter is this project's own.
	async    bool
	deadline time.Duration
}

// applied says which preferences are honoured, in the form of Preference-Applied, RFC 7240 section 3: the wait as it is
// after the clamp.
func (p preferences) applied(wait time.Duration) string {
	var applied []string
	if p.wait > 0 {
		applied = append(applied, "wait="+strconv.FormatInt(int64(wait/time.Second), 10))
	}
	if p.attempts > 0 {
		applied = append(applied, "attempts="+strconv.Itoa(p.attempts))
	}
	return strings.Join(applied, ", ")
}

// maxPreferred keeps a number of seconds within what a duration can hold.
const maxPreferred = 1_000_000

// parsePreferences reads Prefer, and returns it without the preferences that are the gateway's: the others are for the
// upstream (RFC 7240 section 2). Preferences of the gateway's that are malformed are ignored, as that section has it, and so
// are numbers below 1; of several that are left with the same name the first counts.
func parsePreferences(field string, forwarding message.Forwarding) (p preferences, others string) {
	for _, member := range message.Members(field) {
		preference, _, _ := strings.Cut(member, ";") // parameters say nothing here
		name, value, _ := strings.Cut(preference, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if !forwarding.IsOwnPreference(name) {
			others = joinFields(others, member)
			continue
		}
		if name == "respond-async" {
			p.async = true
			continue
		}
		number, err := strconv.Atoi(strings.Trim(strings.TrimSpace(value), `"`))
		switch {
		case err != nil || number < 1 || number > maxPreferred:
		case name == "wait" && p.wait == 0:
			p.wait = time.Duration(number) * time.Second
		case name == "deadline" && p.deadline == 0:
			p.deadline = time.Duration(number) * time.Second
		case name == "attempts" && p.attempts == 0:
			p.attempts = number
		}
	}
	return p, others
}
