package stack_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/faults"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// objectKeeper is testdata/objectkeeper, a handler that keeps objects in a bucket.
var objectKeeper = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(directory, "objectkeeper")
	if output, err := exec.Command("go", "build", "-tags=lambda.norpc", "-o", binary, "./testdata/objectkeeper").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./testdata/objectkeeper: %w\n%s", err, output)
	}
	return binary, nil
})

// startBucket runs the stack of testdata/bucket: a bucket, and a function that keeps objects in it.
func startBucket(t testing.TB, settings ...setting) *stack.Stack {
	t.Helper()
	binary, err := objectKeeper()
	if err != nil {
		t.Fatal(err)
	}
	c := config{Config: stack.Config{Listener: listen(t), Binaries: map[string]string{"shop-keeper": binary}}}
	for _, set := range settings {
		set(t, &c)
	}
	if c.Template, err = stack.Load("testdata/bucket", c.Listener); err != nil {
		c.Listener.Close()
		t.Fatal(err)
	}
	s, err := stack.Start(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// bucketOf is the AWS SDK's client for the buckets of a stack, which sends a call at most so many times, without waiting.
func bucketOf(s *stack.Stack, attempts int) *s3.Client {
	return s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(s.Endpoint()), UsePathStyle: true,
		Credentials:                credentials.NewStaticCredentialsProvider("local", "local", ""),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported, ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts, o.MaxBackoff = attempts, time.Nanosecond
		}),
	})
}

func putObject(t testing.TB, c *s3.Client, key string, content []byte) error {
	t.Helper()
	_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("shop-bodies"), Key: &key, Body: bytes.NewReader(content)})
	return err
}

func objectIn(t testing.TB, c *s3.Client, key string) ([]byte, error) {
	t.Helper()
	got, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("shop-bodies"), Key: &key})
	if err != nil {
		return nil, err
	}
	defer got.Body.Close()
	return io.ReadAll(got.Body)
}

// kept invokes the function that keeps objects.
func kept(t testing.TB, s *stack.Stack, key, content string) string {
	t.Helper()
	event, err := json.Marshal(map[string]string{"Key": key, "Content": content})
	if err != nil {
		t.Fatal(err)
	}
	result, err := s.Lambda.Invoke(t.Context(), "shop-keeper", event)
	if err != nil {
		t.Fatal(err)
	}
	return string(result.Payload)
}

func TestAFunctionAndAProgramShareABucket(t *testing.T) {
	t.Parallel()
	s := startBucket(t)
	if got := kept(t, s, "absent", ""); !strings.Contains(got, "NoSuchKey") {
		t.Errorf("for an unknown key the function answers %s, want NoSuchKey", got)
	}
	if got := kept(t, s, "answers/1", "first"); got != `"first"` {
		t.Errorf("the function answers %s, want first", got)
	}
	c := bucketOf(s, 1)
	if got, err := objectIn(t, c, "answers/1"); string(got) != "first" || err != nil {
		t.Errorf("the program reads %s %v, want first", got, err)
	}
	large := bytes.Repeat([]byte("0123456789abcdef"), 6<<16) // 6 MiB
	if err := putObject(t, c, "answers/2", large); err != nil {
		t.Fatal(err)
	}
	if got, err := objectIn(t, c, "answers/2"); !bytes.Equal(got, large) || err != nil {
		t.Errorf("the program reads %d bytes, %v, want the %d that it wrote", len(got), err, len(large))
	}
	_, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("shop-bodies"), Key: aws.String("absent")})
	if absent := (*types.NotFound)(nil); !errors.As(err, &absent) {
		t.Errorf("HEAD of an unknown key: got %v, want NotFound", err)
	}
}

