//go:build !race

package apiproxy_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// Whoever reviews a change reads in these files what it lets whom do.
func TestEveryStatementOfAPolicyIsAsInItsGoldenFile(t *testing.T) {
	secrets := withSecrets(t)
	for file, template := range map[string]template{
		"statements-minimal.txt":         variants()["Minimal"],
		"statements-everything.txt":      variants()["Everything"],
		"statements-existing-table.txt":  variants()["ExistingTable"],
		"statements-encrypted-table.txt": variants()["EncryptedTable"],
		"statements-encrypted.txt":       variants()["Encrypted"],
		"statements-callback.txt":        variants()["EncryptedCallback"],
		"statements-granted.txt":         variants()["Granted"],
		"statements-large-bodies.txt":    variants()["LargeBodies"],
		"statements-existing-bucket.txt": variants()["ExistingBucket"],
		"statements-vpc.txt":             variants()["InVpc"],
		"statements-unshared.txt":        variants()["Unshared"],
		"statements-secret.txt":          secrets["OAuth2"],
		"statements-secret-key.txt":      secrets["Encrypted"], // with a key, and a second secret
		"statements-role.txt":            secrets["Role"],
	} {
		var text bytes.Buffer
		for _, line := range template.statements() {
			fmt.Fprintln(&text, line)
		}
		golden(t, file, text.Bytes())
	}
}

// A policy that the list left out could say anything.
func TestTheListOfStatementsHasThoseOfEveryPolicy(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		want := bytes.Count(template.text, []byte(`"Effect":`)) + len(template.ofType("AWS::Lambda::Permission"))
		if got := len(template.statements()); got != want {
			t.Errorf("%d statements are listed, and the template has %d", got, want)
		}
	})
}

// statements lists what every policy of the template says, one line for each statement: whose policy it is, and whom it
// allows or denies what, on what, and under which conditions.
func (t template) statements() []string {
	var lines []string
	for _, id := range slices.Sorted(maps.Keys(t.Resources)) {
		resource := t.Resources[id]
		if resource.Type == "AWS::Lambda::Permission" {
			lines = append(lines, permission(resource))
			continue
		}
		var holders []string
		for _, kind := range []string{"Roles", "Users", "Groups"} {
			attached, _ := resource.at(kind).([]any)
			holders = append(holders, each(attached)...)
		}
		whose := "${" + id + "}"
		if len(holders) > 0 {
			whose = strings.Join(holders, ", ")
		}
		for _, s := range statementsIn(resource.Properties) {
			lines = append(lines, whose+": "+oneLine(s))
		}
		managed, _ := resource.at("ManagedPolicyArns").([]any)
		for _, policy := range each(managed) {
			lines = append(lines, whose+": what "+policy+" says")
		}
	}
	slices.Sort(lines)
	return lines
}

// statementsIn finds the statements of all policies in a value, however deep they lie.
func statementsIn(value any) []map[string]any {
	var found []map[string]any
	switch value := value.(type) {
	case []any:
		for _, element := range value {
			found = append(found, statementsIn(element)...)
		}
	case map[string]any:
		for name, member := range value {
			list, ok := member.([]any)
			if !ok || name != "Statement" {
				found = append(found, statementsIn(member)...)
				continue
			}
			for _, s := range list {
				found = append(found, s.(map[string]any))
			}
		}
	}
	return found
}

// oneLine writes all that a statement says.
func oneLine(s map[string]any) string {
	var b strings.Builder
	for _, part := range []struct{ before, name string }{
		{"", "Effect"}, {" ", "Principal"}, {" all but ", "NotPrincipal"}, {" ", "Action"}, {" all but ", "NotAction"},
		{" on ", "Resource"}, {" on all but ", "NotResource"}, {" if ", "Condition"},
	} {
		if value, said := s[part.name]; said {
			b.WriteString(part.before + plain(value))
		}
	}
	return b.String()
}

// plain writes a part of a statement without the marks of JSON.
func plain(value any) string {
	switch value := value.(type) {
	case []any:
		texts := make([]string, len(value))
		for i, element := range value {
			texts[i] = plain(element)
		}
		slices.Sort(texts)
		return strings.Join(texts, ", ")
	case map[string]any:
		if text := flat(value); !strings.HasPrefix(text, "{") {
			return text // an intrinsic function
		}
		var texts []string
		for _, name := range slices.Sorted(maps.Keys(value)) {
			texts = append(texts, name+" "+plain(value[name]))
		}
		return strings.Join(texts, " and ")
	}
	return flat(value)
}

// permission writes the statement that a permission adds to the policy of a function.
func permission(resource *resource) string {
	line := fmt.Sprintf("%s: Allow %s %s", flat(resource.at("FunctionName")), flat(resource.at("Principal")), flat(resource.at("Action")))
	before := " if "
	for _, name := range slices.Sorted(maps.Keys(resource.Properties)) {
		if !slices.Contains([]string{"Action", "FunctionName", "Principal"}, name) {
			line += before + name + " " + flat(resource.at(name))
			before = " and "
		}
	}
	return line
}
