package dynamodb

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"strings"
)

const (
	// TargetPrefix is what the X-Amz-Target header of a request has before the name of the operation.
	TargetPrefix = "DynamoDB_20120810."

	// MaxRequestSize is how many bytes the body of a request can have.
	MaxRequestSize = 16 << 20

	contentType = "application/x-amz-json-1.0"
)

// ServeHTTP answers requests of the DynamoDB API in its JSON protocol: POST, the operation in X-Amz-Target. Every
// answer carries the checksum of its body in X-Amz-Crc32, which SDKs verify.
func (s *Store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	output, err := s.answer(w, r)
	status := http.StatusOK
	if err != nil {
		var own *Error
		if !errors.As(err, &own) {
			own = &Error{Code: CodeInternalServerError, Message: err.Error()}
		}
		status = own.StatusCode()
		if output, err = json.Marshal(own); err != nil {
			output = []byte(`{}`)
		}
	}
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Content-Length", strconv.Itoa(len(output)))
	header.Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(output)), 10))
	header.Set("X-Amzn-RequestId", rand.Text())
	w.WriteHeader(status)
	// A caller that is gone needs no answer.
	_, _ = w.Write(output)
}

func (s *Store) answer(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	operation, isDynamoDB := strings.CutPrefix(r.Header.Get("X-Amz-Target"), TargetPrefix)
	if r.Method != http.MethodPost || !isDynamoDB {
		return nil, &Error{Code: CodeUnknownOperation, Message: fmt.Sprintf(
			"expected a POST with an X-Amz-Target that begins with %s; got %s %s with %q", TargetPrefix, r.Method, r.URL.Path, r.Header.Get("X-Amz-Target"))}
	}
	input, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxRequestSize))
	if err != nil {
		return nil, &Error{Code: CodeSerialization, Message: "read the request: " + err.Error()}
	}
	return s.Call(r.Context(), operation, input)
}
