package contract

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/verification/scripted"
)

// A Text is written to a connection, or compared with what was read from one. In it \xE9 stands for the byte of that
// number, and what [values.expand] knows for what is known only when a case is run.
type Text string

var byteEscape = regexp.MustCompile(`\\x[0-9A-Fa-f]{2}`)

// bytes puts bytes in the place of their numbers.
func (t Text) bytes() string {
	return byteEscape.ReplaceAllStringFunc(string(t), func(escape string) string {
		n, _ := strconv.ParseUint(escape[2:], 16, 8)
		return string([]byte{byte(n)})
	})
}

// values are what is known only when a case is run, by the names that stand for them in braces.
type values map[string]string

var (
	placeholder = regexp.MustCompile(`\{[a-z]+\}`)
	repetition  = regexp.MustCompile(`\{([a-z])\*([0-9]+)\}`)
)

// names are those that texts may hold in braces, beside {date} and {epoch}, which are now and which a distance may follow,
// as in {date+30s}, and beside letters that repeat, as in {k*255}.
//
//	{endpoint}  the endpoint's URL with the path of the case, below which its targets lie
//	{upstream}  the upstream's URL with the path of the case, by the Host that the upstream was sent
//	{path}      the path of the case
//	{host}      the host and port of the endpoint, in what a caller sends
//	{via}       the Via that the upstream was sent last, in what a caller sends
var names = []string{"{endpoint}", "{upstream}", "{path}", "{host}", "{via}"}

// expand puts values and moments in the place of their names. What is not known stays as it is.
func (v values) expand(text string) string { return scripted.Moments(v.atRest(text), time.Now()) }

// atRest puts values in the place of their names, and leaves those of moments for when they come.
func (v values) atRest(text string) string {
	text = placeholder.ReplaceAllStringFunc(text, func(name string) string {
		if value, known := v[name]; known {
			return value
		}
		return name
	})
	return repetition.ReplaceAllStringFunc(text, func(name string) string {
		parts := repetition.FindStringSubmatch(name)
		times, _ := strconv.Atoi(parts[2])
		return strings.Repeat(parts[1], times)
	})
}

func (v values) text(t Text) string { return v.expand(t.bytes()) }

// lines writes the lines of a message.
func (v values) lines(all []Text) string {
	written := make([]string, len(all))
	for i, line := range all {
		written[i] = v.text(line)
	}
	return strings.Join(written, "\r\n")
}

// A Body is written in JSON as a text, as {"base64": "…"}, or, if it is long, as {"repeat": "…", "times": n}. A text may
// hold the names that a Text may.
type Body struct {
	text   string
	binary []byte
	times  int // of binary; 0 is once
}

func (b Body) bytes(v values) []byte {
	if b.binary != nil {
		return bytes.Repeat(b.binary, max(1, b.times))
	}
	return []byte(v.expand(b.text))
}

// size is how long it is about, in bytes.
func (b Body) size() int { return len(b.text) + len(b.binary)*max(1, b.times) }

func (b *Body) UnmarshalJSON(data []byte) error {
	if data[0] == '"' {
		return json.Unmarshal(data, &b.text)
	}
	var long struct {
		Base64, Repeat string
		Times          int
	}
	if err := strictly(data, &long); err != nil {
		return err
	}
	switch {
	case long.Base64 != "" && long.Repeat == "" && long.Times == 0:
		var err error
		b.binary, err = base64.StdEncoding.DecodeString(long.Base64)
		return err
	case long.Base64 == "" && long.Repeat != "" && long.Times > 0:
		b.binary, b.times = []byte(long.Repeat), long.Times
		return nil
	}
	return errors.New(`a body is a text, {"base64": "…"} or {"repeat": "…", "times": n}`)
}

// A Duration is written as 1.5s.
type Duration time.Duration

func (d *Duration) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	parsed, err := time.ParseDuration(text)
	if err == nil && parsed < 0 {
		err = fmt.Errorf("%s is less than nothing", text)
	}
	*d = Duration(parsed)
	return err
}

// A field is a header field.
type field struct{ name, value string }

// fieldOf reads a header field.
func fieldOf(line string) field {
	name, value, _ := strings.Cut(line, ":")
	return field{name, strings.Trim(value, " \t")}
}
