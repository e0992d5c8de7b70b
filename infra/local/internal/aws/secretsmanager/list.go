package secretsmanager

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// description is what DescribeSecret and ListSecrets say of a secret. They have two names for its versions.
type description struct {
	ARN                    string
	Name                   string
	Description            string `json:",omitempty"`
	CreatedDate            seconds
	LastChangedDate        seconds
	LastAccessedDate       *seconds            `json:",omitempty"`
	Tags                   []tag               `json:",omitempty"`
	VersionIdsToStages     map[string][]string `json:",omitempty"`
	SecretVersionsToStages map[string][]string `json:",omitempty"`
}

func (s *secret) describe() description {
	return description{
		ARN: s.arn, Name: s.name, Description: s.description, CreatedDate: seconds(s.created), LastChangedDate: seconds(s.changed),
		LastAccessedDate: when(s.accessed), Tags: s.tags,
	}
}

type describeSecretInput struct{ SecretId *string }

func (s *Store) describeSecret(in *describeSecretInput) (any, error) {
	if err := checkID(in.SecretId); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one, err := s.find(*in.SecretId)
	if err != nil {
		return nil, err
	}
	out := one.describe()
	out.VersionIdsToStages = one.stages()
	return out, nil
}

// maxPage is how many secrets a page has at most, and if the request does not say.
const maxPage = 100

type listSecretsInput struct {
	Filters                []filter
	IncludePlannedDeletion bool // no secret is about to be deleted here
	MaxResults             *int
	NextToken              *string
	SortBy, SortOrder      string
}

type listSecretsOutput struct {
	SecretList []description
	NextToken  string `json:",omitempty"`
}

// orders are the ways to sort. Secrets that are equal in one are listed in the order in which they were made.
var orders = map[string]func(a, b *secret) int{
	"created-date":       func(a, b *secret) int { return a.created.Compare(b.created) },
	"last-accessed-date": func(a, b *secret) int { return a.accessed.Compare(b.accessed) },
	"last-changed-date":  func(a, b *secret) int { return a.changed.Compare(b.changed) },
	"name":               func(a, b *secret) int { return cmp.Compare(a.name, b.name) },
}

func (s *Store) listSecrets(in *listSecretsInput) (any, error) {
	size := maxPage
	if in.MaxResults != nil {
		size = *in.MaxResults
	}
	start, err := in.start()
	if err := firstError(in.checkFilters(), checkRange("maxResults", size, 1, maxPage), err,
		checkEnum("sortBy", in.SortBy, slices.Sorted(maps.Keys(orders))...), checkEnum("sortOrder", in.SortOrder, "asc", "desc")); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*secret
	for _, one := range s.secrets {
		if !slices.ContainsFunc(in.Filters, func(f filter) bool { return !f.matches(one) }) {
			found = append(found, one)
		}
	}
	order := orders[cmp.Or(in.SortBy, "created-date")]
	slices.SortFunc(found, func(a, b *secret) int { return cmp.Or(order(a, b), cmp.Compare(a.number, b.number)) })
	if in.SortOrder == "desc" {
		slices.Reverse(found)
	}
	out := listSecretsOutput{SecretList: []description{}}
	end := min(start+size, len(found))
	for _, one := range found[min(start, end):end] {
		listed := one.describe()
		listed.SecretVersionsToStages = one.stages()
		out.SecretList = append(out.SecretList, listed)
	}
	if end < len(found) {
		out.NextToken = base64.StdEncoding.EncodeToString([]byte(strconv.Itoa(end)))
	}
	return out, nil
}

// start is where the page begins, which the token of the page before says.
func (in *listSecretsInput) start() (int, error) {
	if in.NextToken == nil {
		return 0, nil
	}
	text, err := base64.StdEncoding.DecodeString(*in.NextToken)
	if err == nil {
		var start int
		if start, err = strconv.Atoi(string(text)); err == nil && start >= 0 {
			return start, nil
		}
	}
	return 0, refusal(CodeInvalidNextToken, "Invalid NextToken.")
}

func checkRange(path string, given, least, most int) error {
	switch {
	case given < least:
		return invalid("1 validation error detected: Value '%d' at '%s' failed to satisfy constraint: Member must have value greater than or equal to %d", given, path, least)
	case given > most:
		return invalid("1 validation error detected: Value '%d' at '%s' failed to satisfy constraint: Member must have value less than or equal to %d", given, path, most)
	}
	return nil
}

// A filter keeps secrets of which an attribute matches one of the values. A value that begins with an exclamation mark
// keeps those that do not match the rest of it.
type filter struct {
	Key    string
	Values []string
}

// filterKeys are the keys that the service has.
var filterKeys = []string{"all", "description", "name", "owning-service", "primary-region", "tag-key", "tag-value"}

func (in *listSecretsInput) checkFilters() error {
	if err := checkCount("", "filters", len(in.Filters), 0, 10); err != nil {
		return err
	}
	for i, f := range in.Filters {
		if f.Key == "" {
			return refusal(CodeInvalidParameter, "Invalid filter key")
		}
		if err := checkEnum(fmt.Sprintf("filters.%d.member.key", i+1), f.Key, filterKeys...); err != nil {
			return err
		}
		switch f.Key {
		case "all", "owning-service", "primary-region":
			return invalid("The local Secrets Manager does not support the filter key %s", f.Key)
		}
		if len(f.Values) == 0 {
			return refusal(CodeInvalidParameter, "Invalid filter values for key: %s", f.Key)
		}
	}
	return nil
}

func (f filter) matches(s *secret) bool {
	switch f.Key {
	case "name":
		return f.matchesAny(strings.HasPrefix, s.name)
	case "description":
		return s.description != "" && f.matchesAny(hasWords, s.description)
	}
	var attributes []string
	for _, t := range s.tags {
		if f.Key == "tag-key" {
			attributes = append(attributes, t.Key)
		} else {
			attributes = append(attributes, t.Value)
		}
	}
	return f.matchesAny(strings.HasPrefix, attributes...)
}

func (f filter) matchesAny(has func(attribute, value string) bool, attributes ...string) bool {
	for _, value := range f.Values {
		value, negated := strings.CutPrefix(value, "!")
		for _, attribute := range attributes {
			if has(attribute, value) != negated {
				return true
			}
		}
	}
	return false
}

// hasWords says whether each word of a value begins a word of a text, in whatever case. That is what the service does,
// though its documentation speaks of a prefix of the text.
func hasWords(text, value string) bool {
	words := func(s string) []string {
		return strings.FieldsFunc(strings.ToLower(s), func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) })
	}
	all := words(text)
	for _, wanted := range words(value) {
		if !slices.ContainsFunc(all, func(word string) bool { return strings.HasPrefix(word, wanted) }) {
			return false
		}
	}
	return true
}
