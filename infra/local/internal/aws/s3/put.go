package s3

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"strings"
)

const (
	// MaxObjectSize is how many bytes an object can have. S3 takes 5 GB at once; here an object is in memory while it is
	// written and read.
	MaxObjectSize = 128 << 20

	// maxMetadataSize is how many bytes names and values of metadata can have.
	maxMetadataSize = 2 << 10

	metadataPrefix = "X-Amz-Meta-"
)

// keptFields are the header fields of PutObject that GetObject gives back.
var keptFields = []string{"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "Expires"}

func (s *Store) putObject(q *request) error {
	b, err := s.bucket(q.bucket)
	if err != nil {
		return err
	}
	if err := checkPut(q.Header); err != nil {
		return err
	}
	wanted, err := writeConditionsIn(q.Header)
	if err != nil {
		return err
	}
	added := &object{}
	if added.Encryption, err = b.encryptionOf(q.Header); err != nil {
		return err
	}
	if added.Header, err = kept(q.Header); err != nil {
		return err
	}
	content, trailer, err := readBody(q.Request)
	if err != nil {
		return err
	}
	if added.Checksum, err = checksumIn(q.Header, trailer); err != nil {
		return err
	}
	if added.Checksum == nil {
		added.Checksum = checksumOf(whatS3Adds, content)
	} else if err := added.Checksum.verify(content); err != nil {
		return err
	}
	sum := md5.Sum(content)
	if err := checkMD5(q.Header, sum[:]); err != nil {
		return err
	}
	now := s.config.Clock()
	added.Size, added.ETag, added.Modified = int64(len(content)), hex.EncodeToString(sum[:]), now.UTC()
	if err := b.put(q.key, added, content, wanted, now); err != nil {
		return err
	}
	header := q.w.Header()
	header.Set("ETag", `"`+added.ETag+`"`)
	header.Set("Content-Length", "0")
	added.Checksum.tell(header)
	added.Encryption.tell(header)
	b.tellExpiry(header, q.key, added)
	q.w.WriteHeader(http.StatusOK)
	return nil
}

// checkPut refuses what this package does not know in fields that S3 has.
func checkPut(header http.Header) error {
	if class := header.Get("X-Amz-Storage-Class"); class != "" && class != "STANDARD" {
		return unsupported("the storage class %s", class)
	}
	if acl := header.Get("X-Amz-Acl"); acl != "" && acl != "bucket-owner-full-control" {
		return refusal(CodeACLNotSupported, "The bucket does not allow ACLs")
	}
	return nil
}

// kept are the header fields that are given back.
func kept(header http.Header) (map[string]string, error) {
	fields, size := map[string]string{"Content-Type": "binary/octet-stream"}, 0
	for _, name := range keptFields {
		if value := strings.Join(header.Values(name), ","); value != "" {
			fields[name] = value
		}
	}
	if encoding := withoutChunked(fields["Content-Encoding"]); encoding != "" {
		fields["Content-Encoding"] = encoding
	} else {
		delete(fields, "Content-Encoding")
	}
	for name, values := range header {
		if of, isMetadata := strings.CutPrefix(name, metadataPrefix); isMetadata {
			fields[name] = strings.Join(values, ",")
			size += len(of) + len(fields[name])
		}
	}
	if size > maxMetadataSize {
		return nil, refusal(CodeMetadataTooLarge, "Your metadata headers exceed the maximum allowed metadata size").
			with("Size", strconv.Itoa(size)).with("MaxSizeAllowed", strconv.Itoa(maxMetadataSize))
	}
	return fields, nil
}

// withoutChunked is a Content-Encoding less aws-chunked, which is about the request and not the object.
func withoutChunked(encoding string) string {
	var left []string
	for one := range strings.SplitSeq(encoding, ",") {
		if one = strings.TrimSpace(one); one != "" && one != "aws-chunked" {
			left = append(left, one)
		}
	}
	return strings.Join(left, ",")
}

// readBody reads the content of an object, and the trailers behind it, if there are any. It verifies the content against
// X-Amz-Content-Sha256.
func readBody(r *http.Request) (content []byte, trailer http.Header, err error) {
	hash := r.Header.Get("X-Amz-Content-Sha256")
	switch hash {
	case "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER":
		size, err := strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64)
		if err != nil || size < 0 {
			return nil, nil, refusal(CodeMissingContentLength, "You must provide the Content-Length HTTP header.")
		}
		if err := checkSize(size); err != nil {
			return nil, nil, err
		}
		return readChunked(r.Body, size, trailersIn(r.Header))
	}
	if strings.HasPrefix(hash, "STREAMING-") {
		return nil, nil, unsupported("the x-amz-content-sha256 %s", hash)
	}
	if strings.Contains(r.Header.Get("Content-Encoding"), "aws-chunked") {
		return nil, nil, refusal(CodeInvalidRequest, "The Content-Encoding is aws-chunked, and x-amz-content-sha256 is not STREAMING-…, which goes with it")
	}
	if r.ContentLength < 0 {
		return nil, nil, refusal(CodeMissingContentLength, "You must provide the Content-Length HTTP header.")
	}
	if err := checkSize(r.ContentLength); err != nil {
		return nil, nil, err
	}
	var buffer bytes.Buffer
	buffer.Grow(int(min(r.ContentLength, firstRead)) + bytes.MinRead)
	if n, err := io.Copy(&buffer, r.Body); err != nil || n != r.ContentLength {
		return nil, nil, errIncompleteBody
	}
	return buffer.Bytes(), nil, checkSHA256(hash, buffer.Bytes())
}

