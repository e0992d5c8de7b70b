package contract

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/verification/scripted"
)

//go:embed cases
var embedded embed.FS

// Cases are all there are, by their files.
func Cases() ([]Case, error) {
	directory, err := fs.Sub(embedded, "cases")
	if err != nil {
		return nil, err
	}
	return load(directory)
}

// load reads the files of a directory. The error says all that is wrong with them.
func load(directory fs.FS) ([]Case, error) {
	files, err := fs.Glob(directory, "*.json")
	if err != nil {
		return nil, err
	}
	var all []Case
	var problems []error
	named := map[string]bool{}
	for _, file := range files {
		text, err := fs.ReadFile(directory, file)
		if err != nil {
			return nil, err
		}
		var cases []Case
		if err := strictly(text, &cases); err != nil {
			problems = append(problems, fmt.Errorf("contract: %s: %w", file, err))
			continue
		}
		for i, c := range cases {
			c.theme, c.number = strings.TrimSuffix(path.Base(file), ".json"), i+1
			wrong := c.validate()
			if named[c.Name] {
				wrong = append(wrong, "there is another case with this name")
			}
			named[c.Name] = true
			for _, problem := range wrong {
				problems = append(problems, fmt.Errorf("contract: %s: case %d, %q: %s", file, c.number, c.Name, problem))
			}
			all = append(all, c)
		}
	}
	return all, errors.Join(problems...)
}

// strictly decodes JSON and refuses members that are not known, and whatever follows.
func strictly(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return fmt.Errorf("line %d: %w", 1+bytes.Count(text[:syntax.Offset], []byte("\n")), err)
		}
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the end")
	}
	return nil
}

// Theme is the name of the case's file.
func (c *Case) Theme() string { return c.theme }

// validate says what is wrong with a case.
func (c *Case) validate() []string {
	var wrong []string
	problem := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if c.Name == "" || c.Source == "" {
		problem("give a name and a source")
	}
	if len(c.Requests) == 0 {
		problem("there are no requests")
	}
	replies := 0
	var look func(place string, r *Request)
	look = func(place string, r *Request) {
		if r.Raw != nil && (r.Method != "" || r.Target != "" || r.Fields != nil || r.Recorded != nil || r.Together > 0) {
			problem("%s: raw takes the place of method, target and fields, and cannot be sent again", place)
		}
		if r.Target != "" && !strings.HasPrefix(r.Target, "/") {
			problem("%s: the target is %q; it begins with a slash", place, r.Target)
		}
		for _, line := range slices.Concat(r.Fields, r.Answer.Fields, r.Answer.Matching, r.Arrives.Fields, r.Arrives.Matching) {
			if name, _, found := strings.Cut(string(line), ":"); !found || strings.TrimSpace(name) != name {
				problem("%s: %q is not a name, a colon and a value", place, line)
			}
		}
		for _, line := range slices.Concat(r.Answer.Matching, r.Arrives.Matching) {
			if _, err := regexp.Compile(fieldOf(string(line)).value); err != nil {
				problem("%s: %v", place, err)
			}
		}
		for _, text := range r.texts() {
			for _, name := range placeholder.FindAllString(text, -1) {
				if !slices.Contains(names, name) && !scripted.Moment.MatchString(name) {
					problem("%s: %s is not known; known are %s, {date} and {epoch}", place, name, strings.Join(names, ", "))
				}
			}
		}
		whole := true
		for i, reply := range r.Upstream {
			if problem := reply.invalid(); problem != "" {
				wrong = append(wrong, fmt.Sprintf("%s: reply %d: %s", place, i+1, problem))
			}
			whole = whole && reply.whole()
		}
		if !whole && r.Attempts == nil && !r.Answer.Replayed {
			problem("%s: say what is told of the attempts, as the upstream does not give each a whole answer", place)
		}
		for _, told := range r.Attempts {
			if !attemptForm.MatchString(told) {
				problem("%s: the attempt %q is not a status, the type of an error, or both", place, told)
			}
		}
		if len(r.During) > 0 && len(r.Upstream) == 0 {
			problem("%s: without an attempt there is no time for what is to happen during it", place)
		}
		for i := range r.During {
			look(fmt.Sprintf("%s, during %d", place, i+1), &r.During[i])
		}
		replies += len(r.Upstream)
		switch last := len(r.Upstream) - 1; {
		case r.Answer.Problem != nil && (r.Answer.Status == 0 || r.Answer.Problem.Name == ""):
			problem("%s: a problem has a name and a status", place)
		case r.Answer.Replayed && replies == 0:
			problem("%s: nothing was said that could be replayed", place)
		case r.Answer.Status == 0 && !r.Answer.Replayed && (last < 0 || !r.Upstream[last].whole()):
			problem("%s: say with which status it is answered, as the upstream does not", place)
		}
	}
	for i := range c.Requests {
		look("request "+strconv.Itoa(i+1), &c.Requests[i])
	}
	if c.Down && replies > 0 {
		problem("an upstream that is down does not reply")
	}
	return wrong
}

// attemptForm is what is told of an attempt.
var attemptForm = regexp.MustCompile(`^([1-9][0-9]{2}|[a-z][a-z_]+|[1-9][0-9]{2} [a-z][a-z_]+)$`)

// texts are all of a request's texts, and of those that are sent during it not.
func (r *Request) texts() []string {
	all := []string{r.Target, r.Body.text}
	for _, reply := range r.Upstream {
		all = append(all, reply.Body.text)
		for _, text := range slices.Concat(reply.Fields, reply.Raw) {
			all = append(all, string(text))
		}
	}
	for _, text := range slices.Concat(r.Fields, r.Raw, r.Answer.Fields, r.Arrives.Fields) {
		all = append(all, string(text))
	}
	for _, body := range []*Body{r.Answer.Body, r.Arrives.Body} {
		if body != nil {
			all = append(all, body.text)
		}
	}
	return all
}

// whole says whether a reply is an answer that comes back as it is, unless a case says otherwise.
func (r *Reply) whole() bool { return r.Status != 0 && r.Then == "" }

func (r *Reply) invalid() string {
	for _, line := range r.Fields {
		if !strings.Contains(string(line), ":") {
			return fmt.Sprintf("%q is not a name, a colon and a value", line)
		}
	}
	switch {
	case !slices.Contains([]string{"", "close", "reset", "stall"}, r.Then):
		return fmt.Sprintf("then is %q; give close, reset or stall", r.Then)
	case r.Status == 0 && r.Raw == nil && r.Then == "":
		return "it does nothing; give a status, raw or then"
	case r.Raw != nil && r.Status != 0:
		return "it has a status and is raw; give one of them"
	case r.Status == 0 && (r.Fields != nil || r.Reason != ""):
		return "it has fields and no status"
	}
	return ""
}
