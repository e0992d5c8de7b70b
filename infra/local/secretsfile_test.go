package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// write puts a text into a file, for its owner alone, with a time of change that no earlier one has.
func (f *secretsOnDisk) write(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(f.path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f.time = f.time.Add(time.Second)
	if err := os.Chtimes(f.path, f.time, f.time); err != nil {
		t.Fatal(err)
	}
}

// A secretsOnDisk is a file of secrets that a test writes.
type secretsOnDisk struct {
	path string
	time time.Time
}

func newSecretsOnDisk(t *testing.T, text string) *secretsOnDisk {
	t.Helper()
	f := &secretsOnDisk{path: filepath.Join(t.TempDir(), "secrets.json"), time: time.Unix(1_700_000_000, 0)}
	f.write(t, text)
	return f
}

func TestSecretsAreStringsAndObjects(t *testing.T) {
	f := newSecretsOnDisk(t, "\ufeff"+` {
		"orders/token": "s3cret \u20ac \"quoted\"",
		"orders/login": { "username": "shop", "password": "<a & b>",
			"a": [1.50, null, {"z": 1, "a": 2}], "\u0041": "\u0041" },
		"arn:aws:secretsmanager:eu-west-1:123456789012:secret:card-a1B2c3": "4111",
		"nothing": {}
	}
	`)
	var stderr bytes.Buffer
	_, values, err := openSecrets(f.path, &stderr)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"orders/token": `s3cret € "quoted"`,
		"orders/login": `{"username":"shop","password":"<a & b>","a":[1.50,null,{"z":1,"a":2}],"\u0041":"\u0041"}`,
		"arn:aws:secretsmanager:eu-west-1:123456789012:secret:card-a1B2c3": "4111",
		"nothing": "{}",
	}
	if diff := cmp.Diff(want, values); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if stderr.Len() > 0 {
		t.Errorf("it says %s", &stderr)
	}
}

func TestAFileWithoutSecretsIsFine(t *testing.T) {
	f := newSecretsOnDisk(t, "{}")
	if _, values, err := openSecrets(f.path, io.Discard); err != nil || len(values) != 0 {
		t.Errorf("got %v %v", values, err)
	}
}

func TestAFileOfSecretsThatCannotBeUsedIsRefusedWithoutItsContent(t *testing.T) {
	const example = `; give an object, such as {"orders/token": "…", "orders/login": {"username": "…", "password": "…"}}`
	for text, want := range map[string][]string{
		"":                               {`it is not JSON from line 1, column 1 on` + example},
		"hidden":                         {`it is not JSON from line 1, column 1 on` + example},
		"{\n  \"a\": \"hidden\",\n  é}":  {`it is not JSON from line 3, column 3 on` + example},
		`{"é": "hidden" "b": "hidden"}`:  {`it is not JSON from line 1, column 16 on` + example},
		`{"a": "hidden"`:                 {`it is not JSON from line 1, column 14 on` + example},
		`{"a": "hidden"} "hidden"`:       {`it is not JSON from line 1, column 17 on` + example},
		`["hidden"]`:                     {`it is an array` + example},
		`"hidden"`:                       {`it is a string` + example},
		` 12345`:                         {`it is a number` + example},
		`null`:                           {`it is null` + example},
		"{\"a\": \"hidden \xe9\"}":       {`it is not UTF-8`},
		`{"a": "hidden", "a": "hidden"}`: {`"a" is there twice; name it once`},
		`{"a": 12345, "b": ["hidden"], "c": true, "d": null, "e f": "hidden", "g": "", "e f": 1}`: {
			`the value of "a" is a number; give a string or an object`,
			`the value of "b" is an array; give a string or an object`,
			`the value of "c" is a boolean; give a string or an object`,
			`the value of "d" is null; give a string or an object`,
			`"e f" is there twice; name it once`,
			`"e f" is no name of a secret; give 1 to 512 letters, digits and characters of !@.=+_/-`,
			`the value of the secret "g" has 0 bytes; give it 1 to 65536`,
		},
		`{"a": "` + strings.Repeat("hidden", 11000) + `"}`: {`the value of the secret "a" has 66000 bytes; give it 1 to 65536`},
	} {
		f := newSecretsOnDisk(t, text)
		_, _, err := openSecrets(f.path, io.Discard)
		if err == nil {
			t.Errorf("%.100s is taken", text)
			continue
		}
		for i := range want {
			want[i] = "SECRETS: " + f.path + ": " + want[i]
		}
		if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
			t.Errorf("%.100s: -want +got\n%s", text, diff)
		}
		if strings.Contains(err.Error(), "hidden") || strings.Contains(err.Error(), "12345") {
			t.Errorf("%.100s: the error holds the content: %v", text, err)
		}
	}
}

