package sqs

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

const (
	// TargetPrefix is what the X-Amz-Target header of a request has before the name of the operation.
	TargetPrefix = "AmazonSQS."

	// MaxRequestSize is how many bytes the body of a request can have: a batch of [MaxMessageSize] with every character
	// escaped, and what is around it.
	MaxRequestSize = 8 << 20

	contentType = "application/x-amz-json-1.0"
)

// ServeHTTP answers requests of the SQS API in its JSON protocol: POST, the operation in X-Amz-Target. Older SDKs send the
// query protocol, which is refused.
func (s *Store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	leave := s.config.Clock.Enter()
	defer leave()
	header := w.Header()
	output, err := s.answer(w, r)
	status := http.StatusOK
	if err != nil {
		var own *Error
		if !errors.As(err, &own) {
			own = refusal(CodeInternalFailure, "%v", err)
		}
		status = own.StatusCode()
		header.Set("X-Amzn-Query-Error", own.QueryCode()+";"+own.fault())
		if output, err = json.Marshal(own); err != nil {
			output = []byte(`{}`)
		}
	}
	header.Set("Content-Type", contentType)
	header.Set("Content-Length", strconv.Itoa(len(output)))
	header.Set("X-Amzn-RequestId", newID())
	w.WriteHeader(status)
	// A caller that is gone needs no answer.
	_, _ = w.Write(output)
}

func (s *Store) answer(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	operation, ours := strings.CutPrefix(r.Header.Get("X-Amz-Target"), TargetPrefix)
	if r.Method != http.MethodPost || !ours {
		return nil, refusal(CodeUnknownOperation,
			"expected a POST with an X-Amz-Target that begins with %s, as SDKs since the end of 2023 send it; got %s %s with %q",
			TargetPrefix, r.Method, r.URL.Path, r.Header.Get("X-Amz-Target"))
	}
	input, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxRequestSize))
	if err != nil {
		return nil, refusal(CodeSerialization, "read the request: %v", err)
	}
	return s.Call(r.Context(), operation, input)
}
