package retry_test

import (
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// The methods are those of the registry at https://www.iana.org/assignments/http-methods, updated on 17 June 2026.
var (
	safe = []string{"GET", "HEAD", "OPTIONS", "PROPFIND", "QUERY", "REPORT", "SEARCH", "TRACE"}

	idempotent = []string{ // but not safe
		"ACL", "BASELINE-CONTROL", "BIND", "CHECKIN", "CHECKOUT", "COPY", "LABEL", "LINK", "MERGE", "MKACTIVITY", "MKCALENDAR",
		"MKCOL", "MKREDIRECTREF", "MKWORKSPACE", "MOVE", "ORDERPATCH", "PROPPATCH", "REBIND", "UNBIND", "UNCHECKOUT", "UNLINK",
		"UNLOCK", "UPDATE", "UPDATEREDIRECTREF", "VERSION-CONTROL",
	}

	neither = []string{"CONNECT", "LOCK", "PATCH", "POST"}

	notRequests = []string{"PRI", "*", "", "get", "M-SEARCH", "PURGE"}
)

func TestSafeMethodsAreThoseOfTheRegistry(t *testing.T) {
	t.Parallel()
	for _, method := range safe {
		if !retry.Safe(method) {
			t.Errorf("%s is not safe", method)
		}
	}
	for _, methods := range [][]string{idempotent, neither, notRequests, {"PUT", "DELETE"}} {
		for _, method := range methods {
			if retry.Safe(method) {
				t.Errorf("%q is safe", method)
			}
		}
	}
}

func TestSafeMethodsAndPutAndDeleteAreRepeatedByDefault(t *testing.T) {
	t.Parallel()
	for _, method := range append([]string{"PUT", "DELETE"}, safe...) {
		c := get(t, retry.Policy{})
		c.request.Method = method
		wantAgain(t, c.fails(retry.ConnectionTerminated, retry.MaybeProcessed), 0)
	}
	for _, methods := range [][]string{idempotent, neither, notRequests} {
		for _, method := range methods {
			c := get(t, retry.Policy{})
			c.request.Method = method
			wantFailed(t, c.fails(retry.ConnectionTerminated, retry.MaybeProcessed), retry.UnsafeToRepeat, time.Millisecond)
		}
	}
}
