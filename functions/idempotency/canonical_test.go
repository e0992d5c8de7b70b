package idempotency_test

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
)

func TestCanonicalJSONIsThatOfPython(t *testing.T) {
	for _, test := range []struct{ document, want string }{
		{`{"user_id":"xyz","product_id":"123456789"}`, `{"product_id": "123456789", "user_id": "xyz"}`},
		{"\n [ 1 ,\t2 ]\r", `[1, 2]`},
		{`[]`, `[]`},
		{`{ }`, `{}`},
		{`{"a":{"c":1,"b":[{}]}}`, `{"a": {"b": [{}], "c": 1}}`},
		{`{"b":1,"a":2,"b":3}`, `{"a": 2, "b": 3}`},
		{`{"é":1,"z":2,"😀":3,"\uffff":4}`, `{"z": 2, "\u00e9": 1, "\uffff": 4, "\ud83d\ude00": 3}`},
		{`"/<>&'\/"`, `"/<>&'/"`},
		{`"\"\\\b\f\n\r\t\u0000\u001f\u007f"`, `"\"\\\b\f\n\r\t\u0000\u001f\u007f"`},
		{`"Zoë 東京 😀"`, `"Zo\u00eb \u6771\u4eac \ud83d\ude00"`},
		{`"\ud83d\ude00\ud83dx\ude00"`, `"\ud83d\ude00\ud83dx\ude00"`},
		{`"\ud800\ud83d\ude00"`, `"\ud800\ud83d\ude00"`},
		{`"\u00E9\u0041"`, `"\u00e9A"`},
		{`[0,-0,-0.0,0.0,1.0,1.50,-7]`, `[0, 0, -0.0, 0.0, 1.0, 1.5, -7]`},
		{`[1e-4,1e-5,1e15,1e16,1E21,1e-07,123456789012345678]`, `[0.0001, 1e-05, 1000000000000000.0, 1e+16, 1e+21, 1e-07, 123456789012345678]`},
		{`[1e999,-1e999,1e-999,5e-324,1.7976931348623157e308]`, `[Infinity, -Infinity, 0.0, 5e-324, 1.7976931348623157e+308]`},
		{`123456789012345678901234567890`, `123456789012345678901234567890`},
		{`[true,false,null]`, `[true, false, null]`},
	} {
		got, err := idempotency.CanonicalJSON([]byte(test.document))
		if err != nil || string(got) != test.want {
			t.Errorf("%s\n got %s, %v\nwant %s", test.document, got, err, test.want)
		}
	}
}

func TestTheHashesOfTheWorkedExamples(t *testing.T) {
	for document, want := range map[string]string{
		`{"user_id":"xyz","product_id":"123456789"}`: "b8967642f95965b39f63f4bf20032dfc",
		`{"name":"Zoë","city":"東京","e":"😀"}`:         "968bef670d7f901cf47d2402fbcfd8cb",
		`{"n":1e21,"m":1e-7,"k":0.1}`:                "8abd03e045bfe442b46e4c4fc4e9a3a9",
	} {
		canonical, err := idempotency.CanonicalJSON([]byte(document))
		if sum := md5.Sum(canonical); err != nil || hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s: %x, %v; want %s", document, sum, err, want)
		}
	}
}

func TestCanonicalJSONRefusesWhatIsNotOneDocument(t *testing.T) {
	for _, document := range []string{"", " ", "{", "[1,]", "{\"a\" 1}", "01", "1 2", "NaN", "Infinity", "'a'", "\"\xff\"", "\"\n\"", "nul", "\ufeff1"} {
		if got, err := idempotency.CanonicalJSON([]byte(document)); err == nil {
			t.Errorf("%q: %s; want an error", document, got)
		}
	}
}

func TestCanonicalJSONTakesDeepNesting(t *testing.T) {
	document := strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000)
	if got, err := idempotency.CanonicalJSON([]byte(document)); err != nil || string(got) != document {
		t.Errorf("9,000 levels: %d bytes, %v", len(got), err)
	}
	document = strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)
	if _, err := idempotency.CanonicalJSON([]byte(document)); err == nil {
		t.Error("20,000 levels are taken; want the limit of encoding/json")
	}
}

// randomDocument writes a document with everything in it that canonical forms differ in.
func randomDocument(r *rand.Rand, depth int) string {
	space := func() string { return []string{"", "", "", " ", "\n", "\t "}[r.IntN(6)] }
	kind := r.IntN(10)
	if depth == 0 {
		kind = r.IntN(7)
	}
	switch kind {
	case 0:
		return []string{"null", "true", "false"}[r.IntN(3)]
	case 1, 2:
		return randomNumber(r)
	case 3, 4, 5, 6:
		return randomString(r)
	case 7:
		members := make([]string, r.IntN(5))
		for i := range members {
			members[i] = space() + randomDocument(r, depth-1) + space()
		}
		return "[" + strings.Join(members, ",") + space() + "]"
	default:
		members := make([]string, r.IntN(6))
		for i := range members {
			members[i] = space() + randomString(r) + space() + ":" + space() + randomDocument(r, depth-1) + space()
		}
		return "{" + strings.Join(members, ",") + space() + "}"
	}
}

