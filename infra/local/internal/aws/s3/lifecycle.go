package s3

import (
	"errors"
	"slices"
	"strings"
	"time"
)

// A Rule is a lifecycle rule by which objects expire.
type Rule struct {
	// Prefix is what the keys begin with that the rule is about. Empty stands for all objects.
	Prefix string

	// Days is after how many days an object expires: 1 or more.
	Days int
}

// expiry is when an object of that age expires by the rule: the days after it was written, rounded up to the next midnight
// in UTC.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
func (r Rule) expiry(modified time.Time) time.Time {
	return modified.UTC().Truncate(24*time.Hour).AddDate(0, 0, r.Days+1)
}

// expired says whether an object is to be taken for one that is not there. S3 takes its time to delete what has expired;
// here nobody sees it any more.
func (b *bucket) expired(key string, one *object, now time.Time) bool {
	return slices.ContainsFunc(b.Lifecycle, func(rule Rule) bool {
		return strings.HasPrefix(key, rule.Prefix) && !now.Before(rule.expiry(one.Modified))
	})
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
