package message

import (
	"encoding/json"
	"fmt"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

const (
	// MaxStateBytes is the most that an envelope may take as JSON. Step Functions holds 256 KiB per state; the rest is
	// left to what the service wraps around a function's answer.
	MaxStateBytes = 256<<10 - 4<<10

	// MaxRecordBytes is the most that an answer which goes into an idempotency record may take as JSON in a JSON string,
	// which is how the state machine hands it to DynamoDB. The rest of a state's 256 KiB is left to the other
	// parameters.
	MaxRecordBytes = 256<<10 - 8<<10

	// MaxAnswerBytes is the most that an answer of an upstream may take as JSON where large bodies are kept in a bucket: the 6 MB
	// that Lambda takes of a function, without what is left to the gateway, which adds fields.
	MaxAnswerBytes = 6<<20 - 64<<10

	// attemptBytes is the most that an attempt takes as JSON, in the history or as a loss: its texts are of limited
	// length.
	attemptBytes = 700
)

// RecordBytes is how long an envelope's JSON is inside a JSON string.
func RecordBytes(text []byte) int {
	n := len(text)
	for _, b := range text {
		if b == '"' || b == '\\' {
			n++
		}
	}
	return n
}

// JSONBytes is how long a value is as JSON, as the functions write it, in bytes.
func JSONBytes(value any) (int, error) {
	var n counter
	encoder := json.NewEncoder(&n)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return 0, fmt.Errorf("message: %w", err)
	}
	return int(n) - len("\n"), nil
}

// A counter counts what is written to it.
type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// MaxCallBytes is the most that the envelope of a call may take as JSON when it starts out, so that it still fits into a
// state when all attempts that the policy allows are listed in it.
func MaxCallBytes(p retry.Policy) int {
	attempts := p.RateLimits.Attempts + p.ServerErrors.Attempts + p.NetworkFailures.Attempts
	return MaxStateBytes - attempts*attemptBytes
}
