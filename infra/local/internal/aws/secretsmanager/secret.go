package secretsmanager

import (
	"bytes"
	"crypto/rand"
	"slices"
	"time"

	smithyrand "github.com/aws/smithy-go/rand"
)

// The labels of stages that the service moves by itself.
const (
	labelCurrent  = "AWSCURRENT"
	labelPrevious = "AWSPREVIOUS"
)

// maxVersions is how many versions of a secret are kept. Versions that have a label are kept beyond it.
const maxVersions = 100

// A secret is one in the store.
type secret struct {
	name, arn, description string
	tags                   []tag
	versions               []*version // oldest first
	created, changed       time.Time
	accessed               time.Time // zero if its value was never read
	number                 int       // secrets are counted in the order in which they were made

	// provided is the name or ARN by which [Store.Provide] made it; empty if it did not.
	provided string
}

type tag struct{ Key, Value string }

// A version of a secret is its value at a time.
type version struct {
	id      string
	content content
	labels  []string // in order
	created time.Time
}

// A content is the value of a secret: a text, or binary.
type content struct {
	text   string
	binary []byte // nil if it is a text
}

func (c content) equal(other content) bool {
	return c.text == other.text && (c.binary == nil) == (other.binary == nil) && bytes.Equal(c.binary, other.binary)
}

func (s *secret) version(id string) *version {
	for _, v := range s.versions {
		if v.id == id {
			return v
		}
	}
	return nil
}

// labelled is the version that has a label.
func (s *secret) labelled(label string) *version {
	for _, v := range s.versions {
		if slices.Contains(v.labels, label) {
			return v
		}
	}
	return nil
}

// put adds a version, and takes its labels from those that had them. The version that was current before becomes the
// previous one.
func (s *secret) put(id string, c content, labels []string, now time.Time) *version {
	if len(s.versions) == 0 && !slices.Contains(labels, labelCurrent) {
		labels = append(slices.Clone(labels), labelCurrent)
	}
	before := s.labelled(labelCurrent)
	added := &version{id: id, content: c, created: now}
	s.versions = append(s.versions, added)
	for _, label := range labels {
		s.move(label, added)
	}
	if before != nil && slices.Contains(labels, labelCurrent) {
		s.move(labelPrevious, before)
	}
	s.changed = now
	for i := 0; len(s.versions) > maxVersions && i < len(s.versions); {
		if len(s.versions[i].labels) > 0 {
			i++
			continue
		}
		s.versions = slices.Delete(s.versions, i, i+1)
	}
	return added
}

// move attaches a label to a version, and to no other.
func (s *secret) move(label string, to *version) {
	if from := s.labelled(label); from != nil {
		from.labels = slices.DeleteFunc(from.labels, func(l string) bool { return l == label })
	}
	to.labels = append(to.labels, label)
	slices.Sort(to.labels)
}

// stages are the labels of the versions that have some.
func (s *secret) stages() map[string][]string {
	stages := map[string][]string{}
	for _, v := range s.versions {
		if len(v.labels) > 0 {
			stages[v.id] = slices.Clone(v.labels)
		}
	}
	return stages
}

// newID makes the id of a version.
func newID() string {
	id, err := smithyrand.NewUUID(rand.Reader).GetUUID()
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return id
}
