package s3_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/s3"
)

func TestAnObjectExpiresAtTheMidnightAfterItsDays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		key              string
		written, expires time.Time
	}{
		// The example of the documentation: https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
		{"three/k", time.Date(2014, 1, 15, 10, 30, 0, 0, time.UTC), time.Date(2014, 1, 19, 0, 0, 0, 0, time.UTC)},
		{"one/k", time.Date(2026, 2, 27, 23, 59, 59, 0, time.UTC), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)},
		{"one/k", time.Date(2026, 2, 28, 0, 0, 1, 0, time.UTC), time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)},
		{"one/k", time.Date(2026, 3, 1, 1, 0, 0, 0, time.FixedZone("", 2*60*60)), time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)},
		// The earlier of two rules holds.
		{"three/one/k", time.Date(2014, 1, 15, 10, 30, 0, 0, time.UTC), time.Date(2014, 1, 17, 0, 0, 0, 0, time.UTC)},
	} {
		now := clockAt(c.written)
		store := s3.New(s3.Config{Clock: now.Now})
		create(t, store, s3.Bucket{Name: "bodies", Lifecycle: []s3.Rule{{Prefix: "three/", Days: 3}, {Prefix: "one/", Days: 1}, {Prefix: "three/one/", Days: 1}}})
		client := client(t, store)
		put(t, client, c.key, "content")
		now.set(c.expires.Add(-1))
		if got := content(t, client, c.key); got != "content" {
			t.Errorf("%s, written at %v, is %s before %v", c.key, c.written, got, c.expires)
		}
		now.set(c.expires)
		if got := content(t, client, c.key); got != "NoSuchKey" {
			t.Errorf("%s, written at %v, is still %s at %v", c.key, c.written, got, c.expires)
		}
		if got := keys(t, client, ""); len(got) > 0 {
			t.Errorf("%q are still listed at %v", got, c.expires)
		}
		_, err := client.PutObject(t.Context(), &sdk.PutObjectInput{Bucket: aws.String("bodies"), Key: &c.key, IfNoneMatch: aws.String("*")})
		if err != nil {
			t.Errorf("the key of an object that expired is not free: %v", err)
		}
	}
}

func TestWhatNoRuleIsAboutDoesNotExpire(t *testing.T) {
	t.Parallel()
	now := clockAt(written)
	store := s3.New(s3.Config{Clock: now.Now})
	create(t, store, s3.Bucket{Name: "bodies", Lifecycle: []s3.Rule{{Prefix: "requests/", Days: 1}}})
	c := client(t, store)
	put(t, c, "answers/k", "content")
	now.set(written.AddDate(10, 0, 0))
	if got := content(t, c, "answers/k"); got != "content" {
		t.Errorf("got %s", got)
	}
}

func TestWhatExpiredIsDeletedFromTheFile(t *testing.T) {
	t.Parallel()
	file, now := open(t, filepath.Join(t.TempDir(), "objects.db")), clockAt(written)
	bucket := s3.Bucket{Name: "bodies", Lifecycle: []s3.Rule{{Prefix: "r/", Days: 1}}}
	store := s3.New(s3.Config{File: file, Clock: now.Now})
	create(t, store, bucket)
	c := client(t, store)
	put(t, c, "r/1", "content")
	put(t, c, "a/1", "content")
	now.set(written.AddDate(0, 0, 2))
	put(t, c, "r/2", "content")
	for _, want := range []int{1, 0} {
		if deleted, err := store.DeleteExpired(); deleted != want || err != nil {
			t.Errorf("deleted %d objects: %v, want %d", deleted, err, want)
		}
	}
	now.set(written) // at which nothing has expired, so that all that is in the file is seen
	store = s3.New(s3.Config{File: file, Clock: now.Now})
	create(t, store, bucket)
	if got := keys(t, client(t, store), ""); !cmp.Equal(got, []string{"a/1", "r/2"}) {
		t.Errorf("the file has the keys %q", got)
	}
}
