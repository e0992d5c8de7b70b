package largebody

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
)

// A Kind says what an object is the body of.
type Kind string

const (
	// Requests are the bodies of requests. The gateway writes them, and the proxies read them.
	Requests Kind = "requests"

	// Answers are the bodies of upstreams' answers. The proxies write them, and the gateway reads them.
	Answers Kind = "answers"
)

// Prefix begins the keys of objects of a kind, in a bucket that others may have objects in: what the ids of records begin
// with, the kind, and a slash. The name of the object follows.
func Prefix(recordPrefix string, kind Kind) string { return recordPrefix + "/" + string(kind) + "/" }

// MaxBytes is the most that a body takes, in bytes: what a function URL carries, 6 MB.
const MaxBytes = 6 << 20

// nameBytes is how many random bytes a name is: nobody guesses 128 bits.
const nameBytes = 16

// Name makes the name of an object: 128 random bits in hexadecimal. It tells nothing of whose body it is.
func Name() string {
	var b [nameBytes]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// IsName says whether a text can be a name. What else stands in its place was written by somebody else, and may lead out of the
// folder of its kind.
func IsName(text string) bool {
	b, err := hex.DecodeString(text)
	return err == nil && len(b) == nameBytes && hex.EncodeToString(b) == text
}

// ErrNotFound is the error of reading an object that is not there, or not any more.
var ErrNotFound = errors.New("largebody: there is no such object")
