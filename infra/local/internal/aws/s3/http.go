package s3

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxKeyLength is how many bytes a key can have.
const maxKeyLength = 1024

// A request is one for an operation, and the way to answer it.
type request struct {
	*http.Request
	w http.ResponseWriter

	bucket, key string // empty if the request is not about one
	query       url.Values
}

// An operation is one of S3's that is supported, with the parameters and the header fields of S3's that it takes. A field
// that ends in a hyphen stands for all that begin so.
type operation struct {
	name               string
	parameters, fields []string
	run                func(*Store, *request) error
}

var (
	listBuckets = &operation{
		name: "ListBuckets", parameters: []string{"prefix", "max-buckets", "continuation-token"}, run: (*Store).listBuckets,
	}
	getBucketLocation = &operation{name: "GetBucketLocation", parameters: []string{"location"}, run: (*Store).getBucketLocation}
	headBucket        = &operation{name: "HeadBucket", run: (*Store).headBucket}
	listObjects       = &operation{
		name:       "ListObjectsV2",
		parameters: []string{"list-type", "prefix", "delimiter", "max-keys", "start-after", "continuation-token", "encoding-type", "fetch-owner"},
		run:        (*Store).listObjects,
	}
	getObject  = &operation{name: "GetObject", fields: []string{"X-Amz-Checksum-Mode"}, run: (*Store).getObject}
	headObject = &operation{name: "HeadObject", fields: []string{"X-Amz-Checksum-Mode"}, run: (*Store).getObject}
	putObject  = &operation{
		name: "PutObject",
		fields: []string{
			"X-Amz-Acl", "X-Amz-Decoded-Content-Length", "X-Amz-Sdk-Checksum-Algorithm", "X-Amz-Storage-Class", "X-Amz-Trailer",
			checksumPrefix, metadataPrefix, sseField, sseKeyField, sseBucketKeyField,
		},
		run: (*Store).putObject,
	}
	deleteObject = &operation{name: "DeleteObject", run: (*Store).deleteObject}
)

// commonFields are the header fields of S3's that every operation takes. What is about signatures is not looked at.
var commonFields = []string{"X-Amz-Content-Sha256", "X-Amz-Date", "X-Amz-Expected-Bucket-Owner", "X-Amz-Security-Token", "X-Amz-User-Agent"}

// ServeHTTP answers requests of the S3 API.
func (s *Store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := newID()
	w.Header().Set("X-Amz-Request-Id", id)
	w.Header().Set("Server", "AmazonS3")
	err := s.answer(w, r)
	if err == nil {
		return
	}
	var own *Error
	if !errors.As(err, &own) {
		own = refusal(CodeInternalError, "%v", err)
	}
	if own.StatusCode() == http.StatusNotModified {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	told := &Error{Code: own.Code, Message: own.Message, Details: append(slices.Clone(own.Details), "RequestId", id)}
	_ = writeXML(w, told.StatusCode(), told) // a caller that is gone needs no answer
}

func (s *Store) answer(w http.ResponseWriter, r *http.Request) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || !utf8.ValidString(r.URL.Path) {
		return refusal(CodeInvalidURI, "Couldn't parse the specified URI.")
	}
	q := &request{Request: r, w: w, query: query}
	q.bucket, q.key = s.address(r)
	if len(q.key) > maxKeyLength {
		return refusal(CodeKeyTooLong, "Your key is too long").with("Size", strconv.Itoa(len(q.key))).with("MaxSizeAllowed", strconv.Itoa(maxKeyLength))
	}
	wanted, err := q.operation()
	if err != nil {
		return err
	}
	for name := range query {
		// x-id is the operation's name, which SDKs add.
		if name != "x-id" && !slices.Contains(wanted.parameters, name) {
			return unsupported("the parameter %s in %s", name, wanted.name)
		}
	}
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Amz-") && !slices.Contains(commonFields, name) && !slices.ContainsFunc(wanted.fields, func(field string) bool {
			return name == field || strings.HasSuffix(field, "-") && strings.HasPrefix(name, field)
		}) {
			return unsupported("the header field %s in %s", strings.ToLower(name), wanted.name)
		}
	}
	if owner := r.Header.Get("X-Amz-Expected-Bucket-Owner"); owner != "" && owner != s.config.AccountID {
		return refusal(CodeAccessDenied, "Access Denied")
	}
	return wanted.run(s, q)
}

// IsVirtualHost says whether a host, with a port or without, is one below [Config.Hosts], and so means a bucket.
func (s *Store) IsVirtualHost(host string) bool { return s.virtualHost(host) != "" }

// virtualHost is the bucket that a host means, or empty.
func (s *Store) virtualHost(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	for _, parent := range s.config.Hosts {
		if bucket, below := strings.CutSuffix(strings.ToLower(host), "."+parent); below {
			return bucket
		}
	}
	return ""
}

// address is the bucket and the key that a request is about.
func (s *Store) address(r *http.Request) (bucket, key string) {
	path := strings.TrimPrefix(r.URL.Path, "/")
	if bucket = s.virtualHost(r.Host); bucket != "" {
		return bucket, path
	}
	bucket, key, _ = strings.Cut(path, "/")
	return bucket, key
}

// operation is what a request asks for. What is not supported is the error.
func (q *request) operation() (*operation, error) {
	subject := "an object"
	switch {
	case q.bucket == "":
		subject = "the service"
		if q.Method == http.MethodGet {
			return listBuckets, nil
		}
	case q.key == "":
		subject = "a bucket"
		switch {
		case q.Method == http.MethodHead:
			return headBucket, nil
		case q.Method == http.MethodGet && q.query.Has("location"):
			return getBucketLocation, nil
		case q.Method == http.MethodGet && q.query.Has("list-type"):
			return listObjects, nil
		}
	default:
		switch q.Method {
		case http.MethodGet:
			return getObject, nil
		case http.MethodHead:
			return headObject, nil
		case http.MethodPut:
			return putObject, nil
		case http.MethodDelete:
			return deleteObject, nil
		}
	}
	parameters := ""
	for name := range q.query {
		if name != "x-id" {
			parameters = " with the parameter " + name
		}
	}
	return nil, unsupported("%s of %s%s", q.Method, subject, parameters)
}

func newID() string {
	var id [8]byte
	_, _ = rand.Read(id[:]) // which never fails
	return strings.ToUpper(hex.EncodeToString(id[:]))
}

func writeXML(w http.ResponseWriter, status int, document any) error {
	text, err := xml.Marshal(document)
	if err != nil {
		return err
	}
	text = append([]byte(xml.Header), text...)
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text) // a caller that is gone needs no answer
	return nil
}
