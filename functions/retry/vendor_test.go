package retry_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

var update = flag.Bool("update", false, "rewrite docs/vendors.md")

// A vendor is a file in the directory vendors.
type vendor struct {
	name          string
	Vendor        string          `json:"vendor"`
	Documentation []string        `json:"documentation"`
	Sends         string          `json:"sends"`
	Read          string          `json:"read"`
	Set           string          `json:"set"`
	Policy        json.RawMessage `json:"policy"`
	Answers       []answer        `json:"answers"`
}

// An answer is one that a vendor gives, and how it is to be read.
type answer struct {
	What    string            `json:"what"`
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Status  int               `json:"status"`
	Fields  map[string]values `json:"fields"`
	Body    json.RawMessage   `json:"body"`
	Judged  string            `json:"judged"`
	Daily   bool              `json:"daily"`
	Wait    string            `json:"wait"`
	By      string            `json:"by"`
	BuiltIn bool              `json:"builtIn"`
	Source  string            `json:"source"`
}

// values are the values of a field: a string or a list of strings.
type values []string

func (v *values) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '[' {
		return json.Unmarshal(text, (*[]string)(v))
	}
	*v = []string{""}
	return json.Unmarshal(text, &(*v)[0])
}

func readVendors(t *testing.T) []vendor {
	t.Helper()
	var all []vendor
	for _, name := range retry.Vendors() {
		text, err := os.ReadFile(filepath.Join("vendors", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		v := vendor{name: name}
		decoder := json.NewDecoder(strings.NewReader(string(text)))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, v)
	}
	return all
}

func (a answer) request() retry.Request {
	r := retry.Request{Method: a.Method, Path: a.Path, Proxies: 3}
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	if r.Path == "" {
		r.Path = "/"
	}
	return r
}

func (a answer) result() retry.Result {
	r := retry.Result{Status: a.Status, Header: http.Header{}, Body: a.Body, Received: noon}
	for name, values := range a.Fields {
		for _, value := range values {
			r.Header.Add(name, value)
		}
	}
	return r
}

// readBy says how a policy reads an answer: the judgement, and the wait that the answer asks for.
func (a answer) readBy(p retry.Policy) (judged, wait string, d retry.Decision) {
	p.RetryAfterMax = retry.MaxCredibleFloor
	d = p.Next(a.request(), nil, a.result(), lowest)
	wait = "-"
	if !d.NotBefore.IsZero() {
		wait = d.NotBefore.Sub(noon).String()
	}
	return kindOf(d), wait, d
}

// readFrom says what the wait was read from: a field, or a rule that the reason of the decision names.
func (a answer) readFrom(d retry.Decision) string {
	if strings.HasPrefix(a.By, "rule ") && strings.Contains(d.Why, "by "+a.By+":") {
		return a.By
	}
	if s := retry.ReadSignals(a.result().Header, noon, d.Kind == retry.RateLimit); s.Field != "" {
		return s.Field
	}
	return "-"
}

func TestEveryAnswerOfAVendorIsReadRightlyByItsPreset(t *testing.T) {
	t.Parallel()
	total, builtIn := 0, 0
	vendors := readVendors(t)
	for _, v := range vendors {
		policy, err := retry.Vendor(v.name)
		if err != nil {
			t.Fatal(err)
		}
		if err := policy.Validate(); err != nil {
			t.Errorf("%s: %v", v.name, err)
		}
		for _, a := range v.Answers {
			total++
			judged, wait, d := a.readBy(policy)
			if judged != a.Judged || a.Judged != "final" && wait != a.Wait {
				t.Errorf("%s, %s: %s, wait %s (%s); want %s, %s", v.name, a.What, judged, wait, d.Why, a.Judged, a.Wait)
			}
			if by := a.readFrom(d); a.Judged != "final" && !strings.EqualFold(by, a.By) {
				t.Errorf("%s, %s: read from %s (%s), want %s", v.name, a.What, by, d.Why, a.By)
			}
			if ends := d.Outcome == retry.Failed && strings.Contains(d.Why, "for the day"); ends != a.Daily {
				t.Errorf("%s, %s: ends at once for the day: %t (%s)", v.name, a.What, ends, d.Why)
			}
			if a.BuiltIn {
				builtIn++
				if judged, wait, d := a.readBy(retry.Policy{}); judged != a.Judged || a.Judged != "final" && wait != a.Wait {
					t.Errorf("%s, %s, without the preset: %s, wait %s (%s); want %s, %s", v.name, a.What, judged, wait, d.Why, a.Judged, a.Wait)
				}
			}
		}
	}
	if len(vendors) < 30 || total < 100 {
		t.Errorf("%d vendors with %d answers; want 30 and 100 at least", len(vendors), total)
	}
	t.Logf("%d answers of %d vendors, %d of them read without a preset, too", total, len(vendors), builtIn)
}

func TestEveryRuleOfAPresetIsShownByAnAnswer(t *testing.T) {
	t.Parallel()
	for _, v := range readVendors(t) {
		policy, err := retry.Vendor(v.name)
		if err != nil {
			t.Fatal(err)
		}
		for _, rule := range policy.Signals {
			shown := false
			for _, a := range v.Answers {
				_, _, d := a.readBy(policy)
				shown = shown || strings.Contains(d.Why, "by rule "+rule.Name+":")
			}
			if !shown {
				t.Errorf("%s: no answer matches the rule %s", v.name, rule.Name)
			}
		}
	}
}

func TestAVendorWithoutAPresetIsRefusedWithTheList(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Airtable", "acme", "", "../vendors/stripe", "stripe.json"} {
		_, err := retry.Vendor(name)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", name)) || !strings.Contains(err.Error(), "airtable, ") || !strings.Contains(err.Error(), ", zendesk") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestTheListOfVendorsIsTheDocumentation(t *testing.T) {
	t.Parallel()
	const file = "../../docs/vendors.md"
	want := vendorList(t)
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; go test ./functions/retry -run Vendors -update writes it", err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the presets are; go test ./functions/retry -run Vendors -update writes it", file)
	}
}