// trailersIn are the names of the trailers that a request says it has.
func trailersIn(header http.Header) []string {
	var names []string
	for _, list := range header.Values("X-Amz-Trailer") {
		for name := range strings.SplitSeq(list, ",") {
			if name = http.CanonicalHeaderKey(strings.TrimSpace(name)); name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

func checkSize(size int64) error {
	if size > MaxObjectSize {
		return refusal(CodeEntityTooLarge, "Your proposed upload exceeds the maximum allowed size").
			with("ProposedSize", strconv.FormatInt(size, 10)).with("MaxSizeAllowed", strconv.Itoa(MaxObjectSize))
	}
	return nil
}

func checkSHA256(told string, content []byte) error {
	if told == "" || told == "UNSIGNED-PAYLOAD" {
		return nil
	}
	sum := sha256.Sum256(content)
	if decoded, err := hex.DecodeString(told); err != nil || len(decoded) != len(sum) {
		return refusal(CodeInvalidArgument, "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "+
			"STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.")
	} else if !bytes.Equal(decoded, sum[:]) {
		return refusal(CodeContentSHA256, "The provided 'x-amz-content-sha256' header does not match what was computed.").
			with("ClientComputedContentSHA256", told).with("S3ComputedContentSHA256", hex.EncodeToString(sum[:]))
	}
	return nil
}

func checkMD5(header http.Header, sum []byte) error {
	told := header.Get("Content-Md5")
	if told == "" {
		return nil
	}
	decoded, err := base64.StdEncoding.DecodeString(told)
	if err != nil || len(decoded) != len(sum) {
		return refusal(CodeInvalidDigest, "The Content-MD5 you specified was invalid.").with("Content-MD5", told)
	}
	if !bytes.Equal(decoded, sum) {
		return refusal(CodeBadDigest, "The Content-MD5 you specified did not match what we received.").
			with("ExpectedDigest", told).with("CalculatedDigest", base64.StdEncoding.EncodeToString(sum))
	}
	return nil
}

func (s *Store) deleteObject(q *request) error {
	b, err := s.bucket(q.bucket)
	if err != nil {
		return err
	}
	if q.Header.Get("If-Match") != "" {
		return unsupported("the header field if-match in DeleteObject")
	}
	if err := b.remove(q.key); err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}
