package s3_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/s3"
)

// A breaking transport changes "right" to "wrong" in what the SDK sends, after it has made its digests.
type breaking struct{ without string }

func (b breaking) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Del(b.without)
	r.Body = io.NopCloser(bytes.NewReader(bytes.Replace(body, []byte("right"), []byte("wrong"), 1)))
	return http.DefaultTransport.RoundTrip(r)
}

func TestContentThatBrokeOnItsWayIsRefusedAndTheOldOneStays(t *testing.T) {
	t.Parallel()
	url := serve(t, newStore(t, s3.Config{}))
	put(t, clientOf(url), "k", "old")
	for without, want := range map[string]string{"X-Amz-Checksum-Crc32": "XAmzContentSHA256Mismatch", "X-Amz-Content-Sha256": "BadDigest"} {
		broken := clientOf(url, func(o *sdk.Options) { o.HTTPClient = &http.Client{Transport: breaking{without}} })
		_, err := broken.PutObject(t.Context(), &sdk.PutObjectInput{Bucket: aws.String("bodies"), Key: aws.String("k"), Body: strings.NewReader("right")})
		if code(err) != want {
			t.Errorf("without %s: got %v, want %s", without, err, want)
		}
	}
	for digest, want := range map[string]string{"1B2M2Y8AsgTpgAmY7PhCfg==": "BadDigest", "short": "InvalidDigest"} { // that of no bytes
		if status, body := send(t, "PUT", url+"/bodies/k", "right", "Content-MD5", digest); status != 400 || !strings.Contains(body, "<Code>"+want+"</Code>") {
			t.Errorf("with the Content-MD5 %s: got %d %s, want %s", digest, status, body, want)
		}
	}
	if got := content(t, clientOf(url), "k"); got != "old" {
		t.Errorf("the content is %q, want old", got)
	}
}

func TestEveryChecksumOfTheSDKIsVerifiedAndGivenBack(t *testing.T) {
	t.Parallel()
	c := client(t, newStore(t, s3.Config{}))
	for _, algorithm := range []types.ChecksumAlgorithm{
		types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmCrc32c, types.ChecksumAlgorithmCrc64nvme, types.ChecksumAlgorithmSha1, types.ChecksumAlgorithmSha256,
	} {
		key := string(algorithm)
		if _, err := c.PutObject(t.Context(), &sdk.PutObjectInput{Bucket: aws.String("bodies"), Key: &key, Body: strings.NewReader("content"), ChecksumAlgorithm: algorithm}); err != nil {
			t.Errorf("%s: %v", algorithm, err)
			continue
		}
		got, err := c.GetObject(t.Context(), &sdk.GetObjectInput{Bucket: aws.String("bodies"), Key: &key, ChecksumMode: types.ChecksumModeEnabled})
		if err != nil {
			t.Fatal(err)
		}
		given := map[types.ChecksumAlgorithm]*string{
			types.ChecksumAlgorithmCrc32: got.ChecksumCRC32, types.ChecksumAlgorithmCrc32c: got.ChecksumCRC32C, types.ChecksumAlgorithmCrc64nvme: got.ChecksumCRC64NVME,
			types.ChecksumAlgorithmSha1: got.ChecksumSHA1, types.ChecksumAlgorithmSha256: got.ChecksumSHA256,
		}[algorithm]
		if _, err := io.ReadAll(got.Body); err != nil || aws.ToString(given) == "" {
			t.Errorf("%s: the answer has the checksum %q: %v", algorithm, aws.ToString(given), err)
		}
	}
}