func TestABucketMayBeNamedInTheHost(t *testing.T) {
	t.Parallel()
	s := startBucket(t)
	proxy, err := url.Parse(s.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	// As the functions reach it, without UsePathStyle.
	c := s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String("http://s3.aws.local"), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
		HTTPClient:  &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy)}},
	})
	if err := putObject(t, c, "a b/ü%2F", []byte("content")); err != nil {
		t.Fatal(err)
	}
	if got, err := objectIn(t, bucketOf(s, 1), "a b/ü%2F"); string(got) != "content" || err != nil {
		t.Errorf("with the bucket in the path the object is %s %v, want content", got, err)
	}
}

func TestUnsignedRequestsForABucketAreToldThatTheyNeedASignature(t *testing.T) {
	t.Parallel()
	s := startBucket(t)
	response, err := caller.Get(s.Endpoint() + "/shop-bodies/k")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusNotImplemented || !strings.Contains(string(body), "S3 is asked by signed requests") {
		t.Errorf("the answer is %d %s, want 501 and how to ask S3", response.StatusCode, body)
	}
}

func TestObjectsOutliveTheStackInTheDataFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "data.db")
	inFile := func(_ testing.TB, c *config) { c.DataFile = file }
	s := startBucket(t, inFile)
	if err := putObject(t, bucketOf(s, 1), "requests/1", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if got, err := objectIn(t, bucketOf(startBucket(t, inFile), 1), "requests/1"); string(got) != "kept" || err != nil {
		t.Errorf("after a restart the object is %s %v, want kept", got, err)
	}
}

func TestWhereS3ThrottlesTheSDKSaysSoAndNothingIsWritten(t *testing.T) {
	t.Parallel()
	s := startBucket(t, failing(faults.Settings{Throttle: 1}))
	err := putObject(t, bucketOf(s, 2), "k", []byte("content"))
	var refused smithy.APIError
	if !errors.As(err, &refused) || refused.ErrorCode() != "SlowDown" {
		t.Errorf("the error is %v, want SlowDown", err)
	}
	if got := kept(t, s, "k", "content"); !strings.Contains(got, "SlowDown") {
		t.Errorf("the function answers %s, want SlowDown", got)
	}
	if n := len(objectsOf(t, s)); n != 0 {
		t.Errorf("%d objects were written", n)
	}
}

func TestAnObjectIsWrittenWhereTheReplyIsLost(t *testing.T) {
	t.Parallel()
	s := startBucket(t, failing(faults.Settings{Lost: 1}))
	err := putObject(t, bucketOf(s, 1), "k", []byte("content"))
	var refused smithy.APIError
	if err == nil || errors.As(err, &refused) {
		t.Errorf("the error is %v, want one of the connection", err)
	}
	if got := objectsOf(t, s); len(got) != 1 || got[0] != "k" {
		t.Errorf("the objects are %q, want k", got)
	}
}

func TestTheSDKGetsThroughFaultsByRepeating(t *testing.T) {
	t.Parallel()
	s := startBucket(t, failing(faults.Settings{Throttle: 0.1, Failed: 0.1, Lost: 0.1, Cut: 0.1, Seed: 7}))
	c := bucketOf(s, 10)
	for i := range 20 {
		key, content := fmt.Sprint(i), bytes.Repeat([]byte{byte(i)}, 1000)
		if err := putObject(t, c, key, content); err != nil {
			t.Errorf("object %d: %v", i, err)
			continue
		}
		// The SDK does not repeat a call for a body that breaks off.
		got, err := objectIn(t, c, key)
		for ; errors.Is(err, io.ErrUnexpectedEOF); got, err = objectIn(t, c, key) {
		}
		if !bytes.Equal(got, content) || err != nil {
			t.Errorf("object %d: read %d bytes, %v", i, len(got), err)
		}
	}
}

// objectsOf are the keys of the objects that a stack has, asked for without faults.
func objectsOf(t testing.TB, s *stack.Stack) []string {
	t.Helper()
	c := s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(serve(t, s.S3.ServeHTTP)), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
	listed, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("shop-bodies")})
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, one := range listed.Contents {
		keys = append(keys, *one.Key)
	}
	return keys
}
