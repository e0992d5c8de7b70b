package idempotencyhttp_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
)

// sent is a request with a key, a query, a type and a body.
func sent(query, mediaType, body string) idempotencyhttp.Request {
	r := post("k", body)
	r.Query = query
	if mediaType != "" {
		r.Headers["content-type"] = mediaType
	}
	return r
}

// form is a multipart body as a browser sends it.
func form(boundary string, amount string) (mediaType, body string) {
	lines := []string{
		"--" + boundary, `Content-Disposition: form-data; name="amount"`, "", amount,
		"--" + boundary, `Content-Disposition: form-data; name="scan"; filename="a.png"`, "Content-Type: image/png", "", "\x89PNG\r\n",
		"--" + boundary + "--", "",
	}
	return "multipart/form-data; boundary=" + boundary, strings.Join(lines, "\r\n")
}

func TestARetryOfTheSameOperationHasTheSameFingerprint(t *testing.T) {
	typeA, formA := form("----WebKitFormBoundaryA1", "5")
	typeB, formB := form("----WebKitFormBoundaryB2", "5")
	large := strings.Repeat("x", 2*idempotencyhttp.MaxCanonicalBody)
	inBase64 := sent("", "", "eyJhIjoxfQ==")
	inBase64.IsBase64Encoded = true
	for name, pair := range map[string][2]idempotencyhttp.Request{
		"another order of members":             {sent("", "application/json", `{"a":1,"b":[2,{"c":3,"d":4}]}`), sent("", "application/json", `{"b":[2,{"d":4,"c":3}],"a":1}`)},
		"other white space":                    {sent("", "application/json", `{"a":1}`), sent("", "application/json", "\n{ \"a\" : 1 }\n")},
		"other escapes":                        {sent("", "application/json", `{"a":"é/"}`), sent("", "application/json", `{"a":"\u00e9\/"}`)},
		"JSON with another type":               {sent("", "text/plain;charset=UTF-8", `{"a":1}`), sent("", "", `{"a": 1}`)},
		"JSON that came in base64":             {sent("", "", `{"a": 1}`), inBase64},
		"another order of parameters":          {sent("a=1&b=2", "", ""), sent("b=2&a=1", "", "")},
		"an empty parameter":                   {sent("a=1&&b=2&", "", ""), sent("a=1&b=2", "", "")},
		"an escaped name":                      {sent("b=2&%61=1", "", ""), sent("%61=1&b=2", "", "")},
		"another order of form fields":         {sent("", "application/x-www-form-urlencoded", "a=1&b=2"), sent("", "application/x-www-form-urlencoded; charset=utf-8", "b=2&a=1")},
		"another boundary of a browser":        {sent("", typeA, formA), sent("", typeB, formB)},
		"another boundary around a large file": {sent("", typeA, strings.Replace(formA, "PNG", large, 1)), sent("", typeB, strings.Replace(formB, "PNG", large, 1))},
		"another Accept":                       {post("k", "{}", "accept", "text/html"), post("k", "{}", "accept", "*/*")},
	} {
		if idempotencyhttp.CanonicalFingerprint(pair[0]) != idempotencyhttp.CanonicalFingerprint(pair[1]) {
			t.Errorf("%s is another operation", name)
		}
	}
}

