package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/secretsmanager"
)

// A secretsFile is the file that SECRETS names: a JSON object of secrets by their names. A value is a string, or an object,
// which stands for its text. Nothing that this says holds anything of a value.
type secretsFile struct {
	path   string
	stderr io.Writer

	// last is the file as it was when its content was last of use.
	last fs.FileInfo

	// said is what was last said about the file; empty once it is as it should be.
	said string
}

// openSecrets reads the file for the first time. The error says all that is wrong with it. A file that is open to others
// is warned of on stderr.
func openSecrets(path string, stderr io.Writer) (*secretsFile, map[string]string, error) {
	f := &secretsFile{path: path, stderr: stderr}
	values, err := f.read()
	if err != nil {
		return nil, nil, err
	}
	if mode := f.last.Mode(); mode.IsRegular() && mode.Perm()&0o077 != 0 {
		fmt.Fprintf(stderr, "warning: SECRETS: %s is open to others, since its mode is %04o; chmod 600 %s\n", path, mode.Perm(), path)
	}
	return f, values, nil
}

// changed gives the secrets if the file is another one than before, by its time, its size or its identity. A file that
// cannot be used is complained about once, and changes nothing. What is no regular file, such as a pipe, is read once.
func (f *secretsFile) changed() (map[string]string, bool) {
	if !f.last.Mode().IsRegular() {
		return nil, false
	}
	if info, err := os.Stat(f.path); err == nil && info.ModTime().Equal(f.last.ModTime()) && info.Size() == f.last.Size() && os.SameFile(info, f.last) {
		f.said = ""
		return nil, false
	}
	values, err := f.read()
	if err != nil {
		if f.said != err.Error() {
			f.said = err.Error()
			fmt.Fprintf(f.stderr, "warning: %s\nwarning: SECRETS: the secrets stay as they were\n", strings.ReplaceAll(f.said, "\n", "\nwarning: "))
		}
		return nil, false
	}
	f.said = ""
	return values, true
}

// read reads the file.
func (f *secretsFile) read() (map[string]string, error) {
	// Before the content, so that a change in between leads to another reading.
	info, err := os.Stat(f.path)
	var data []byte
	if err == nil {
		data, err = os.ReadFile(f.path)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("SECRETS: there is no file %s", f.path)
	case info != nil && info.IsDir():
		return nil, fmt.Errorf("SECRETS: %s is a directory; give a file", f.path)
	case err != nil:
		if reason := (*fs.PathError)(nil); errors.As(err, &reason) {
			err = reason.Err
		}
		return nil, fmt.Errorf("SECRETS: %s cannot be read: %w", f.path, err)
	}
	values, err := parseSecrets(data)
	if err != nil {
		return nil, fmt.Errorf("SECRETS: %s: %s", f.path, strings.ReplaceAll(err.Error(), "\n", "\nSECRETS: "+f.path+": "))
	}
	f.last = info
	return values, nil
}

// exampleSecrets is what a file may look like.
const exampleSecrets = `an object, such as {"orders/token": "…", "orders/login": {"username": "…", "password": "…"}}`

// parseSecrets reads the content of the file. The error says all that is wrong, line by line.
func parseSecrets(data []byte) (map[string]string, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if !utf8.Valid(data) {
		return nil, errors.New("it is not UTF-8")
	}
	var whole json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil {
		// The error of encoding/json quotes the character.
		where := len(data)
		if wrong := (*json.SyntaxError)(nil); errors.As(err, &wrong) {
			where = max(int(wrong.Offset)-1, 0)
		}
		before := data[:min(where, len(data))]
		return nil, fmt.Errorf("it is not JSON from line %d, column %d on; give %s",
			1+bytes.Count(before, []byte("\n")), 1+utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]), exampleSecrets)
	}
	if kind := kindOf(whole); kind != "an object" {
		return nil, fmt.Errorf("it is %s; give %s", kind, exampleSecrets)
	}
	values := map[string]string{}
	var problems []error
	decoder := json.NewDecoder(bytes.NewReader(whole))
	_, _ = decoder.Token() // the brace; it is known to be JSON
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, errors.New("it is not JSON")
		}
		name, _ := token.(string)
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, errors.New("it is not JSON")
		}
		if _, twice := values[name]; twice {
			problems = append(problems, fmt.Errorf("%q is there twice; name it once", name))
			continue
		}
		text, err := secretText(value)
		if err != nil {
			problems = append(problems, fmt.Errorf("the value of %q is %w", name, err))
			text = "of the wrong kind" // so that its size is no problem, too
		}
		values[name] = text
	}
	// A store that nobody uses says what is wrong with names and sizes.
	problems = append(problems, secretsmanager.New(secretsmanager.Config{}).Provide(values))
	return values, errors.Join(problems...)
}

// secretText is the value of a secret: a string as it is, an object as its text without white space.
func secretText(value json.RawMessage) (string, error) {
	switch kind := kindOf(value); kind {
	case "a string":
		var text string
		err := json.Unmarshal(value, &text)
		return text, err
	case "an object":
		var text bytes.Buffer
		err := json.Compact(&text, value)
		return text.String(), err
	default:
		return "", fmt.Errorf("%s; give a string or an object", kind)
	}
}

// kindOf says what a JSON text is.
func kindOf(text json.RawMessage) string {
	switch bytes.TrimLeft(text, " \t\r\n")[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}
