package idempotency

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrNonFinite is wrapped by an [UnreadableResultError] for a result with a NaN or an infinity. Python's json module
// writes them as NaN, Infinity and -Infinity, and JSON has no such numbers. See [NonFiniteAsNull].
var ErrNonFinite = errors.New("it holds NaN or an infinity, as Python writes them, and JSON has no such numbers: " +
	"set Config.OnReplay to idempotency.NonFiniteAsNull to have null in their place")

// nonFinite are the numbers of Python's json module that JSON has not. The last is the second with a sign before it,
// which has to go with it.
var nonFinite = [][]byte{[]byte("NaN"), []byte("Infinity"), []byte("-Infinity")}

// NonFiniteAsNull is a [Config.OnReplay] that puts null for the numbers NaN, Infinity and -Infinity of a result that
// Python stored, as JavaScript does. Without it such a result is an [UnreadableResultError] that wraps
// [ErrNonFinite]. Take a pointer, such as *float64, for a number that can be null: encoding/json leaves a float64 at 0.
func NonFiniteAsNull(_ context.Context, result json.RawMessage, _ Record) (json.RawMessage, error) {
	if json.Valid(result) {
		return result, nil
	}
	return withoutNonFinite(result), nil
}

// withoutNonFinite puts null for those numbers. What stands in strings is left alone.
func withoutNonFinite(data []byte) json.RawMessage {
	cleaned := make([]byte, 0, len(data))
	for i := 0; i < len(data); {
		if data[i] == '"' {
			end := stringEnd(data, i)
			cleaned = append(cleaned, data[i:end]...)
			i = end
			continue
		}
		taken := 0
		for _, number := range nonFinite {
			if bytes.HasPrefix(data[i:], number) {
				taken = len(number)
			}
		}
		if taken == 0 {
			cleaned = append(cleaned, data[i])
			i++
			continue
		}
		cleaned = append(cleaned, "null"...)
		i += taken
	}
	return cleaned
}

// stringEnd is the index behind the string that begins at start, or the end of the data if it has no end.
func stringEnd(data []byte, start int) int {
	for i := start + 1; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(data)
}

// unreadable says why a stored result cannot be decoded.
func unreadable(r Record, data []byte, err error) error {
	if !json.Valid(data) && json.Valid(withoutNonFinite(data)) {
		err = fmt.Errorf("%w (%w)", ErrNonFinite, err)
	}
	return &UnreadableResultError{Record: r, Err: err}
}