// send sends a request without an SDK.
func send(t testing.TB, method, url, body string, fields ...string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		request.Header.Set(fields[i], fields[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func TestABodyInChunksIsDecodedAndItsTrailerVerified(t *testing.T) {
	t.Parallel()
	url := serve(t, newStore(t, s3.Config{}))
	for _, c := range []struct {
		name, hash, size, trailer, body string
		status                          int
		want                            string // the code, or what is stored
	}{
		{"a right one", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "11", "x-amz-checksum-crc32",
			"6\r\nhello \r\n5\r\nworld\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n", 200, "hello world"},
		{"signed chunks", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "5", "",
			"5;chunk-signature=ab\r\nhello\r\n0;chunk-signature=cd\r\n\r\n", 200, "hello"},
		{"a wrong checksum", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "5", "x-amz-checksum-crc32",
			"5\r\nhellO\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", 400, "BadDigest"},
		{"no checksum where one is promised", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "5", "x-amz-checksum-crc32",
			"5\r\nhello\r\n0\r\n\r\n", 400, "MalformedTrailerError"},
		{"a trailer that is not promised", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "5", "",
			"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", 400, "MalformedTrailerError"},
		{"a cut chunk", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "5", "x-amz-checksum-crc32", "5\r\nhel", 400, "IncompleteBody"},
		{"a missing chunk", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "11", "x-amz-checksum-crc32",
			"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", 400, "IncompleteBody"},
		{"too long a chunk", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "4", "x-amz-checksum-crc32",
			"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", 400, "IncompleteBody"},
		{"no chunks", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "5", "x-amz-checksum-crc32", "hello\r\n", 400, "InvalidRequest"},
		{"a chunk of a negative length", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "5", "x-amz-checksum-crc32", "-5\r\nhello\r\n", 400, "InvalidRequest"},
		{"no length", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "", "x-amz-checksum-crc32", "5\r\nhello\r\n", 411, "MissingContentLength"},
		{"too much", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "134217729", "x-amz-checksum-crc32", "5\r\nhello\r\n", 400, "EntityTooLarge"},
	} {
		send(t, "PUT", url+"/bodies/k", "old")
		fields := []string{"X-Amz-Content-Sha256", c.hash, "Content-Encoding", "aws-chunked"}
		if c.size != "" {
			fields = append(fields, "X-Amz-Decoded-Content-Length", c.size)
		}
		if c.trailer != "" {
			fields = append(fields, "X-Amz-Trailer", c.trailer)
		}
		status, body := send(t, "PUT", url+"/bodies/k", c.body, fields...)
		if status != c.status || status != 200 && !strings.Contains(body, "<Code>"+c.want+"</Code>") {
			t.Errorf("%s: got %d %s, want %d %s", c.name, status, body, c.status, c.want)
		}
		want := "old"
		if c.status == 200 {
			want = c.want
		}
		if _, got := send(t, "GET", url+"/bodies/k", ""); got != want {
			t.Errorf("%s: afterwards the object is %q, want %q", c.name, got, want)
		}
	}
}

func TestAnUploadThatIsCutOffLeavesTheOldObject(t *testing.T) {
	t.Parallel()
	url := serve(t, newStore(t, s3.Config{}))
	c := clientOf(url)
	put(t, c, "k", "old")
	connection, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if err := connection.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(connection, "PUT /bodies/k HTTP/1.1\r\nHost: s3\r\nContent-Length: 1000\r\n\r\n%s", strings.Repeat("n", 999))
	if err := connection.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(connection) // ends when the request is done with
	if !strings.Contains(string(answer), "<Code>IncompleteBody</Code>") {
		t.Errorf("the answer is %s, want IncompleteBody", answer)
	}
	if got := content(t, c, "k"); got != "old" {
		t.Errorf("the object is %.10q, want old", got)
	}
}

func TestWhatIsNotSupportedIsRefusedByNameAndChangesNothing(t *testing.T) {
	t.Parallel()
	url := serve(t, newStore(t, s3.Config{}))
	c := clientOf(url)
	put(t, c, "k", "old")
	ctx, bucket, key := t.Context(), aws.String("bodies"), aws.String("k")
	for want, call := range map[string]func() error{
		"PUT /new; it supports ListBuckets": func() error {
			_, err := c.CreateBucket(ctx, &sdk.CreateBucketInput{Bucket: aws.String("new")})
			return err
		},
		"DELETE /bodies; it supports": func() error {
			_, err := c.DeleteBucket(ctx, &sdk.DeleteBucketInput{Bucket: bucket})
			return err
		},
		"POST /bodies?delete=; it supports": func() error {
			_, err := c.DeleteObjects(ctx, &sdk.DeleteObjectsInput{Bucket: bucket, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: key}}}})
			return err
		},
		"POST /bodies/k?uploads=": func() error {
			_, err := c.CreateMultipartUpload(ctx, &sdk.CreateMultipartUploadInput{Bucket: bucket, Key: key})
			return err
		},
		"the parameter uploadId in PutObject|the parameter partNumber in PutObject": func() error {
			_, err := c.UploadPart(ctx, &sdk.UploadPartInput{Bucket: bucket, Key: key, UploadId: aws.String("1"), PartNumber: aws.Int32(1), Body: strings.NewReader("x")})
			return err
		},
		"the parameter tagging in PutObject": func() error {
			_, err := c.PutObjectTagging(ctx, &sdk.PutObjectTaggingInput{Bucket: bucket, Key: key, Tagging: &types.Tagging{TagSet: []types.Tag{}}})
			return err
		},
		"the header field x-amz-tagging in PutObject": func() error {
			_, err := c.PutObject(ctx, &sdk.PutObjectInput{Bucket: bucket, Key: key, Tagging: aws.String("a=b"), Body: strings.NewReader("x")})
			return err
		},
		"the header field x-amz-storage-class in PutObject": func() error {
			_, err := c.PutObject(ctx, &sdk.PutObjectInput{Bucket: bucket, Key: key, StorageClass: types.StorageClassGlacier, Body: strings.NewReader("x")})
			return err
		},
		"the header field x-amz-copy-source in PutObject": func() error {
			_, err := c.CopyObject(ctx, &sdk.CopyObjectInput{Bucket: bucket, Key: key, CopySource: aws.String("bodies/k")})
			return err
		},
		`the If-None-Match "1" in PutObject; S3 takes * there`: func() error {
			_, err := c.PutObject(ctx, &sdk.PutObjectInput{Bucket: bucket, Key: key, IfNoneMatch: aws.String(`"1"`), Body: strings.NewReader("x")})
			return err
		},
		"Server Side Encryption with KMS managed keys is not supported": func() error {
			_, err := c.PutObject(ctx, &sdk.PutObjectInput{Bucket: bucket, Key: key, ServerSideEncryption: types.ServerSideEncryptionAwsKms, Body: strings.NewReader("x")})
			return err
		},
		"the parameter versionId in GetObject": func() error {
			_, err := c.GetObject(ctx, &sdk.GetObjectInput{Bucket: bucket, Key: key, VersionId: aws.String("1")})
			return err
		},
		"GET /bodies?lifecycle=; it supports": func() error {
			_, err := c.GetBucketLifecycleConfiguration(ctx, &sdk.GetBucketLifecycleConfigurationInput{Bucket: bucket})
			return err
		},
	} {
		err, found := call(), false
		for one := range strings.SplitSeq(want, "|") {
			found = found || strings.Contains(fmt.Sprint(err), one)
		}
		if code(err) != "NotImplemented" || !found {
			t.Errorf("got %v, want NotImplemented with %s", err, want)
		}
	}
	if got := content(t, c, "k"); got != "old" {
		t.Errorf("the object is %q, want old", got)
	}
	if status, body := send(t, "GET", url+"/bodies/k?X-Amz-Signature=1", ""); status != 501 || !strings.Contains(body, "the parameter X-Amz-Signature in GetObject") {
		t.Errorf("a presigned URL: got %d %s", status, body)
	}
}
