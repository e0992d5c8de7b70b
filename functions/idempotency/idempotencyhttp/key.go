package idempotencyhttp

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dunglas/httpsfv"
)

const (
	// KeyField is the name of the header field, as events spell it.
	KeyField = "idempotency-key"

	// keyFieldName is the name as it is written in Vary.
	keyFieldName = "Idempotency-Key"

	// MaxKeyLength is the length of the longest key, in characters.
	MaxKeyLength = 255
)

// ErrMalformedKey is wrapped by the errors of [ParseKey].
var ErrMalformedKey = errors.New("malformed Idempotency-Key")

// ParseKey reads the value of an Idempotency-Key field. The draft has a string of Structured Fields (RFC 9651), in
// quotes; many clients send the bare key. Both are taken, and "k" in quotes and k without are the same key. Parameters
// after a quoted key are ignored. A comma is taken in a quoted key only: Lambda joins fields with commas, so that a bare key
// with one may be two keys.
//
// A key has 1 to MaxKeyLength characters, none of them a control character.
func ParseKey(field string) (string, error) {
	key := strings.Trim(field, " \t")
	if strings.HasPrefix(key, `"`) {
		item, err := httpsfv.UnmarshalItem([]string{key})
		if err != nil {
			return "", fmt.Errorf("%w: it begins with a quotation mark and is not one string in quotes, as RFC 9651 has it", ErrMalformedKey)
		}
		key = item.Value.(string) // what begins with a quotation mark is a string
	} else if strings.Contains(key, ",") {
		return "", fmt.Errorf("%w: it holds a comma, so that the field was perhaps sent twice; put a key that has a comma in quotes", ErrMalformedKey)
	}
	switch length := utf8.RuneCountInString(key); {
	case key == "":
		return "", fmt.Errorf("%w: it is empty", ErrMalformedKey)
	case !utf8.ValidString(key):
		return "", fmt.Errorf("%w: it is not UTF-8", ErrMalformedKey)
	case length > MaxKeyLength:
		return "", fmt.Errorf("%w: it has %d characters, and at most %d are allowed", ErrMalformedKey, length, MaxKeyLength)
	case strings.ContainsFunc(key, unicode.IsControl):
		return "", fmt.Errorf("%w: it has a control character", ErrMalformedKey)
	}
	return key, nil
}

// RecordID is the ID of the record of a request with a key: the prefix, a number sign, and the SHA-256 hash of caller,
// credential, method, path and key, in hexadecimal. No two of these share an ID.
func RecordID(prefix string, r Request, key string) string {
	return prefix + "#" + digest(r.Caller, r.Credential, r.Method, r.Path, key)
}

// digest hashes parts with their lengths, so that no part can pass for a piece of its neighbour.
func digest(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d:", len(part))
		io.WriteString(h, part)
	}
	return hex.EncodeToString(h.Sum(nil))
}
