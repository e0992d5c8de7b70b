package message

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

const (
	// packedPolicy begins a policy that is packed: gzip, in base64.
	packedPolicy = "gzip,"

	// maxPlainPolicyBytes is the longest policy that is written as it is. What is longer is packed, so that rules and routes
	// fit into the 4 KB that Lambda has for all variables together.
	maxPlainPolicyBytes = 1024

	// maxPolicyBytes is the longest policy that is unpacked.
	maxPolicyBytes = 1 << 20
)

// WritePolicy writes a policy for the functions' environment: as JSON, or packed if that is long.
func WritePolicy(p retry.Policy) (string, error) {
	text, err := json.Marshal(p)
	if err != nil || len(text) <= maxPlainPolicyBytes {
		return string(text), err
	}
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return "", err
	}
	if _, err := w.Write(text); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	return packedPolicy + base64.StdEncoding.EncodeToString(packed.Bytes()), nil
}

// ReadPolicy reads what WritePolicy writes, and JSON of any length. It does not validate.
func ReadPolicy(text string) (retry.Policy, error) {
	if packed, is := strings.CutPrefix(text, packedPolicy); is {
		reader, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(packed)))
		if err != nil {
			return retry.Policy{}, fmt.Errorf("the policy cannot be unpacked: %w", err)
		}
		plain, err := io.ReadAll(io.LimitReader(reader, maxPolicyBytes))
		if err != nil {
			return retry.Policy{}, fmt.Errorf("the policy cannot be unpacked: %w", err)
		}
		text = string(plain)
	}
	var p retry.Policy
	err := json.Unmarshal([]byte(text), &p)
	return p, err
}
