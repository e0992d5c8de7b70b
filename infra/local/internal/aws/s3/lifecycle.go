package s3

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// A Rule is a lifecycle rule by which objects expire.
type Rule struct {
	// ID is what answers call the rule.
	ID string

	// Prefix is what the keys begin with that the rule is about. Empty stands for all objects.
	Prefix string

	// Days is after how many days an object expires.
	Days int
}

// expiry is when an object of that age expires by the rule: after the midnight, in UTC, that follows the last of the days.
func (r Rule) expiry(modified time.Time) time.Time {
	return modified.UTC().Truncate(24*time.Hour).AddDate(0, 0, r.Days+1)
}

// expiry is when an object expires, and by which rule. Of several rules the earliest holds.
func (b *bucket) expiry(key string, one *object) (first time.Time, by Rule, expires bool) {
	for _, rule := range b.Lifecycle {
		if !strings.HasPrefix(key, rule.Prefix) {
			continue
		}
		if at := rule.expiry(one.Modified); !expires || at.Before(first) {
			first, by, expires = at, rule, true
		}
	}
	return first, by, expires
}

// expired says whether an object is to be taken for one that is not there. S3 takes its time to delete what has expired;
// here nobody sees it any more.
func (b *bucket) expired(key string, one *object, now time.Time) bool {
	at, _, expires := b.expiry(key, one)
	return expires && !now.Before(at)
}

// tellExpiry sets the header field by which answers say when an object expires.
func (b *bucket) tellExpiry(header http.Header, key string, one *object) {
	if at, rule, expires := b.expiry(key, one); expires {
		header.Set("X-Amz-Expiration", fmt.Sprintf(`expiry-date="%s", rule-id="%s"`, at.Format(http.TimeFormat), url.QueryEscape(rule.ID)))
	}
}

// DeleteExpired deletes the objects that have expired, and says how many. Nobody sees them before that either, but they
// take up space.
func (s *Store) DeleteExpired() (int, error) {
	deleted, now := 0, s.config.Clock()
	var problems []error
	for _, name := range s.BucketNames() {
		b, err := s.bucket(name)
		if err != nil {
			return deleted, err
		}
		n, err := b.deleteExpired(now)
		deleted += n
		problems = append(problems, err)
	}
	return deleted, errors.Join(problems...)
}

func (b *bucket) deleteExpired(now time.Time) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	deleted := 0
	for key, one := range b.objects {
		if !b.expired(key, one, now) {
			continue
		}
		if err := b.removed(key); err != nil {
			return deleted, err
		}
		deleted++
	}
	return deleted, nil
}
