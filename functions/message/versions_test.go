package message_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// The files in testdata/v1 are envelopes as the first version writes them: what a proxy is handed, what executions end
// with, and what records hold. Those in testdata/v2 are the ones of asynchronous requests
// and of large bodies. They are never written anew: code of later versions has to read them for as long as an
// execution runs and a record lives. Those in testdata/v0 were written by other programs. A new version adds a folder.
func TestEnvelopesOfEarlierVersionsAreRead(t *testing.T) {
	call := message.Call{
		Request: message.Request{
			Method: "POST", Path: "/orders/4%2F2", Query: "currency=EUR", Body: `{"amount":12}`,
			Headers: map[string]string{"content-type": "application/json", "idempotency-key": `"k"`, "via": "1.1 retrying-api-proxy-0123456789"},
		},
		RequestID: "8f4e1c1e-5b5f-4b0e-9a55-0f6b9f0b1a11", Deadline: 1_700_000_060_000, MaxAttempts: 5, Recorded: true,
	}
	binary := message.Call{
		Request:   message.Request{Method: "PUT", Path: "/orders", Body: "AAEC", IsBase64Encoded: true},
		RequestID: call.RequestID, Deadline: call.Deadline,
	}
	none := &message.Losses{Allowed: 2}
	for file, want := range map[string]*message.Envelope{
		"v1/first.json": {
			Version: 1, Start: 2, Outcome: retry.Again, Record: &message.Record{ID: "gateway#orders", Owner: "owner-1"},
			Attempts: []retry.Attempt{}, Call: &call, Losses: none,
		},
		"v1/after-loss.json": {
			Version: 1, Outcome: retry.Again, Call: &binary,
			Attempts: []retry.Attempt{{
				Proxy: "proxy-2", Start: 1_700_000_000_000, Duration: 120, Status: 429, Kind: retry.RateLimit, Wait: 2700,
				NotBefore: 1_700_000_002_000, Why: "429: Retry-After asks for 2s, and backoff above it up to 3s, jitter full",
			}},
			Losses: &message.Losses{Count: 2, Allowed: 2, Proxy: "proxy-1", Error: "Sandbox.Timedout", Before: &message.Losses{
				Count: 1, Allowed: 2, Proxy: "proxy-3", Error: "Lambda.TooManyRequestsException", Before: none,
			}},
		},
		"v1/record.json": {
			Response: message.Response{
				StatusCode: 201, Headers: map[string]string{"content-type": "application/json", "etag": `"7"`},
				Cookies: []string{"a=1; Path=/"}, Body: `{"id":7}`,
			},
			Version: 1, RequestID: call.RequestID, Outcome: retry.Succeeded, Expiration: 1_700_086_400,
			Attempts: []retry.Attempt{{Proxy: "proxy-2", Start: 1_700_000_000_000, Duration: 120, Status: 201, Why: "201: final"}},
		},
		"v1/failed.json": {
			Response: message.Response{StatusCode: 503, Headers: map[string]string{"retry-after": "30"}, Body: "closed"},
			Version:  1, RequestID: call.RequestID, Outcome: retry.Failed, Error: retry.DeadlineExceeded, NotBefore: 1_700_000_030_000,
			Attempts: []retry.Attempt{{
				Proxy: "proxy-1", Start: 1_700_000_000_000, Duration: 12, Status: 503, Kind: retry.ServerError,
				NotBefore: 1_700_000_030_000, Why: "503: Retry-After asks for 30s",
			}},
		},
		"v1/all-lost.json": {
			Version: 1, Outcome: retry.Failed, Error: message.ProxiesLost, Attempts: []retry.Attempt{},
			Losses: &message.Losses{Count: 1, Proxy: "proxy-1", Error: "Runtime.ExitError", Before: &message.Losses{}},
		},
		"v2/first.json": {
			Version: 2, Start: 2, Outcome: retry.Again, Record: &message.Record{ID: "gateway#orders", Owner: "owner-1"}, Attempts: []retry.Attempt{},
			Item:   "gateway#execution:8c2f",
			Call:   &message.Call{Execution: "8c2f", RequestID: call.RequestID, Deadline: call.Deadline, MaxAttempts: 5, Keyed: true, Recorded: true},
			Losses: none,
		},
		"v2/again.json": {
			Version: 2, Outcome: retry.Again, WaitSeconds: 3600, SleepMilliseconds: 250, Attempts: []retry.Attempt{},
			Call: &message.Call{Execution: "8c2f", Made: 2, RequestID: call.RequestID, Deadline: call.Deadline}, Losses: none,
		},
		"v2/record.json": {Version: 2, Outcome: retry.Succeeded, Expiration: 1_700_086_400, Stored: "answer:8c2f:3"},
		"v2/large-first.json": {
			Version: 2, Start: 2, Outcome: retry.Again, Attempts: []retry.Attempt{}, Losses: none,
			Call: &message.Call{
				Request: message.Request{
					Method: "PUT", Path: "/blob", Headers: map[string]string{"content-type": "image/png"}, BodyObject: "0123456789abcdef0123456789abcdef",
				},
				RequestID: call.RequestID, Deadline: call.Deadline,
			},
		},
		"v2/large-record.json": {
			Response: message.Response{StatusCode: 201, Headers: map[string]string{"content-type": "image/png"}},
			Version:  2, RequestID: call.RequestID, Outcome: retry.Succeeded, Expiration: 1_700_086_400, BodyObject: "fedcba9876543210fedcba9876543210",
			Attempts: []retry.Attempt{{Proxy: "proxy-2", Start: 1_700_000_000_000, Duration: 120, Status: 201, Why: "201: final"}},
		},
		"v2/too-large.json": {
			Response: message.Response{StatusCode: 200, Headers: map[string]string{"content-type": "image/png"}},
			Version:  2, RequestID: call.RequestID, Outcome: retry.Succeeded, Bodiless: true,
			Attempts: []retry.Attempt{{
				Proxy: "proxy-2", Start: 1_700_000_000_000, Duration: 120, Status: 200, Error: retry.HTTPResponseBodySize,
				Details: "the answer is larger than the function URL can carry", Why: "200: final",
			}},
		},
		"v0/powertools.json": {
			Response: message.Response{StatusCode: 200, Headers: map[string]string{"Content-Type": "application/json"}, Body: `{"ok":true}`},
		},
	} {
		text, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		got, err := message.Unmarshal(text)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s is read as something else (-want +got):\n%s", file, diff)
		}
	}
	files, err := filepath.Glob("testdata/v*/*.json")
	if err != nil || len(files) != 12 {
		t.Errorf("there are %d envelopes of earlier versions, want 12: each is read above", len(files))
	}
}
