package idempotency

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// maxUnpackedBytes is how much a compressed result may unpack to, in bytes: what a Lambda function can answer. A larger
// result is not compressed, and one that claims to be larger is damaged, or made to exhaust memory.
const maxUnpackedBytes = 6 << 20

// A wrapping is how Data holds what is not a plain result: {"$gzip":"base64"} is a compressed result, {"$error":"text"}
// a failure. A result that looks like one of them itself is stored compressed.
//
// Only this library writes wrappings, and all that it writes has an owner. In a record without one, which Powertools
// wrote, the same text is a plain result.
type wrapping struct {
	Gzip  *string `json:"$gzip,omitempty"`
	Error *string `json:"$error,omitempty"`
}

// unwrap reads a wrapping. It says false for a plain result.
func unwrap(data []byte) (wrapping, bool) {
	if rest := bytes.TrimLeft(data, " \t\r\n"); len(rest) == 0 || rest[0] != '{' ||
		!bytes.HasPrefix(bytes.TrimLeft(rest[1:], " \t\r\n"), []byte(`"$`)) {
		return wrapping{}, false
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	var w wrapping
	if err := decoder.Decode(&w); err != nil {
		return wrapping{}, false
	}
	return w, (w.Gzip == nil) != (w.Error == nil)
}

// Result is the stored result as JSON, unpacked if it was compressed. The error is a [StoredFailureError] if the run
// had failed and that was stored, a [ResultNotStoredError] if it had succeeded and its result was not kept, and an
// [UnreadableResultError] if it is damaged.
//
// A record without an owner is not this library's. Without data it is one of Powertools for TypeScript, whose function
// returned undefined: its result is null. Powertools for Python stores NaN and infinities as they are, which JSON has not:
// see [NonFiniteAsNull].
func (r Record) Result() (json.RawMessage, error) {
	foreign := r.Owner == ""
	switch {
	case r.Data == nil && foreign:
		return json.RawMessage("null"), nil
	case r.Data == nil:
		return nil, &ResultNotStoredError{ID: r.ID}
	}
	w, wrapped := unwrap(r.Data)
	switch {
	case !wrapped || foreign:
		return r.Data, nil
	case w.Error != nil:
		return nil, &StoredFailureError{ID: r.ID, Message: *w.Error}
	}
	result, err := gunzip(base64.NewDecoder(base64.StdEncoding, strings.NewReader(*w.Gzip)), maxUnpackedBytes)
	if err != nil {
		return nil, &UnreadableResultError{Record: r, Err: fmt.Errorf("unpacking it: %w", err)}
	}
	return result, nil
}

// pack compresses a result.
func pack(result []byte) json.RawMessage {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	w.Write(result) // neither fails on a Buffer
	w.Close()
	encoded := base64.StdEncoding.EncodeToString(packed.Bytes())
	return encodeWrapping(wrapping{Gzip: &encoded})
}

// maxFailureBytes is how much of an error's text is stored, in bytes.
const maxFailureBytes = 32 << 10

func wrapFailure(err error) json.RawMessage {
	text := err.Error()
	text = strings.ToValidUTF8(text[:min(len(text), maxFailureBytes)], "\uFFFD")
	return encodeWrapping(wrapping{Error: &text})
}

func encodeWrapping(w wrapping) json.RawMessage {
	data, err := json.Marshal(w)
	if err != nil {
		panic(err) // two strings are always encodable
	}
	return data
}
