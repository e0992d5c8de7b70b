package cloudwatch

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

const (
	// TargetPrefix is what the X-Amz-Target header of a request in the JSON protocol has before the name of the operation.
	TargetPrefix = service + "."

	// PathPrefix is what the path of a request in the CBOR protocol has before the name of the operation.
	PathPrefix = "/service/" + service + "/operation/"

	service = "GraniteServiceVersion20100801"

	// MaxRequestSize is how many bytes the body of a request can have.
	MaxRequestSize = 1 << 20
)

// ServeHTTP answers requests of the CloudWatch API: POST, in the protocol that the path or X-Amz-Target says.
func (s *Store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p, operation := protocolOf(r)
	header := w.Header()
	output, err := s.answer(w, r, p, operation)
	status := http.StatusOK
	if err != nil {
		var own *Error
		if !errors.As(err, &own) {
			own = refusal(CodeInternalFailure, "%v", err)
		}
		status = own.StatusCode()
		header.Set("X-Amzn-Query-Error", own.QueryCode()+";"+own.fault())
		output = p.encode(map[string]any{"__type": "com.amazonaws.cloudwatch#" + own.Code, "message": own.Message})
	}
	header.Set("Content-Type", p.contentType)
	header.Set("Content-Length", strconv.Itoa(len(output)))
	header.Set("X-Amzn-RequestId", rand.Text())
	if p.name != "" {
		header.Set(protocolHeader, p.name)
	}
	w.WriteHeader(status)
	// A caller that is gone needs no answer.
	_, _ = w.Write(output)
}

func (s *Store) answer(w http.ResponseWriter, r *http.Request, p protocol, operation string) ([]byte, error) {
	if r.Method != http.MethodPost || operation == "" {
		return nil, refusal(CodeUnknownOperation,
			"expected a POST to a path that begins with %s, or with an X-Amz-Target that begins with %s, as SDKs since 2025 send it; got %s %s with %q",
			PathPrefix, TargetPrefix, r.Method, r.URL.Path, r.Header.Get("X-Amz-Target"))
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxRequestSize))
	if err != nil {
		return nil, refusal(CodeSerialization, "read the request: %v", err)
	}
	input, err := p.decode(body)
	if err != nil {
		return nil, refusal(CodeSerialization, "read the request: %v", err)
	}
	output, err := s.Call(operation, input)
	if err != nil {
		return nil, err
	}
	return p.encode(output), nil
}

// protocolHeader says in which protocol an answer is, as https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html has it.
const protocolHeader = "Smithy-Protocol"

// A protocol is how requests and answers are written.
type protocol struct {
	name, contentType string

	// decode gives the parameters as JSON, and encode writes what Call returns.
	decode func([]byte) ([]byte, error)
	encode func(any) []byte
}

// protocolOf tells the protocol of a request, and the operation, which is empty if it is none of CloudWatch.
func protocolOf(r *http.Request) (p protocol, operation string) {
	if operation, ours := strings.CutPrefix(r.URL.Path, PathPrefix); ours {
		return protocol{"rpc-v2-cbor", "application/cbor", cborToJSON, toCBOR}, operation
	}
	operation, _ = strings.CutPrefix(r.Header.Get("X-Amz-Target"), TargetPrefix)
	if operation == r.Header.Get("X-Amz-Target") {
		operation = ""
	}
	return protocol{"", "application/x-amz-json-1.0", func(body []byte) ([]byte, error) { return body, nil }, toJSON}, operation
}

func toJSON(output any) []byte {
	text, err := json.Marshal(inSeconds(output))
	if err != nil {
		return []byte(`{}`) // it is made of what JSON can say
	}
	return text
}
