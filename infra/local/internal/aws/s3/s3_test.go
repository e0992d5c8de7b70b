package s3_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/s3"
)

// written is when the tests begin.
var written = time.Date(2026, 1, 15, 10, 30, 0, 0, time.UTC)

// A clock is moved by hand.
type clock struct{ now atomic.Int64 }

func clockAt(t time.Time) *clock {
	c := new(clock)
	c.set(t)
	return c
}

func (c *clock) set(t time.Time) { c.now.Store(t.UnixNano()) }
func (c *clock) Now() time.Time  { return time.Unix(0, c.now.Load()) }

// newStore makes a store with the bucket "bodies", where nothing expires.
func newStore(t testing.TB, config s3.Config) *s3.Store {
	t.Helper()
	if config.Clock == nil {
		config.Clock = clockAt(written).Now
	}
	store := s3.New(config)
	create(t, store, s3.Bucket{Name: "bodies"})
	return store
}

func create(t testing.TB, store *s3.Store, bucket s3.Bucket) {
	t.Helper()
	if err := store.CreateBucket(bucket); err != nil {
		t.Fatal(err)
	}
}

// serve puts a store behind a URL.
func serve(t testing.TB, store http.Handler) string {
	t.Helper()
	server := httptest.NewServer(store)
	t.Cleanup(server.Close)
	return server.URL
}

// clientOf is the AWS SDK's client for a URL, with what it has by default from config.LoadDefaultConfig.
func clientOf(url string, options ...func(*sdk.Options)) *sdk.Client {
	return sdk.New(sdk.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(url), UsePathStyle: true, RetryMaxAttempts: 1,
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported, ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", strings.Repeat("t", 1900)), // as long as a role's
	}, options...)
}

func client(t testing.TB, store *s3.Store) *sdk.Client { return clientOf(serve(t, store)) }

func put(t testing.TB, c *sdk.Client, key, content string) {
	t.Helper()
	if _, err := c.PutObject(t.Context(), &sdk.PutObjectInput{Bucket: aws.String("bodies"), Key: &key, Body: strings.NewReader(content)}); err != nil {
		t.Fatal(err)
	}
}

