package s3

import (
	"cmp"
	"encoding/base64"
	"encoding/xml"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// namespace is that of the answers in XML.
	namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

	// xmlTime is the form of times in them.
	xmlTime = "2006-01-02T15:04:05.000Z"

	maxKeys    = 1000
	maxBuckets = 10000
)

type listBucketsOutput struct {
	XMLName           xml.Name        `xml:"ListAllMyBucketsResult"`
	Namespace         string          `xml:"xmlns,attr"`
	Owner             string          `xml:"Owner>ID"`
	Buckets           []createdBucket `xml:"Buckets>Bucket"`
	ContinuationToken string          `xml:",omitempty"`
	Prefix            string          `xml:",omitempty"`
}

type createdBucket struct{ Name, CreationDate, BucketRegion string }

func (s *Store) listBuckets(q *request) error {
	limit, err := numberIn(q.query, "max-buckets", maxBuckets)
	if err != nil {
		return err
	}
	after, err := tokenIn(q.query)
	if err != nil {
		return err
	}
	out := listBucketsOutput{Namespace: namespace, Owner: s.config.AccountID, Prefix: q.query.Get("prefix")}
	for _, name := range s.BucketNames() {
		if !strings.HasPrefix(name, out.Prefix) || name <= after {
			continue
		}
		if len(out.Buckets) == limit {
			if limit > 0 {
				out.ContinuationToken = token(out.Buckets[limit-1].Name)
			}
			break
		}
		b, err := s.bucket(name)
		if err != nil {
			return err
		}
		out.Buckets = append(out.Buckets, createdBucket{name, b.created.UTC().Format(xmlTime), s.config.Region})
	}
	return writeXML(q.w, http.StatusOK, out)
}

type locationOutput struct {
	XMLName   xml.Name `xml:"LocationConstraint"`
	Namespace string   `xml:"xmlns,attr"`
	Region    string   `xml:",chardata"`
}

func (s *Store) getBucketLocation(q *request) error {
	if _, err := s.bucket(q.bucket); err != nil {
		return err
	}
	out := locationOutput{Namespace: namespace, Region: s.config.Region}
	if out.Region == "us-east-1" {
		out.Region = "" // S3 does not say it
	}
	return writeXML(q.w, http.StatusOK, out)
}

func (s *Store) headBucket(q *request) error {
	if _, err := s.bucket(q.bucket); err != nil {
		return err
	}
	q.w.Header().Set("X-Amz-Bucket-Region", s.config.Region)
	q.w.WriteHeader(http.StatusOK)
	return nil
}

type listObjectsOutput struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	Namespace             string   `xml:"xmlns,attr"`
	Name                  string
	Prefix                string
	StartAfter            string `xml:",omitempty"`
	ContinuationToken     string `xml:",omitempty"`
	NextContinuationToken string `xml:",omitempty"`
	KeyCount, MaxKeys     int
	Delimiter             string `xml:",omitempty"`
	EncodingType          string `xml:",omitempty"`
	IsTruncated           bool
	Contents              []listedObject
	CommonPrefixes        []commonPrefix
}

type listedObject struct {
	Key, LastModified, ETag         string
	ChecksumAlgorithm, ChecksumType string
	Size                            int64
	StorageClass                    string
}

type commonPrefix struct{ Prefix string }

func (s *Store) listObjects(q *request) error {
	b, err := s.bucket(q.bucket)
	if err != nil {
		return err
	}
	encoding := q.query.Get("encoding-type")
	switch {
	case q.query.Get("list-type") != "2":
		return refusal(CodeInvalidArgument, "Invalid List Type specified in Request")
	case encoding != "" && encoding != "url":
		return refusal(CodeInvalidArgument, "Invalid Encoding Method specified in Request")
	case cmp.Or(q.query.Get("fetch-owner"), "false") != "false":
		return unsupported("the parameter fetch-owner in ListObjectsV2")
	}
	limit, err := numberIn(q.query, "max-keys", maxKeys)
	if err != nil {
		return err
	}
	after, err := tokenIn(q.query)
	if err != nil {
		return err
	}
	encoded := func(text string) string {
		if encoding == "url" {
			return strings.ReplaceAll(url.QueryEscape(text), "%2F", "/")
		}
		return text
	}
	prefix, delimiter := q.query.Get("prefix"), q.query.Get("delimiter")
	out := listObjectsOutput{
		Namespace: namespace, Name: b.Name, Prefix: encoded(prefix), StartAfter: encoded(q.query.Get("start-after")),
		ContinuationToken: q.query.Get("continuation-token"), MaxKeys: limit, Delimiter: encoded(delimiter), EncodingType: encoding,
	}
	listed, last, more := b.list(prefix, delimiter, cmp.Or(after, q.query.Get("start-after")), limit, s.config.Clock())
	for _, one := range listed {
		if one.object == nil {
			out.CommonPrefixes = append(out.CommonPrefixes, commonPrefix{encoded(one.key)})
			continue
		}
		out.Contents = append(out.Contents, listedObject{
			Key: encoded(one.key), LastModified: one.Modified.Format(xmlTime), ETag: `"` + one.ETag + `"`,
			ChecksumAlgorithm: strings.ToUpper(one.Checksum.Algorithm), ChecksumType: "FULL_OBJECT", Size: one.Size, StorageClass: "STANDARD",
		})
	}
	out.KeyCount, out.IsTruncated = len(listed), more
	if more {
		out.NextContinuationToken = token(last)
	}
	return writeXML(q.w, http.StatusOK, out)
}

// A listing is a line of a list: an object with its key, or what the keys of several objects begin with.
type listing struct {
	key string
	*object
}

// list lists what comes after a key, up to a number of lines. last is the last key that is in one of them.
func (b *bucket) list(prefix, delimiter, after string, limit int, now time.Time) (listed []listing, last string, more bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if limit == 0 {
		return nil, "", false
	}
	for _, key := range slices.Sorted(maps.Keys(b.objects)) {
		one := b.objects[key]
		if !strings.HasPrefix(key, prefix) || key <= after || b.expired(key, one, now) {
			continue
		}
		line := listing{key, one}
		if begin, _, divided := strings.Cut(key[len(prefix):], delimiter); divided && delimiter != "" {
			line = listing{key: prefix + begin + delimiter}
			if n := len(listed); n > 0 && listed[n-1].object == nil && listed[n-1].key == line.key {
				last = key
				continue
			}
		}
		if len(listed) == limit {
			return listed, last, true
		}
		listed, last = append(listed, line), key
	}
	return listed, last, false
}

// numberIn is a parameter that limits a list, at most the number that is the default too.
func numberIn(query url.Values, name string, most int) (int, error) {
	text := query.Get(name)
	if text == "" {
		return most, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, refusal(CodeInvalidArgument, "Provided %s not an integer or within integer range", name).with("ArgumentName", name).with("ArgumentValue", text)
	}
	return min(n, most), nil
}

// token is a continuation token, which holds the last name that was listed.
func token(last string) string { return base64.URLEncoding.EncodeToString([]byte(last)) }

func tokenIn(query url.Values) (string, error) {
	if !query.Has("continuation-token") {
		return "", nil
	}
	last, err := base64.URLEncoding.DecodeString(query.Get("continuation-token"))
	if err != nil || len(last) == 0 {
		return "", refusal(CodeInvalidArgument, "The continuation token provided is incorrect").with("ArgumentName", "continuation-token")
	}
	return string(last), nil
}
