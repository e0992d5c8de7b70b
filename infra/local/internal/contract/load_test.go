package contract

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestTheCasesAreWellFormed(t *testing.T) {
	t.Parallel()
	cases, err := Cases()
	if err != nil {
		t.Fatal(err)
	}
	setups := map[Setup]bool{}
	for _, c := range cases {
		setups[c.Setup()] = true
	}
	if len(cases) < 120 || len(setups) > 4 {
		t.Errorf("there are %d cases for %d endpoints; each endpoint more is a stack more that the tests start", len(cases), len(setups))
	}
}

func TestACaseThatCannotBeMeantIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ request, says string }{
		{`{"upstream": [{"status": 200}], "header": ["A: b"]}`, `unknown field "header"`},
		{`{"upstream": [{"status": 200, "bodies": "ok"}]}`, `unknown field "bodies"`},
		{`{"upstream": [{"status": 200, "body": {"repeat": "a", "time": 2}}]}`, `unknown field "time"`},
		{`{"upstream": [{"status": 200, "body": {"repeat": "a"}}]}`, `a body is a text, {"base64": "…"} or {"repeat": "…", "times": n}`},
		{`{"upstream": [{"status": 200}], "waits": ["soon"]}`, `invalid duration "soon"`},
		{`{"upstream": [{"status": 200}], "waits": ["-1s"]}`, "-1s is less than nothing"},
		{`{"target": "orders", "upstream": [{"status": 200}]}`, `the target is "orders"; it begins with a slash`},
		{`{"fields": ["Prefer wait=1"], "upstream": [{"status": 200}]}`, `"Prefer wait=1" is not a name, a colon and a value`},
		{`{"upstream": [{"status": 200}], "answer": {"matching": ["Age: ("]}}`, "missing closing )"},
		{`{"target": "/{key}", "upstream": [{"status": 200}]}`, "{key} is not known"},
		{`{"raw": ["GET / HTTP/1.1"], "method": "GET", "upstream": [{"status": 200}]}`, "raw takes the place of method"},
		{`{"upstream": [{"status": 200, "then": "explode"}]}`, `then is "explode"; give close, reset or stall`},
		{`{"upstream": [{}], "attempts": ["200"], "answer": {"status": 200}}`, "it does nothing"},
		{`{"upstream": [{"status": 200, "raw": ["HTTP/1.1 200 OK"]}], "attempts": ["200"]}`, "it has a status and is raw"},
		{`{"upstream": [{"fields": ["A: b"], "then": "reset"}], "attempts": ["connection_terminated"], "answer": {"status": 502}}`, "it has fields and no status"},
		{`{"upstream": [{"then": "reset"}], "answer": {"status": 502}}`, "say what is told of the attempts"},
		{`{"upstream": [{"status": 200}], "attempts": ["proxy-1 200"]}`, `the attempt "proxy-1 200" is not a status`},
		{`{"upstream": [{"then": "reset"}], "attempts": ["connection_terminated"]}`, "say with which status it is answered"},
		{`{}`, "say with which status it is answered"},
		{`{"answer": {"replayed": true}}`, "nothing was said that could be replayed"},
		{`{"answer": {"problem": {"name": "no-answer"}}}`, "a problem has a name and a status"},
		{`{"answer": {"status": 400}, "during": [{"answer": {"status": 400}}]}`, "there is no time for what is to happen during it"},
	} {
		_, err := load(fstest.MapFS{"a.json": {Data: []byte(`[{"name": "A sentence", "source": "RFC 9110", "requests": [` + c.request + `]}]`)}})
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "a.json") {
			t.Errorf("%s is refused with %v, want %s and its file in it", c.request, err, c.says)
		}
	}
}

func TestAllThatIsWrongWithCasesIsSaid(t *testing.T) {
	t.Parallel()
	const request = `"requests": [{"upstream": [{"status": 200}]}]`
	_, err := load(fstest.MapFS{
		"a.json": {Data: []byte(`[{"name": "One", "source": "RFC", ` + request + `}, {"name": "Two", "source": "", ` + request + `}]`)},
		"b.json": {Data: []byte(`[{"name": "One", "source": "RFC", "down": true, ` + request + `}, {"name": "Three", "source": "RFC"}]`)},
		"c.json": {Data: []byte("[\n{]")},
		"d.json": {Data: []byte(`[] []`)},
	})
	for _, says := range []string{
		`a.json: case 2, "Two": give a name and a source`,
		`b.json: case 1, "One": there is another case with this name`,
		`b.json: case 1, "One": an upstream that is down does not reply`,
		`b.json: case 2, "Three": there are no requests`,
		"c.json: line 2: ",
		"d.json: something follows the end",
	} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("the error is %v, want in it %s", err, says)
		}
	}
}