func TestAnotherOperationHasAnotherFingerprint(t *testing.T) {
	typeA, formA := form("A1", "5")
	_, formB := form("A1", "6")
	json, urlForm := "application/json", "application/x-www-form-urlencoded"
	large := strings.Repeat(" ", idempotencyhttp.MaxCanonicalBody)
	many := func(boundary string) idempotencyhttp.Request {
		return sent("", "multipart/mixed; boundary="+boundary, strings.Repeat("--"+boundary+"\r\n\r\n\r\n", idempotencyhttp.MaxCanonicalParts+1)+"--"+boundary+"--\r\n")
	}
	for name, pair := range map[string][2]idempotencyhttp.Request{
		"another value":                           {sent("", json, `{"a":1}`), sent("", json, `{"a":2}`)},
		"a number that is written as text":        {sent("", json, `{"a":1}`), sent("", json, `{"a":"1"}`)},
		"another order of a list":                 {sent("", json, `[1,2]`), sent("", json, `[2,1]`)},
		"large integers that are neighbours":      {sent("", json, `[9007199254740992]`), sent("", json, `[9007199254740993]`)},
		"what is no JSON":                         {sent("", json, `{"a":1`), sent("", json, `{"a": 1`)},
		"text":                                    {sent("", "text/plain", "a b"), sent("", "text/plain", "a  b")},
		"a JSON string":                           {sent("", json, `"a"`), sent("", json, ` "a"`)},
		"JSON that is larger than what is parsed": {sent("", json, `{"a":1}`+large), sent("", json, `{"a": 1}`+large)},
		"more parts than are read":                {many("A"), many("B")},
		"another order of one parameter":          {sent("a=1&a=2", "", ""), sent("a=2&a=1", "", "")},
		"another nesting of parameters":           {sent("i[][a]=1&i[][b]=2&i[][a]=3", "", ""), sent("i[][a]=1&i[][a]=3&i[][b]=2", "", "")},
		"another order in one object":             {sent("i[b]=1&i[a]=2", "", ""), sent("i[a]=2&i[b]=1", "", "")},
		"a parameter without a value":             {sent("a", "", ""), sent("a=", "", "")},
		"a form in another order that is no form": {sent("", "text/plain", "a=1&b=2"), sent("", "text/plain", "b=2&a=1")},
		"another value in a form":                 {sent("", urlForm, "a=1"), sent("", urlForm, "a=2")},
		"another field of a browser's form":       {sent("", typeA, formA), sent("", typeA, formB)},
		"another file name":                       {sent("", typeA, formA), sent("", typeA, strings.Replace(formA, "a.png", "b.png", 1))},
		"half a form":                             {sent("", typeA, formA[:len(formA)-40]), sent("", typeA, formA[:len(formA)-41])},
		"the query as a body":                     {sent("a=1", urlForm, ""), sent("", urlForm, "a=1")},
		"bytes that look like a canonical form":   {sent("", json, `{"a":1}`), sent("", "", "json\n"+`{"a": 1}`)},
	} {
		if idempotencyhttp.CanonicalFingerprint(pair[0]) == idempotencyhttp.CanonicalFingerprint(pair[1]) {
			t.Errorf("%s is the same operation", name)
		}
	}
}

func TestTheFingerprintCoversMethodPathQueryAndBody(t *testing.T) {
	base := idempotencyhttp.Request{Method: "POST", Path: "/orders", Query: "a=1", Body: `{"n":1}`}
	same := base
	same.Body, same.IsBase64Encoded = "eyJuIjoxfQ==", true
	same.Caller, same.Headers = "alice", map[string]string{"accept": "*/*"}
	if idempotencyhttp.Fingerprint(base) != idempotencyhttp.Fingerprint(same) {
		t.Error("the same body in base64 has another fingerprint")
	}
	for name, change := range map[string]func(*idempotencyhttp.Request){
		"method": func(r *idempotencyhttp.Request) { r.Method = "PUT" },
		"path":   func(r *idempotencyhttp.Request) { r.Path = "/order" },
		"query":  func(r *idempotencyhttp.Request) { r.Query = "a=2" },
		"body":   func(r *idempotencyhttp.Request) { r.Body = `{"n":2}` },
		"border": func(r *idempotencyhttp.Request) { r.Query, r.Body = "a=", "1"+r.Body },
	} {
		other := base
		change(&other)
		if idempotencyhttp.Fingerprint(base) == idempotencyhttp.Fingerprint(other) {
			t.Errorf("another %s has the same fingerprint", name)
		}
	}
}

