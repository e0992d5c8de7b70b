package s3

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// An operation is one of S3's that is supported, with the parameters that it takes.
type operation struct {
	name       string
	parameters []string
}

var (
	listBuckets       = operation{"ListBuckets", []string{"prefix", "max-buckets", "continuation-token"}}
	getBucketLocation = operation{"GetBucketLocation", []string{"location"}}
	headBucket        = operation{"HeadBucket", nil}
	listObjects       = operation{"ListObjectsV2", []string{
		"list-type", "prefix", "delimiter", "max-keys", "start-after", "continuation-token", "encoding-type", "fetch-owner",
	}}
	getObject    = operation{"GetObject", nil}
	headObject   = operation{"HeadObject", nil}
	putObject    = operation{"PutObject", nil}
	deleteObject = operation{"DeleteObject", nil}
)

// fields are the header fields of S3's that mean something here, or that are about signatures, at which nothing looks. One
// that ends in a hyphen stands for all that begin so.
var fields = []string{
	"X-Amz-Checksum-", "X-Amz-Content-Sha256", "X-Amz-Date", "X-Amz-Decoded-Content-Length", "X-Amz-Expected-Bucket-Owner",
	"X-Amz-Meta-", "X-Amz-Sdk-Checksum-Algorithm", "X-Amz-Security-Token", "X-Amz-Server-Side-Encryption",
	"X-Amz-Server-Side-Encryption-", "X-Amz-Trailer", "X-Amz-User-Agent",
}

// ServeHTTP answers requests of the S3 API, with the bucket at the beginning of the path.
func (s *Store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	wanted, err := operationOf(r)
	if err == nil {
		err = s.check(r, wanted)
	}
	if err == nil && wanted.name == putObject.name {
		err = unwrap(r)
	}
	if err != nil {
		err.write(w, r)
		return
	}
	s.api.ServeHTTP(w, r)
}

// operationOf is what a request asks for.
func operationOf(r *http.Request) (operation, *refusal) {
	bucket, key, _ := strings.Cut(strings.TrimLeft(r.URL.Path, "/"), "/")
	query := r.URL.Query()
	switch about := r.Method; {
	case bucket == "" && about == http.MethodGet:
		return listBuckets, nil
	case bucket == "":
	case key == "" && about == http.MethodHead:
		return headBucket, nil
	case key == "" && about == http.MethodGet && query.Has("location"):
		return getBucketLocation, nil
	case key == "" && about == http.MethodGet && query.Get("list-type") == "2":
		return listObjects, nil
	case key == "":
	case about == http.MethodGet:
		return getObject, nil
	case about == http.MethodHead:
		return headObject, nil
	case about == http.MethodPut:
		return putObject, nil
	case about == http.MethodDelete:
		return deleteObject, nil
	}
	return operation{}, unsupported("%s %s; it supports ListBuckets, HeadBucket, GetBucketLocation, ListObjectsV2, GetObject, "+
		"HeadObject, PutObject and DeleteObject", r.Method, r.URL.RequestURI())
}

// check refuses what S3 has and would be ignored here.
func (s *Store) check(r *http.Request, wanted operation) *refusal {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return badRequest("InvalidURI", "Couldn't parse the specified URI.")
	}
	for name := range query {
		// x-id is the operation's name, which SDKs add.
		if name != "x-id" && !slices.Contains(wanted.parameters, name) {
			return unsupported("the parameter %s in %s", name, wanted.name)
		}
	}
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Amz-") && !slices.ContainsFunc(fields, func(field string) bool {
			return name == field || strings.HasSuffix(field, "-") && strings.HasPrefix(name, field)
		}) {
			return unsupported("the header field %s in %s", strings.ToLower(name), wanted.name)
		}
	}
	if absent := r.Header.Get("If-None-Match"); wanted.name == putObject.name && absent != "" && absent != "*" {
		return unsupported("the If-None-Match %s in PutObject; S3 takes * there", absent)
	}
	if owner := r.Header.Get("X-Amz-Expected-Bucket-Owner"); owner != "" && owner != s.config.AccountID {
		return &refusal{"AccessDenied", "Access Denied", http.StatusForbidden}
	}
	return nil
}

// A refusal is an error as S3 words it.
type refusal struct {
	code, message string
	status        int
}

func badRequest(code, message string) *refusal { return &refusal{code, message, http.StatusBadRequest} }

// unsupported refuses what S3 has and this package has not.
func unsupported(format string, arguments ...any) *refusal {
	return &refusal{"NotImplemented", "The local S3 does not support " + fmt.Sprintf(format, arguments...), http.StatusNotImplemented}
}

// write answers with the error.
func (e *refusal) write(w http.ResponseWriter, r *http.Request) {
	WriteError(w, r.Method, e.status, e.code, e.message)
}

// WriteError answers with an error in the form of the S3 API. The answer to a HEAD has no body.
func WriteError(w http.ResponseWriter, method string, status int, code, message string) {
	text, err := xml.Marshal(struct {
		XMLName       xml.Name `xml:"Error"`
		Code, Message string
	}{Code: code, Message: message})
	if err != nil {
		panic(err) // strings can be written as XML
	}
	text = append([]byte(xml.Header), text...)
	header := w.Header()
	header.Set("Content-Type", "application/xml")
	header.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	if method != http.MethodHead {
		_, _ = w.Write(text) // a caller that is gone needs no answer
	}
}
