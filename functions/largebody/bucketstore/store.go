// Package bucketstore keeps large bodies, see package largebody, in a bucket of Amazon S3.
package bucketstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/largebody"
)

const (
	// tryTime is the longest that one try of a read or of a write may take. Within a region the largest body takes a small part of a
	// second; a connection that hangs must not use up the caller's time.
	tryTime = 5 * time.Second

	// tries is how often a call is tried, by the SDK where S3 refuses it, and by the Store where a try takes too long or an object
	// breaks off.
	tries = 3
)

// A Client is what a Store needs of *s3.Client.
type Client interface {
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
	PutObject(context.Context, *s3.PutObjectInput, ...func(*s3.Options)) (*s3.PutObjectOutput, error)
}

// NewClient makes the client of S3. Where S3 has an endpoint of its own, in AWS_ENDPOINT_URL_S3, the bucket stands in the path: its
// host need not have names below it.
func NewClient(config aws.Config) *s3.Client {
	return s3.NewFromConfig(config, func(o *s3.Options) {
		o.UsePathStyle = os.Getenv("AWS_ENDPOINT_URL_S3") != ""
	})
}

// A Store keeps bodies in a bucket. It is safe for concurrent use.
type Store struct {
	client Client
	bucket string
	prefix string
}

// New makes a Store. recordPrefix begins the keys of its objects, see [largebody.Prefix].
func New(client Client, bucket, recordPrefix string) *Store {
	return &Store{client, bucket, recordPrefix}
}

// key is the key of an object, or the error that its name is none, so that there is no such object.
func (s *Store) key(kind largebody.Kind, name string) (*string, error) {
	if !largebody.IsName(name) {
		return nil, fmt.Errorf("bucketstore: %+q is no name of an object, which has 32 hexadecimal digits: %w", name, largebody.ErrNotFound)
	}
	return aws.String(largebody.Prefix(s.prefix, kind) + name), nil
}

// Put writes an object. It may be written again, with the same body. How it is encrypted is up to the bucket.
func (s *Store) Put(ctx context.Context, kind largebody.Kind, name string, body []byte) error {
	key, err := s.key(kind, name)
	if err != nil {
		return err
	}
	err = try(ctx, func(ctx context.Context) error {
		_, err := s.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &s.bucket, Key: key, Body: bytes.NewReader(body)})
		return err
	})
	if err != nil {
		return fmt.Errorf("bucketstore: writing %s: %w", kind, err)
	}
	return nil
}

// Get reads an object. The error is [largebody.ErrNotFound] if it is not there. S3 says that to nobody who may not list the
// bucket, as the functions may not: they are denied access, as they are to an object that is there and that they may not read.
func (s *Store) Get(ctx context.Context, kind largebody.Kind, name string) ([]byte, error) {
	key, err := s.key(kind, name)
	if err != nil {
		return nil, err
	}
	var body []byte
	err = try(ctx, func(ctx context.Context) error {
		out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: key})
		if err != nil {
			return err
		}
		defer out.Body.Close()
		body, err = io.ReadAll(http.MaxBytesReader(nil, out.Body, largebody.MaxBytes))
		if err != nil && !errors.As(err, new(*http.MaxBytesError)) {
			return &brokenOffError{err}
		}
		return err
	})
	var answered *smithyhttp.ResponseError
	switch {
	case errors.As(err, &answered) && (answered.HTTPStatusCode() == http.StatusNotFound || answered.HTTPStatusCode() == http.StatusForbidden):
		return nil, fmt.Errorf("bucketstore: reading %s: %w: %w", kind, largebody.ErrNotFound, err)
	case err != nil:
		return nil, fmt.Errorf("bucketstore: reading %s: %w", kind, err)
	}
	return body, nil
}

// A brokenOffError is the error of an object that does not come to its end, or not as it was written. The SDK repeats a call
// only as long as nothing of the object has come.
type brokenOffError struct{ error }

func (e *brokenOffError) Unwrap() error { return e.error }

// try calls f until it succeeds, or fails in a way that another try would not cure, or there were enough tries.
func try(ctx context.Context, f func(context.Context) error) error {
	for n := 1; ; n++ {
		limited, cancel := context.WithTimeout(ctx, tryTime)
		err := f(limited)
		late := limited.Err() != nil
		cancel()
		if err == nil || n == tries || ctx.Err() != nil || !late && !errors.As(err, new(*brokenOffError)) {
			return err
		}
	}
}