func TestARetryThatIsSerialisedAgainGetsTheFirstResponse(t *testing.T) {
	f := setUp(t, idempotencyhttp.Options{}, idempotency.Config{})
	f.send(sent("a=1&b=2", "application/json", `{"item":"tea","count":2}`), created)
	got := f.send(sent("b=2&a=1", "application/json", `{ "count": 2, "item": "tea" }`), created)
	if got.StatusCode != 201 || got.Headers["idempotent-replayed"] != "true" || f.runs != 1 {
		t.Errorf("got %d, %v after %d runs", got.StatusCode, got.Headers, f.runs)
	}
	wantProblem(t, f.send(sent("a=1&b=2", "application/json", `{"item":"tea","count":3}`), created), 422, idempotencyhttp.KeyReused, "")
}

func TestWhatCountsCanBeChosen(t *testing.T) {
	amount, err := idempotencyhttp.BodyFields("[amount, currency]")
	if err != nil {
		t.Fatal(err)
	}
	base := sent("dry=1", "application/json", `{"amount":1,"currency":"EUR","at":"10:00"}`)
	base.Headers["api-version"] = "2"
	changed := func(change func(*idempotencyhttp.Request)) idempotencyhttp.Request {
		r := sent(base.Query, "application/json", base.Body)
		r.Headers["api-version"] = "2"
		change(&r)
		return r
	}
	time := changed(func(r *idempotencyhttp.Request) { r.Body = `{"amount":1,"currency":"EUR","at":"10:01"}` })
	sum := changed(func(r *idempotencyhttp.Request) { r.Body = `{"amount":2,"currency":"EUR","at":"10:00"}` })
	noJSON := changed(func(r *idempotencyhttp.Request) { r.Body = `amount=1` })
	space := changed(func(r *idempotencyhttp.Request) { r.Body = ` ` + r.Body })
	query := changed(func(r *idempotencyhttp.Request) { r.Query = "dry=0" })
	version := changed(func(r *idempotencyhttp.Request) { r.Headers["api-version"] = "3" })
	path := changed(func(r *idempotencyhttp.Request) { r.Path = "/payments" })
	for name, c := range map[string]struct {
		rule         func(idempotencyhttp.Request) string
		same, others []idempotencyhttp.Request
	}{
		"selected fields": {idempotencyhttp.FingerprintOf(amount), []idempotencyhttp.Request{time, space, query, version}, []idempotencyhttp.Request{sum, noJSON, path}},
		"selected fields, query and a header field": {
			idempotencyhttp.FingerprintOf(amount, idempotencyhttp.ExactQuery, idempotencyhttp.HeaderFields("API-Version")),
			[]idempotencyhttp.Request{time, space}, []idempotencyhttp.Request{sum, query, version, noJSON, path},
		},
		"the bytes of the body": {idempotencyhttp.FingerprintOf(idempotencyhttp.ExactBody), []idempotencyhttp.Request{query, version}, []idempotencyhttp.Request{space, time, sum, noJSON, path}},
		"all bytes":             {idempotencyhttp.Fingerprint, []idempotencyhttp.Request{version}, []idempotencyhttp.Request{space, query, time, sum, noJSON, path}},
	} {
		f := setUp(t, idempotencyhttp.Options{Fingerprint: c.rule}, idempotency.Config{})
		f.send(base, created)
		for i, r := range c.same {
			if got := f.send(r, created); got.StatusCode != 201 || got.Headers["idempotent-replayed"] == "" {
				t.Errorf("%s: request %d of those that are the same gets %d", name, i, got.StatusCode)
			}
		}
		for i, r := range c.others {
			if c.rule(r) == c.rule(base) {
				t.Errorf("%s: request %d of those that are others has the same fingerprint", name, i)
			}
		}
	}
	if _, err := idempotencyhttp.BodyFields("amount["); err == nil || !strings.Contains(err.Error(), "amount[") {
		t.Errorf("an expression that is none: %v", err)
	}
}

func TestBodyFieldsOfOtherBodiesDiffer(t *testing.T) {
	amount, err := idempotencyhttp.BodyFields("amount")
	if err != nil {
		t.Fatal(err)
	}
	for _, pair := range [][2]string{{"a", "b"}, {`{"amount":1`, `{"amount":2`}, {"selected\n1", `{"amount":1}`}} {
		if amount(post("k", pair[0])) == amount(post("k", pair[1])) {
			t.Errorf("%q and %q are the same", pair[0], pair[1])
		}
	}
}

