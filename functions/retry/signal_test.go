package retry_test

import (
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// noon is when the answers in docs/rate-limit-signals.md are received.
var noon = time.Date(2026, time.November, 21, 12, 0, 0, 0, time.UTC)

// A signalRow is a row of the tables in docs/rate-limit-signals.md.
type signalRow struct {
	part   string // the heading of its table
	what   string
	status int
	header http.Header
	kind   string
	wait   string
	field  string
}

// tableRows returns the cells of the rows that have a status, by the heading of their table.
func tableRows(t *testing.T) (parts []string, rows [][]string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/rate-limit-signals.md")
	if err != nil {
		t.Fatal(err)
	}
	part := ""
	for line := range strings.Lines(string(text)) {
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			part = strings.TrimSpace(heading)
		}
		if !strings.HasPrefix(line, "|") {
			continue
		}
		cells := strings.Split(strings.TrimSpace(line), "|")
		cells = cells[1 : len(cells)-1]
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if _, err := strconv.Atoi(cells[1]); err == nil { // else the head of a table, or words
			parts, rows = append(parts, part), append(rows, cells)
		}
	}
	return parts, rows
}

var code = regexp.MustCompile("`([^`:]+): ([^`]*)`")

// fieldsOf reads the header fields in a cell.
func fieldsOf(cell string) http.Header {
	header := http.Header{}
	for _, field := range code.FindAllStringSubmatch(cell, -1) {
		header.Add(field[1], field[2])
	}
	return header
}

// scopeTable is the heading of the table that says whose limit it is, and has other columns.
const scopeTable = "Whose limit it is"

func signalRows(t *testing.T) []signalRow {
	t.Helper()
	var rows []signalRow
	parts, cells := tableRows(t)
	for i, c := range cells {
		if parts[i] == scopeTable {
			continue
		}
		if len(c) != 6 && len(c) != 7 { // some tables have sources
			t.Fatalf("a row with %d cells, want 6 or 7: %s", len(c), c)
		}
		status, _ := strconv.Atoi(c[1])
		rows = append(rows, signalRow{parts[i], c[0], status, fieldsOf(c[2]), c[3], c[4], c[5]})
	}
	return rows
}

func TestTheScopeOfALimitIsReadAsTheDocumentationSays(t *testing.T) {
	t.Parallel()
	parts, rows := tableRows(t)
	found := 0
	for i, c := range rows {
		if parts[i] != scopeTable {
			continue
		}
		found++
		if len(c) != 4 {
			t.Fatalf("a row with %d cells, want 4: %s", len(c), c)
		}
		want := retry.Scope(strings.TrimPrefix(c[3], "-"))
		if got := retry.ReadSignals(fieldsOf(c[2]), noon, true).Scope; got != want {
			t.Errorf("%s: the scope is %q, want %q", c[0], got, want)
		}
	}
	if found < 25 {
		t.Errorf("found %d rows, want the table of the documentation", found)
	}
}

func TestEverySignalIsReadAsTheDocumentationSays(t *testing.T) {
	t.Parallel()
	rows := signalRows(t)
	if len(rows) < 160 {
		t.Fatalf("found %d rows, want the tables of the documentation", len(rows))
	}
	// Nothing but what the upstream says shows: no jitter, no quick try, any wait granted.
	policy := retry.Policy{Scope: retry.PerAccount, RetryAfterMax: retry.MaxCredibleFloor}
	request := retry.Request{Method: http.MethodGet, Proxies: 3}
	for _, row := range rows {
		t.Run(row.what, func(t *testing.T) {
			result := retry.Result{Status: row.status, Header: row.header, Received: noon}
			d := policy.Next(request, nil, result, lowest)
			if got := kindOf(d); got != row.kind {
				t.Errorf("judged as %s, want %s (%s)", got, row.kind, d.Why)
			}
			s := retry.ReadSignals(row.header, noon, row.kind == string(retry.RateLimit))
			wait, field := s.Floor.String(), http.CanonicalHeaderKey(s.Field)
			if s.Field == "" {
				wait, field = "-", "-"
			}
			if wait != row.wait || field != http.CanonicalHeaderKey(row.field) {
				t.Errorf("wait %s by %s, want %s by %s", wait, field, row.wait, row.field)
			}
			if doubtful := row.part == "What is doubtful"; s.Doubtful != doubtful {
				t.Errorf("doubtful: %v, want %v", s.Doubtful, doubtful)
			}
			if d.Outcome == retry.Again && d.Delay != s.Floor {
				t.Errorf("delay %v without jitter, want the floor of %v", d.Delay, s.Floor)
			}
		})
	}
}