// content is what a key holds, or the code of the error.
func content(t testing.TB, c *sdk.Client, key string) string {
	t.Helper()
	got, err := c.GetObject(t.Context(), &sdk.GetObjectInput{Bucket: aws.String("bodies"), Key: &key})
	if err != nil {
		return code(err)
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// keys are those that a bucket lists, with a prefix.
func keys(t testing.TB, c *sdk.Client, prefix string) []string {
	t.Helper()
	listed, err := c.ListObjectsV2(t.Context(), &sdk.ListObjectsV2Input{Bucket: aws.String("bodies"), Prefix: &prefix})
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, one := range listed.Contents {
		found = append(found, *one.Key)
	}
	return found
}

// code is the code of an error of the API.
func code(err error) string {
	var failed smithy.APIError
	if errors.As(err, &failed) {
		return failed.ErrorCode()
	}
	return fmt.Sprint(err)
}

func TestWhatIsNotThereIsAnErrorThatTheSDKKnows(t *testing.T) {
	t.Parallel()
	c := client(t, newStore(t, s3.Config{}))
	_, err := c.GetObject(t.Context(), &sdk.GetObjectInput{Bucket: aws.String("bodies"), Key: aws.String("absent")})
	if absent := (*types.NoSuchKey)(nil); !errors.As(err, &absent) {
		t.Errorf("an unknown key: got %v, want NoSuchKey", err)
	}
	_, err = c.HeadObject(t.Context(), &sdk.HeadObjectInput{Bucket: aws.String("bodies"), Key: aws.String("absent")})
	if absent := (*types.NotFound)(nil); !errors.As(err, &absent) {
		t.Errorf("HEAD of an unknown key: got %v, want NotFound", err)
	}
	_, err = c.PutObject(t.Context(), &sdk.PutObjectInput{Bucket: aws.String("other"), Key: aws.String("k"), Body: strings.NewReader("x")})
	if absent := (*types.NoSuchBucket)(nil); code(err) != "NoSuchBucket" && !errors.As(err, &absent) {
		t.Errorf("a PUT to an unknown bucket: got %v, want NoSuchBucket", err)
	}
	if _, err = c.GetObject(t.Context(), &sdk.GetObjectInput{Bucket: aws.String("other"), Key: aws.String("k")}); code(err) != "NoSuchBucket" {
		t.Errorf("a GET from an unknown bucket: got %v, want NoSuchBucket", err)
	}
	_, err = c.HeadBucket(t.Context(), &sdk.HeadBucketInput{Bucket: aws.String("other")})
	if absent := (*types.NotFound)(nil); !errors.As(err, &absent) {
		t.Errorf("HEAD of an unknown bucket: got %v, want NotFound", err)
	}
	if _, err := c.DeleteObject(t.Context(), &sdk.DeleteObjectInput{Bucket: aws.String("bodies"), Key: aws.String("absent")}); err != nil {
		t.Errorf("the deletion of an unknown key: got %v, want none", err)
	}
}

func TestAnObjectIsGivenBackByteForByte(t *testing.T) {
	t.Parallel()
	body := make([]byte, 6<<20)
	_, _ = rand.Read(body)
	for name, file := range stores(t) {
		c := client(t, newStore(t, s3.Config{File: file}))
		wrote, err := c.PutObject(t.Context(), &sdk.PutObjectInput{
			Bucket: aws.String("bodies"), Key: aws.String("a b/ü+%/1"), Body: bytes.NewReader(body),
			ContentType: aws.String("image/png"), ContentEncoding: aws.String("gzip"), Metadata: map[string]string{"Id": "7"},
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.GetObject(t.Context(), &sdk.GetObjectInput{Bucket: aws.String("bodies"), Key: aws.String("a b/ü+%/1")})
		if err != nil {
			t.Fatal(err)
		}
		read, err := io.ReadAll(got.Body) // which verifies the checksum
		if err != nil || !bytes.Equal(read, body) {
			t.Errorf("%s: read %d bytes, %v, want the %d that were written", name, len(read), err, len(body))
		}
		if aws.ToString(got.ContentType) != "image/png" || aws.ToString(got.ContentEncoding) != "gzip" || !cmp.Equal(got.Metadata, map[string]string{"id": "7"}) ||
			*got.ETag != *wrote.ETag || !got.LastModified.Equal(written) || got.ChecksumCRC32 == nil || *got.ContentLength != 6<<20 {
			t.Errorf("%s: got %+v", name, got)
		}
		head, err := c.HeadObject(t.Context(), &sdk.HeadObjectInput{Bucket: aws.String("bodies"), Key: aws.String("a b/ü+%/1")})
		if err != nil || *head.ContentLength != 6<<20 || *head.ETag != *wrote.ETag {
			t.Errorf("%s: HEAD got %+v %v", name, head, err)
		}
		part, err := c.GetObject(t.Context(), &sdk.GetObjectInput{Bucket: aws.String("bodies"), Key: aws.String("a b/ü+%/1"), Range: aws.String("bytes=1000-1999")})
		if err != nil {
			t.Fatal(err)
		}
		if read, err := io.ReadAll(part.Body); err != nil || !bytes.Equal(read, body[1000:2000]) || *part.ContentRange != "bytes 1000-1999/6291456" {
			t.Errorf("%s: the part has %d bytes of %s: %v", name, len(read), *part.ContentRange, err)
		}
	}
}

func TestAnEmptyObjectIsOne(t *testing.T) {
	t.Parallel()
	for name, file := range stores(t) {
		c := client(t, newStore(t, s3.Config{File: file}))
		put(t, c, "empty", "")
		if got := content(t, c, "empty"); got != "" {
			t.Errorf("%s: got %q", name, got)
		}
		if got := keys(t, c, ""); !cmp.Equal(got, []string{"empty"}) {
			t.Errorf("%s: the keys are %q", name, got)
		}
	}
}

func TestADeletedObjectIsGone(t *testing.T) {
	t.Parallel()
	for name, file := range stores(t) {
		c := client(t, newStore(t, s3.Config{File: file}))
		put(t, c, "k", "first")
		if _, err := c.DeleteObject(t.Context(), &sdk.DeleteObjectInput{Bucket: aws.String("bodies"), Key: aws.String("k")}); err != nil {
			t.Fatal(err)
		}
		if got := content(t, c, "k"); got != "NoSuchKey" {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestKeysAreListedByPrefixPageByPage(t *testing.T) {
	t.Parallel()
	store := newStore(t, s3.Config{})
	c := client(t, store)
	for _, key := range []string{"b/2", "a", "b/1", "b/3/x", "b/3/y", "c", "b0"} {
		put(t, c, key, key)
	}
	if got := keys(t, c, "b/"); !cmp.Equal(got, []string{"b/1", "b/2", "b/3/x", "b/3/y"}) {
		t.Errorf("with the prefix b/ the keys are %q", got)
	}
	pages := sdk.NewListObjectsV2Paginator(c, &sdk.ListObjectsV2Input{Bucket: aws.String("bodies"), Prefix: aws.String("b"), Delimiter: aws.String("/"), MaxKeys: aws.Int32(1)})
	var found []string
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range page.Contents {
			found = append(found, fmt.Sprintf("%s %d %s", *one.Key, *one.Size, *one.ETag))
		}
		for _, one := range page.CommonPrefixes {
			found = append(found, *one.Prefix)
		}
		if len(found) > 3 {
			break
		}
	}
	// The MD5 of "b0".
	if want := []string{"b/", `b0 2 "f851f55ba1a84e37c4e03439954dcb09"`}; !cmp.Equal(found, want) {
		t.Errorf("the pages hold %q, want %q", found, want)
	}
	create(t, store, s3.Bucket{Name: "another"})
	buckets, err := c.ListBuckets(t.Context(), &sdk.ListBucketsInput{})
	if err != nil || len(buckets.Buckets) != 2 || *buckets.Buckets[0].Name != "another" || *buckets.Buckets[1].Name != "bodies" {
		t.Errorf("the buckets are %+v %v", buckets, err)
	}
}

func TestOneOfSeveralWritersOfANewKeyWins(t *testing.T) {
	t.Parallel()
	for name, file := range stores(t) {
		c := client(t, newStore(t, s3.Config{File: file}))
		var wg sync.WaitGroup
		errs := make([]error, 20)
		for i := range errs {
			wg.Go(func() {
				_, errs[i] = c.PutObject(context.Background(), &sdk.PutObjectInput{
					Bucket: aws.String("bodies"), Key: aws.String("k"), Body: strings.NewReader(fmt.Sprint(i)), IfNoneMatch: aws.String("*"),
				})
			})
		}
		wg.Wait()
		var won []string
		for i, err := range errs {
			if err == nil {
				won = append(won, fmt.Sprint(i))
			} else if code(err) != "PreconditionFailed" {
				t.Errorf("%s: writer %d got %v, want PreconditionFailed", name, i, err)
			}
		}
		if len(won) != 1 || content(t, c, "k") != won[0] {
			t.Errorf("%s: the writers %q won, and the content is %q; want that of one", name, won, content(t, c, "k"))
		}
	}
}

func TestOfTwoWritersThatBothFoundAKeyFreeOneWins(t *testing.T) {
	t.Parallel()
	for name, file := range stores(t) {
		// The clock lets two requests go on only at the same time, so that both look at the key before either writes it.
		meet, together := make(chan struct{}), atomic.Bool{}
		c := client(t, newStore(t, s3.Config{File: file, Clock: func() time.Time {
			if together.Load() {
				select {
				case meet <- struct{}{}:
				case <-meet:
				}
			}
			return written
		}}))
		together.Store(true)
		errs := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := c.PutObject(context.Background(), &sdk.PutObjectInput{
					Bucket: aws.String("bodies"), Key: aws.String("k"), Body: strings.NewReader("content"), IfNoneMatch: aws.String("*"),
				})
				errs <- err
			}()
		}
		first, second := <-errs, <-errs
		if (first == nil) == (second == nil) || code(errors.Join(first, second)) != "PreconditionFailed" {
			t.Errorf("%s: the writers got %v and %v, want one PreconditionFailed", name, first, second)
		}
	}
}

func TestAnObjectIsReplacedIfItIsTheOneThatTheWriterKnows(t *testing.T) {
	t.Parallel()
	c := client(t, newStore(t, s3.Config{}))
	put(t, c, "k", "first")
	write := func(etag, content string) error {
		_, err := c.PutObject(t.Context(), &sdk.PutObjectInput{Bucket: aws.String("bodies"), Key: aws.String("k"), Body: strings.NewReader(content), IfMatch: &etag})
		return err
	}
	if err := write(`"00000000000000000000000000000000"`, "second"); code(err) != "PreconditionFailed" {
		t.Errorf("with another ETag: got %v, want PreconditionFailed", err)
	}
	if err := write(`"8b04d5e3775d298e78455efc5ca404d5"`, "third"); err != nil { // the MD5 of "first"
		t.Error(err)
	}
	if got := content(t, c, "k"); got != "third" {
		t.Errorf("the content is %q, want third", got)
	}
}

func TestOtherBucketsAndOtherPeoplesAreRefused(t *testing.T) {
	t.Parallel()
	store := newStore(t, s3.Config{AccountID: "111122223333"})
	for _, c := range []struct{ name, want string }{
		{"bodies", `there are two buckets of the name "bodies"`}, {"Bodies", "is no name of a bucket"}, {"ab", "is no name"}, {"a..b", "is no name"},
		{"127.0.0.1", "is no name"}, {"-ab", "is no name"}, {strings.Repeat("a", 64), "is no name"},
	} {
		if err := store.CreateBucket(s3.Bucket{Name: c.name}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("the bucket %s: got %v, want %s", c.name, err, c.want)
		}
	}
	if err := store.CreateBucket(s3.Bucket{Name: "new", Lifecycle: []s3.Rule{{Days: 1}, {Days: 0}}}); err == nil || !strings.Contains(err.Error(), "lifecycle rule 2") {
		t.Errorf("a rule of no days: got %v", err)
	}
	c := client(t, store)
	for owner, want := range map[string]string{"111122223333": "", "444455556666": "AccessDenied"} {
		_, err := c.PutObject(t.Context(), &sdk.PutObjectInput{Bucket: aws.String("bodies"), Key: aws.String("k"), Body: strings.NewReader("x"), ExpectedBucketOwner: &owner})
		if got := code(err); err != nil && got != want || err == nil && want != "" {
			t.Errorf("a request that expects the owner %s: got %v, want %q", owner, err, want)
		}
	}
}
