package contract

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// valuesOf are the values of the fields with a name, in their order.
func valuesOf(fields []field, name string) []string {
	var all []string
	for _, f := range fields {
		if strings.EqualFold(f.name, name) {
			all = append(all, f.value)
		}
	}
	return all
}

// namesOf are the names of fields in lower case, each once.
func namesOf(fields []field) []string {
	var all []string
	for _, f := range fields {
		if name := strings.ToLower(f.name); !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// join is how repeated fields are compared: a list may be sent in one field or in several, with and without blanks behind
// its commas. Cookies are no list.
func join(name string, values []string) string {
	if strings.EqualFold(name, "Set-Cookie") {
		return strings.Join(values, "\n")
	}
	return strings.Join(values, ",")
}

var aroundComma = regexp.MustCompile(`[ \t]*,[ \t]*`)

// same compares the values of a field that may be repeated.
func same(name string, a, b []string) bool {
	if slices.Equal(a, b) {
		return true
	}
	if len(a) == 1 && len(b) == 1 && !strings.EqualFold(name, "Prefer") {
		return false
	}
	tight := func(values []string) string { return aroundComma.ReplaceAllString(join(name, values), ",") }
	return len(a) > 0 && len(b) > 0 && tight(a) == tight(b)
}

// fieldsOf reads the fields that a case says.
func (v values) fieldsOf(lines []Text) []field {
	all := make([]field, len(lines))
	for i, line := range lines {
		all[i] = fieldOf(v.text(line))
	}
	return all
}

// speaksOf says whether a field with a name has to be as told here.
func (x Expected) speaksOf(name string) bool {
	return slices.ContainsFunc(x.Absent, func(absent string) bool { return strings.EqualFold(absent, name) }) ||
		slices.ContainsFunc(slices.Concat(x.Fields, x.Matching), func(line Text) bool {
			return strings.EqualFold(fieldOf(string(line)).name, name)
		})
}

// judge says which fields are not as they have to be.
func (x Expected) judge(v values, got []field) []string {
	var wrong []string
	want := v.fieldsOf(x.Fields)
	for _, name := range namesOf(want) {
		if g, w := valuesOf(got, name), valuesOf(want, name); !same(name, g, w) {
			wrong = append(wrong, fmt.Sprintf("%s is %s, want %s", name, told(g), told(w)))
		}
	}
	for _, f := range v.fieldsOf(x.Matching) {
		g := valuesOf(got, f.name)
		if matches, _ := regexp.MatchString(`^(?:`+f.value+`)$`, join(f.name, g)); len(g) == 0 || !matches {
			wrong = append(wrong, fmt.Sprintf("%s is %s, want one that matches %s", f.name, told(g), f.value))
		}
	}
	for _, name := range x.Absent {
		if g := valuesOf(got, name); len(g) > 0 {
			wrong = append(wrong, fmt.Sprintf("%s is %s, want none", name, told(g)))
		}
	}
	return wrong
}

// told names values in a message.
func told(values []string) string {
	if len(values) == 0 {
		return "not there"
	}
	quoted := make([]string, len(values))
	for i, value := range values {
		quoted[i] = fmt.Sprintf("%q", abbreviated(value))
	}
	return strings.Join(quoted, " and ")
}

// mostTold is how much of a text a message quotes, in bytes.
const mostTold = 500

func abbreviated(text string) string {
	if len(text) > mostTold {
		return text[:mostTold] + fmt.Sprintf("… (%d bytes)", len(text))
	}
	return text
}