// vendorList writes docs/vendors.md.
func vendorList(t *testing.T) string {
	var b strings.Builder
	b.WriteString("# Vendors\n\n" +
		"`retry.Vendor(\"airtable\")` returns the retry policy for the API of a vendor, and `make local VENDOR=airtable` and the\n" +
		"context `vendor` of the CDK app use it. A preset says only what differs from the default policy; put your own over it\n" +
		"with `Policy.Over`, or with `POLICY=file.json`. What you say wins.\n\n" +
		"This page is written from the files in `functions/retry/vendors` by `make snapshots`. Each file also holds answers of the\n" +
		"vendor, with their sources; the test reads all of them, and every row below shows how. \"Read\" is how an answer is judged,\n" +
		"how long it asks to wait, and what that was read from, for an answer that is received on 21 November 2026 at 12:00:00 UTC.\n" +
		"Vendors change what they send: a row is as its source was in November 2026.\n\n" +
		"| Name | Vendor | What it sends | How it is read | What to set | Documentation |\n|---|---|---|---|---|---|\n")
	vendors := readVendors(t)
	for _, v := range vendors {
		var links []string
		for i, link := range v.Documentation {
			links = append(links, fmt.Sprintf("[%d](%s)", i+1, link))
		}
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s | %s | %s | %s |\n", v.name, v.name, cell(v.Vendor), cell(v.Sends), cell(v.Read), cell(v.Set), strings.Join(links, " "))
	}
	for _, v := range vendors {
		policy, err := retry.Vendor(v.name)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.MarshalIndent(policy, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "\n## %s\n\n```json\n%s\n```\n\n| Answer | Read |\n|---|---|\n", v.name, text)
		for _, a := range v.Answers {
			judged, wait, d := a.readBy(policy)
			read := judged
			if judged != "final" && wait != "-" {
				read += ", wait " + wait
			}
			if d.Outcome == retry.Failed && strings.Contains(d.Why, "for the day") {
				read += ", ends at once"
			}
			if rule := strings.Index(d.Why, "by rule "); rule >= 0 {
				read += ", " + d.Why[rule:rule+strings.IndexByte(d.Why[rule:], ':')]
			} else if wait != "-" && judged != "final" {
				read += ", by " + a.By
			}
			fmt.Fprintf(&b, "| %d, [%s](%s) | %s |\n", a.Status, cell(a.What), a.Source, cell(read))
		}
	}
	return b.String()
}

// cell is a text for a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", "\\|") }