func randomNumber(r *rand.Rand) string {
	switch r.IntN(7) {
	case 0:
		return strconv.Itoa(r.IntN(20) - 10)
	case 1:
		return strconv.FormatInt(int64(r.Uint64()), 10)
	case 2:
		return "-" + strconv.FormatUint(r.Uint64()|1<<63, 10) + strconv.FormatUint(r.Uint64(), 10)
	case 3:
		for {
			if f := math.Float64frombits(r.Uint64()); !math.IsNaN(f) && !math.IsInf(f, 0) {
				return strconv.FormatFloat(f, "eEfg"[r.IntN(2)], -1, 64)
			}
		}
	case 4:
		return strconv.FormatFloat(r.NormFloat64()*math.Pow10(r.IntN(44)-22), 'f', r.IntN(12)+1, 64)
	case 5:
		return fmt.Sprintf("%d.%de%+d", r.IntN(10), r.IntN(1000), r.IntN(700)-350)
	default:
		return []string{"0", "-0", "0.0", "-0.0", "1e16", "1e15", "9999999999999999.0", "0.0001", "0.00001", "1E2", "1e+2"}[r.IntN(11)]
	}
}

func randomString(r *rand.Rand) string {
	var b strings.Builder
	b.WriteByte('"')
	for range r.IntN(8) {
		switch r.IntN(9) {
		case 0:
			b.WriteString([]string{`\"`, `\\`, `\/`, `\b`, `\f`, `\n`, `\r`, `\t`}[r.IntN(8)])
		case 1:
			fmt.Fprintf(&b, `\u%04x`, r.IntN(0x10000))
		case 2:
			fmt.Fprintf(&b, `\u%04X`, 0xD800+r.IntN(0x800))
		case 3:
			fmt.Fprintf(&b, `\ud83d\ude%02x`, r.IntN(256))
		case 4:
			b.WriteRune(rune(0x10000 + r.IntN(0x100000)))
		case 5:
			b.WriteRune([]rune{0x7f, 0x80, 0xe9, 0x7ff, 0x800, 0x2028, 0xd7ff, 0xe000, 0xfffd, 0xffff}[r.IntN(10)])
		default:
			b.WriteString([]string{"a", "b", "Z", "0", " ", "<", "&", "/", "'", "~"}[r.IntN(10)])
		}
	}
	b.WriteByte('"')
	return b.String()
}

// python reads lines of base64 and writes the canonical form of each as base64.
const python = `
import base64, json, sys
for line in sys.stdin:
    document = base64.b64decode(line).decode("utf-8")
    print(base64.b64encode(json.dumps(json.loads(document), sort_keys=True).encode("ascii")).decode())
`

func TestCanonicalJSONAgreesWithPythonOnRandomDocuments(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: python3 is not asked")
	}
	path, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed, so the canonical form is not compared with Python's")
	}
	const documents = 20_000
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	var input bytes.Buffer
	var texts []string
	for range documents {
		text := randomDocument(random, 4)
		texts = append(texts, text)
		fmt.Fprintln(&input, base64.StdEncoding.EncodeToString([]byte(text)))
	}
	command := exec.Command(path, "-c", python)
	command.Stdin = &input
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("python3: %v\n%s", err, stderr.Bytes())
	}
	lines := strings.Fields(string(output))
	if len(lines) != documents {
		t.Fatalf("python3 wrote %d lines for %d documents", len(lines), documents)
	}
	differences := 0
	for i, text := range texts {
		want, _ := base64.StdEncoding.DecodeString(lines[i])
		got, err := idempotency.CanonicalJSON([]byte(text))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("seed %d: %s\n got %s, %v\nwant %s", seed, text, got, err, want)
			if differences++; differences == 5 {
				t.FailNow()
			}
		}
	}
	t.Logf("%d documents agree with Python", documents)
}

func FuzzCanonicalJSON(f *testing.F) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		f.Add([]byte(randomDocument(random, 4)))
	}
	f.Add([]byte("\"\xed\xa0\x80\""))
	f.Fuzz(func(t *testing.T, document []byte) {
		canonical, err := idempotency.CanonicalJSON(document)
		if valid := json.Valid(document) && utf8.Valid(document); valid != (err == nil) {
			t.Fatalf("%q: error %v; valid: %v", document, err, valid)
		}
		if err != nil {
			return
		}
		for _, c := range canonical {
			if c < 0x20 || c > 0x7E {
				t.Fatalf("%q: %q is not printable ASCII", document, canonical)
			}
		}
		if bytes.Contains(canonical, []byte("Infinity")) {
			return // which Python writes and JSON has not
		}
		again, err := idempotency.CanonicalJSON(canonical)
		if err != nil || !bytes.Equal(again, canonical) {
			t.Fatalf("%q: canonical form %q becomes %q, %v", document, canonical, again, err)
		}
	})
}