// Records outlive a deployment. Each rule stands for the version, or the options, that wrote the record.
func TestARecordFromBeforeTheRuleWasChangedIsNoMismatch(t *testing.T) {
	exactly := sent("b=2&a=1", "application/json", `{"item":"tea","count":2}`)
	other := sent("b=2&a=1", "application/json", `{"item":"tea","count":3}`)
	now := func(rule func(idempotencyhttp.Request) string) (*fixture, *fixture) {
		before := setUp(t, idempotencyhttp.Options{Fingerprint: rule}, idempotency.Config{})
		after := &fixture{t: t, clock: before.clock, store: before.store}
		var err error
		if after.Front, err = idempotencyhttp.NewFront(manager(t, before), idempotencyhttp.Options{}); err != nil {
			t.Fatal(err)
		}
		return before, after
	}

	before, after := now(idempotencyhttp.Fingerprint)
	before.send(exactly, created)
	if got := after.send(exactly, created); got.StatusCode != 201 || got.Headers["idempotent-replayed"] == "" || after.runs != 0 {
		t.Errorf("the same request gets %d, %s", got.StatusCode, got.Body)
	}
	wantProblem(t, after.send(other, created), 422, idempotencyhttp.KeyReused, "")

	// The same holds while the first request runs.
	before, after = now(idempotencyhttp.Fingerprint)
	_, err := before.Serve(context.Background(), exactly, func(context.Context) (idempotencyhttp.Response, error) {
		wantProblem(t, after.send(exactly, created), 409, idempotencyhttp.KeyInUse, "5")
		wantProblem(t, after.send(other, created), 422, idempotencyhttp.KeyReused, "")
		return created, nil
	})
	if err != nil {
		t.Fatal(err)
	}

	// The default was left for a rule of the program's own.
	f := setUp(t, idempotencyhttp.Options{}, idempotency.Config{})
	f.send(exactly, created)
	f.Front, err = idempotencyhttp.NewFront(manager(t, f), idempotencyhttp.Options{Fingerprint: idempotencyhttp.FingerprintOf(idempotencyhttp.HeaderFields("api-version"))})
	if err != nil {
		t.Fatal(err)
	}
	if got := f.send(exactly, created); got.StatusCode != 201 {
		t.Errorf("after the default was left, the same request gets %d", got.StatusCode)
	}
	wantProblem(t, f.send(other, created), 422, idempotencyhttp.KeyReused, "")
}

// manager is another manager over the store of a fixture.
func manager(t *testing.T, f *fixture) *idempotency.Manager {
	t.Helper()
	m, err := idempotency.New(f.store, idempotency.Config{Prefix: "fn", Clock: f.clock, Lease: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func FuzzCanonicalBody(f *testing.F) {
	typeA, formA := form("A1", "5")
	f.Add(typeA, formA)
	f.Add("application/json", `{"a":[1,{"b":"\ud800"}],"a":2}`)
	f.Add("application/x-www-form-urlencoded", "b[]=1&a=%zz&b[]=2")
	f.Fuzz(func(t *testing.T, mediaType, body string) {
		r := sent(body, mediaType, body)
		if first, again := idempotencyhttp.CanonicalFingerprint(r), idempotencyhttp.CanonicalFingerprint(r); first != again {
			t.Fatal("one request has two fingerprints")
		}
		// What is sorted already stays as it is.
		r.Query = idempotencyhttp.SortedQuery(r)
		if again := idempotencyhttp.SortedQuery(r); again != r.Query {
			t.Fatalf("%q is sorted to %q", r.Query, again)
		}
	})
}

func BenchmarkCanonicalBody(b *testing.B) {
	for _, size := range []int{200, 10_000, idempotencyhttp.MaxCanonicalBody} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			r := sent("", "application/json", "["+strings.Repeat(`{"b":1,"a":2},`, size/14)+"0]")
			b.ReportAllocs()
			for b.Loop() {
				idempotencyhttp.CanonicalFingerprint(r)
			}
		})
	}
}