func TestAFileOfSecretsThatCannotBeReadIsRefused(t *testing.T) {
	folder := t.TempDir()
	for path, want := range map[string]string{
		filepath.Join(folder, "absent.json"): "SECRETS: there is no file " + filepath.Join(folder, "absent.json"),
		folder:                               "SECRETS: " + folder + " is a directory; give a file",
		filepath.Join(folder, "a\x00b"):      "SECRETS: " + folder + "/a\x00b cannot be read: invalid argument",
	} {
		if _, _, err := openSecrets(path, io.Discard); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", path, err, want)
		}
	}
}

func TestTheSecretsAreSaidToBeWrongWithTheOtherSettings(t *testing.T) {
	f := newSecretsOnDisk(t, `{"a": 1}`)
	err := run(t.Context(), environ(map[string]string{"SPEED": "fast", "SECRETS": f.path}), io.Discard, io.Discard)
	want := "SPEED is \"fast\"; give a number above 0, such as 10\nSECRETS: " + f.path + `: the value of "a" is a number; give a string or an object`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestAFileOfSecretsThatOthersMayReadIsWarnedOf(t *testing.T) {
	f := newSecretsOnDisk(t, `{"a": "hidden"}`)
	for mode, warned := range map[os.FileMode]string{0o600: "", 0o400: "", 0o640: "0640", 0o604: "0604", 0o644: "0644", 0o620: "0620"} {
		if err := os.Chmod(f.path, mode); err != nil {
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		if _, values, err := openSecrets(f.path, &stderr); err != nil || values["a"] != "hidden" {
			t.Errorf("%o: got %v %v", mode, values, err)
		}
		want := ""
		if warned != "" {
			want = "warning: SECRETS: " + f.path + " is open to others, since its mode is " + warned + "; chmod 600 " + f.path + "\n"
		}
		if got := stderr.String(); got != want {
			t.Errorf("%o: it says %q, want %q", mode, got, want)
		}
	}
}

func TestTheFileIsReadAgainWhenItChanges(t *testing.T) {
	f := newSecretsOnDisk(t, `{"a": "1"}`)
	var stderr bytes.Buffer
	secrets, _, err := openSecrets(f.path, &stderr)
	if err != nil {
		t.Fatal(err)
	}
	same := func(when string) {
		t.Helper()
		if values, changed := secrets.changed(); changed {
			t.Errorf("%s there are new values, %v", when, values)
		}
	}
	becomes := func(when, want string) {
		t.Helper()
		if values, changed := secrets.changed(); !changed || values["a"] != want {
			t.Errorf("%s got %v %v, want %s", when, values, changed, want)
		}
		same("after it was read")
	}
	same("at first")
	f.write(t, `{"a": "2"}`)
	becomes("with another time", "2")
	if err := os.WriteFile(f.path, []byte(`{"a": "33"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(f.path, f.time, f.time); err != nil {
		t.Fatal(err)
	}
	becomes("with another size", "33")
	// As editors do that write into a file of their own first.
	other := f.path + "~"
	if err := os.WriteFile(other, []byte(`{"a": "44"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(other, f.time, f.time); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other, f.path); err != nil {
		t.Fatal(err)
	}
	becomes("with another file in its place", "44")
	if stderr.Len() > 0 {
		t.Errorf("it says %s", &stderr)
	}
}

func TestAFileThatBecomesOfNoUseIsSaidOnceAndChangesNothing(t *testing.T) {
	f := newSecretsOnDisk(t, `{"a": "1"}`)
	var stderr bytes.Buffer
	secrets, _, err := openSecrets(f.path, &stderr)
	if err != nil {
		t.Fatal(err)
	}
	says := func(when string, lines ...string) {
		t.Helper()
		for range 3 {
			if values, changed := secrets.changed(); changed {
				t.Errorf("%s there are new values, %v", when, values)
			}
		}
		want := ""
		for _, line := range lines {
			want += "warning: SECRETS: " + line + "\n"
		}
		if got := stderr.String(); got != want {
			t.Errorf("%s it says\n%swant\n%s", when, got, want)
		}
		stderr.Reset()
	}
	const stay = "the secrets stay as they were"
	f.write(t, `{"a": 1, "b": 2}`)
	says("with numbers", f.path+`: the value of "a" is a number; give a string or an object`, f.path+`: the value of "b" is a number; give a string or an object`, stay)
	f.write(t, `{"a": 1, "b": 2 }`)
	says("after another change that is as bad")
	f.write(t, `{"a": 1}`)
	says("after a change that is bad in another way", f.path+`: the value of "a" is a number; give a string or an object`, stay)
	if err := os.Remove(f.path); err != nil {
		t.Fatal(err)
	}
	says("without the file", "there is no file "+f.path, stay)
	f.write(t, `{"a": "2"}`)
	if values, changed := secrets.changed(); !changed || values["a"] != "2" {
		t.Errorf("when it is back got %v %v", values, changed)
	}
	for range 2 {
		if err := os.Rename(f.path, f.path+"~"); err != nil {
			t.Fatal(err)
		}
		says("without the file again", "there is no file "+f.path, stay)
		if err := os.Rename(f.path+"~", f.path); err != nil {
			t.Fatal(err)
		}
		says("with the file as it was")
	}
}

func TestAPipeIsReadOnce(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = os.WriteFile(pipe, []byte(`{"a": "1"}`), 0) // waits for the reader
	}()
	secrets, values, err := openSecrets(pipe, io.Discard)
	if err != nil || values["a"] != "1" {
		t.Fatalf("got %v %v", values, err)
	}
	asked := make(chan bool)
	go func() {
		_, changed := secrets.changed()
		asked <- changed
	}()
	select {
	case changed := <-asked:
		if changed {
			t.Error("there are new values")
		}
	case <-time.After(10 * time.Second):
		t.Error("it waits for another writer")
	}
}

// getSecret asks the AWS endpoints for the value of a secret.
func getSecret(t *testing.T, endpoints, name string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoints, strings.NewReader(`{"SecretId":"`+name+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Amz-Target", "secretsmanager.GetSecretValue")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var secret struct{ SecretString, Message string }
	if err := json.NewDecoder(response.Body).Decode(&secret); err != nil {
		t.Fatal(err)
	}
	return secret.SecretString + secret.Message
}

func TestTheProgramServesTheSecretsOfAFileAndSaysNothingOfThem(t *testing.T) {
	t.Parallel()
	f := newSecretsOnDisk(t, `{"orders/token": "hidden-1", "orders/login": {"username": "shop", "password": "hidden-2"}}`)
	p := startProgram(t, "ADDR=127.0.0.1:0", "UPSTREAM=", "SPEED=50", "SECRETS="+f.path)
	var printed []string
	told := map[string]string{}
	for told["ready"] == "" {
		line, more := <-p.lines
		if !more {
			_ = p.command.Wait()
			t.Fatalf("it ended, after %q and, on stderr, %s", printed, &p.stderr)
		}
		printed = append(printed, line)
		if name, rest, ok := strings.Cut(line, " "); ok {
			told[name] = strings.TrimSpace(rest)
		}
	}
	if want := "2, from " + f.path + " (read again when it changes)"; told["secrets"] != want {
		t.Errorf("the secrets are printed as %q, want %q", told["secrets"], want)
	}
	endpoints, url := strings.Fields(told["endpoints"])[0], told["ready"]

	for name, want := range map[string]string{
		"orders/token": "hidden-1", "orders/login": `{"username":"shop","password":"hidden-2"}`, "absent": "Secrets Manager can't find the specified secret.",
	} {
		if got := getSecret(t, endpoints, name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	f.write(t, `{"orders/token": "hidden-3"}`)
	if got := getSecret(t, endpoints, "orders/token"); got != "hidden-3" {
		t.Errorf("after a change of the file it is %s", got)
	}
	if got := getSecret(t, endpoints, "orders/login"); got != "Secrets Manager can't find the specified secret." {
		t.Errorf("what the file names no more is %s", got)
	}
	f.write(t, `{"orders/token": "hidden-4", hidden-5`)
	for range 3 {
		if got := getSecret(t, endpoints, "orders/token"); got != "hidden-3" {
			t.Errorf("after a change that is no JSON it is %s", got)
		}
	}

	request(t, url+"/get")
	for _, page := range []string{"", "definition", "executions", "records", "requests", "upstream"} {
		if _, _, body := request(t, url+"/-/local/"+page); strings.Contains(body, "hidden-") {
			t.Errorf("the console's page %s holds a secret: %s", page, body)
		}
	}
	if code := p.end(t, os.Interrupt); code != 0 {
		t.Errorf("after an interrupt the exit code is %d, want 0", code)
	}
	if all := strings.Join(printed, "\n") + p.stderr.String(); strings.Contains(all, "hidden-") {
		t.Errorf("it printed a secret: %s", all)
	}
	if n := strings.Count(p.stderr.String(), "it is not JSON from line 1, column 30 on"); n != 1 {
		t.Errorf("on stderr it said %d times that the file is not JSON, want once: %s", n, &p.stderr)
	}
	p.leavesNothing(t)
}
