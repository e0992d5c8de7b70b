package retry

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// Bounds of what rules look at.
const (
	// MaxRuleBodyBytes is the largest body that rules look at, without its content coding. For a larger one the answer is
	// judged as if no rule looked at bodies.
	MaxRuleBodyBytes = 1 << 20

	// MaxRuleBodyDepth is how deep lists and objects may lie in one another in a body that rules look at.
	MaxRuleBodyDepth = 64
)

// A content is what an answer says, for rules. Its body is parsed once, and only if a rule asks for it.
type content struct {
	result Result

	parsed   bool
	document any
	isJSON   bool
}

// body returns the body as a JSON document.
func (c *content) body() (any, bool) {
	if !c.parsed {
		c.parsed = true
		if c.result.Failure == nil { // a body that was cut off says nothing, even if what came is JSON
			if plain, err := decoded(c.result.Body, c.result.Header.Get("Content-Encoding")); err == nil {
				c.document, c.isJSON = parseDocument(plain)
			}
		}
	}
	return c.document, c.isJSON
}

// errCoding is the error of a body in a coding of content that is not known here.
var errCoding = errors.New("retry: the content coding is not known")

// decoded undoes the content coding of a body (RFC 9110 section 8.4).
func decoded(body []byte, coding string) ([]byte, error) {
	if len(body) > MaxRuleBodyBytes {
		return nil, errTooLarge
	}
	var reader io.Reader
	var err error
	switch strings.ToLower(strings.TrimSpace(coding)) {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		reader, err = gzip.NewReader(bytes.NewReader(body))
	case "deflate":
		// Some send the bare format (RFC 1951) and not the one that the name stands for (RFC 1950).
		if reader, err = zlib.NewReader(bytes.NewReader(body)); err != nil {
			reader, err = flate.NewReader(bytes.NewReader(body)), nil
		}
	default:
		return nil, errCoding
	}
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(io.LimitReader(reader, MaxRuleBodyBytes+1))
	if err == nil && len(plain) > MaxRuleBodyBytes {
		err = errTooLarge
	}
	return plain, err
}

// errTooLarge is the error of a body that is too large to be looked at.
var errTooLarge = errors.New("retry: the body is larger than rules look at")

// parseDocument reads a JSON document that is no deeper than [MaxRuleBodyDepth].
func parseDocument(text []byte) (any, bool) {
	if depth(text) > MaxRuleBodyDepth {
		return nil, false
	}
	var document any
	if json.Unmarshal(text, &document) != nil {
		return nil, false
	}
	return document, true
}

// depth returns how deep the brackets of a JSON text lie in one another. Of what is not JSON it returns anything.
func depth(text []byte) int {
	deepest, now, quoted := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			now++
			deepest = max(deepest, now)
		case c == '}' || c == ']':
			now--
		}
	}
	return deepest
}
