package s3

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// MaxObjectSize is how many bytes an object can have. S3 takes 5 GB at once; here an object is in memory while it is written
// and read.
const MaxObjectSize = 128 << 20

var (
	errIncompleteBody = badRequest("IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header")
	errMissingLength  = &refusal{"MissingContentLength", "You must provide the Content-Length HTTP header.", http.StatusLengthRequired}
	errTooLarge       = badRequest("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size, which is "+
		strconv.Itoa(MaxObjectSize)+" bytes here")
)

// unwrap reads the body of a PutObject, and puts the content itself in its place, verified against X-Amz-Content-Sha256. A
// checksum behind the body comes into the header section, where gofakes3 verifies it.
func unwrap(r *http.Request) *refusal {
	var content []byte
	hash := r.Header.Get("X-Amz-Content-Sha256")
	if strings.HasPrefix(hash, "STREAMING-") {
		size, err := strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64)
		if err != nil || size < 0 {
			return errMissingLength
		}
		if size > MaxObjectSize {
			return errTooLarge
		}
		var trailer http.Header
		var refused *refusal
		if content, trailer, refused = readChunked(r.Body, size, trailersIn(r.Header)); refused != nil {
			return refused
		}
		for name, values := range trailer {
			r.Header[name] = append(r.Header[name], values...)
		}
	} else {
		if r.ContentLength < 0 {
			return errMissingLength
		}
		if r.ContentLength > MaxObjectSize {
			return errTooLarge
		}
		var buffer bytes.Buffer
		if n, err := io.Copy(&buffer, r.Body); err != nil || n != r.ContentLength {
			return errIncompleteBody
		}
		content = buffer.Bytes()
		if refused := checkSHA256(hash, content); refused != nil {
			return refused
		}
	}
	// What is about the form of the body is done with.
	for _, name := range []string{"X-Amz-Content-Sha256", "X-Amz-Decoded-Content-Length", "X-Amz-Trailer"} {
		r.Header.Del(name)
	}
	r.Header.Set("Content-Length", strconv.Itoa(len(content)))
	r.ContentLength, r.Body = int64(len(content)), io.NopCloser(bytes.NewReader(content))
	return nil
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

func checkSHA256(told string, content []byte) *refusal {
	if told == "" || told == "UNSIGNED-PAYLOAD" {
		return nil
	}
	sum := sha256.Sum256(content)
	if decoded, err := hex.DecodeString(told); err != nil || len(decoded) != len(sum) {
		return badRequest("InvalidArgument", "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "+
			"STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.")
	} else if !bytes.Equal(decoded, sum[:]) {
		return badRequest("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.")
	}
	return nil
}