func kindOf(d retry.Decision) string {
	if d.Kind == "" {
		return "final"
	}
	return string(d.Kind)
}

// lowest and highest are the ends of randomness.
func lowest() float64  { return 0 }
func highest() float64 { return 1 - 1e-9 }

func TestAnExhaustedQuotaIsSeenInEveryForm(t *testing.T) {
	t.Parallel()
	for _, header := range []http.Header{
		{"Ratelimit": {`"default";r=0`}},
		{"Ratelimit": {`limit=10, remaining=0`}},
		{"Ratelimit-Remaining": {"0"}},
		{"X-Ratelimit-Remaining": {"0"}},
		{"X-Rate-Limit-Remaining": {" 0 "}},
		{"X-Ratelimit-Remaining": {"-1"}},
	} {
		if !retry.ReadSignals(header, noon, false).Exhausted {
			t.Errorf("%v: the quota does not count as used up", header)
		}
	}
	for _, header := range []http.Header{
		{},
		{"Ratelimit": {`"default";r=1`}},
		{"X-Ratelimit-Remaining": {"--1"}},
		{"X-Ratelimit-Remaining": {"none"}},
	} {
		if retry.ReadSignals(header, noon, false).Exhausted {
			t.Errorf("%v: the quota counts as used up", header)
		}
	}
}

func FuzzSignalsNeverAskForYearsNorForThePast(f *testing.F) {
	for _, seed := range [][5]string{
		{"120", "", "", "", ""},
		{"Sat, 21 Nov 2026 12:01:30 GMT", "Sat, 21 Nov 2026 11:00:00 GMT", "", "", ""},
		{"1795262430000", "", "", `"default";r=0;t=30`, "1795262460"},
		{"1e400", "x", "", `limit=100, remaining=0, reset=99999999999`, "6m0s"},
		{"0.0000000001", "", "", `"a";r=0;t=1.5, "b";r=0`, "2026-11-21T12:01Z"},
		{"1", "", "", `:YWJj:;r=0`, `:YWJj:;w=5`},
		{"", "", "", `1;r=0, ?1;r=0, tok;r=0`, `tok;w=5, 1;w=6`},
		{"99999999999999999999999999999999.9", "", "", `("a" "b");r=0`, "999999999999999999"},
		{"3, 3", "", "2", "", "30 seconds"},
		{"3, Sat, 21 Nov 2026 12:01:30 UTC, 5;a=b", "Thu, 01 Jan 1970 00:00:00 GMT", "", "", "21 Nov 2026 12:01:30"},
		{"Saturday, 21-Nov-26 04:01:30 PST", "Fri, 31 Dec 9999 23:59:59 GMT", "3000", "", "2026-11-21 12:01:30"},
		{`"+99999999999999999999 hours"`, "", "2678400", "", "+30"},
		{"Thursday, 01-Jan-70 00:00:00 EST", "Thu, 01 Jan 1970 00:00:01 GMT", "99999999999999999999", "", `"30";`},
		{"9223372036854775807", "Mon, 1 Jan 0000 00:00:00 GMT", "-1", "", "31 Dec 9999 23:59:59 PST"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3], seed[4])
	}
	f.Fuzz(func(t *testing.T, retryAfter, date, age, rateLimit, reset string) {
		header := http.Header{}
		header.Set("Retry-After", retryAfter)
		header.Set("Retry-After-Ms", retryAfter)
		header.Set("X-RateLimit-Retry-After", reset)
		header.Set("Date", date)
		header.Set("Age", age)
		header.Set("RateLimit", rateLimit)
		header.Set("RateLimit-Policy", reset)
		header.Set("X-RateLimit-Reset", reset)
		header.Set("X-RateLimit-Remaining", rateLimit)
		s := retry.ReadSignals(header, noon, true)
		if s.Floor < 0 || s.Floor > retry.MaxCredibleFloor {
			t.Errorf("floor %v", s.Floor)
		}
		if s.Field == "" && s.Floor != 0 {
			t.Errorf("floor %v of no field", s.Floor)
		}
		d := retry.Default().Next(retry.Request{Method: "GET", Proxies: 1, Deadline: noon.Add(time.Minute)}, nil,
			retry.Result{Status: 429, Header: header, Received: noon}, highest)
		if d.Outcome == retry.Again && (d.Delay < s.Floor || d.Delay > time.Minute) {
			t.Errorf("delay %v with a floor of %v and a deadline in a minute", d.Delay, s.Floor)
		}
		if d.Outcome == retry.Succeeded {
			t.Errorf("a rate limit ended the request: %s", d.Why)
		}
	})
}
