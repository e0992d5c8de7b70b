package handler

import (
	"strconv"
	"strings"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// proxyStatus tells the attempts in the form of Proxy-Status, RFC 9209: a structured list with one member per attempt,
// each named by the proxy that made it.
func proxyStatus(attempts []retry.Attempt) string {
	members := make([]string, 0, len(attempts))
	for _, attempt := range attempts {
		member := attempt.Proxy
		if attempt.Error != "" {
			member += "; error=" + string(attempt.Error)
		}
		if attempt.Status != 0 {
			member += "; received-status=" + strconv.Itoa(attempt.Status)
		}
		if attempt.Details != "" {
			member += "; details=" + structuredString(attempt.Details)
		}
		members = append(members, member)
	}
	return strings.Join(members, ", ")
}

// structuredString writes a string as RFC 9651 section 3.3.3 has it: printable ASCII, in double quotes.
func structuredString(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r > '~':
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
