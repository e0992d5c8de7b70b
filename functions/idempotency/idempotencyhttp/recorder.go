package idempotencyhttp

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"
)

// errNotKept says that a response was sent while the handler wrote it, because it is too large to be kept. Its text becomes
// the record's.
var errNotKept = errors.New("the response was too large to be kept")

// A recorder holds back what a handler writes, up to a limit. It does as the writer of net/http does, as far as what is
// written can be recorded.
type recorder struct {
	w     http.ResponseWriter
	limit int

	// before is the header that the handler found, header the one that it changes, and sent the one at the time of
	// WriteHeader, after which changes do not count.
	before, header, sent http.Header

	status   int
	body     bytes.Buffer
	streamed bool // the limit was passed, and everything goes to w
}

func newRecorder(w http.ResponseWriter, limit int) *recorder {
	return &recorder{w: w, limit: limit, before: w.Header().Clone(), header: cloned(w.Header())}
}

// cloned is a clone of a header that is never nil.
func cloned(h http.Header) http.Header {
	if h = h.Clone(); h == nil {
		h = http.Header{}
	}
	return h
}

func (r *recorder) Header() http.Header { return r.header }

// WriteHeader keeps the status and the header. Informational responses are dropped.
func (r *recorder) WriteHeader(status int) {
	switch {
	case status < 100 || status > 999:
		panic(fmt.Sprintf("invalid WriteHeader code %v", status)) // as net/http has it
	case r.status != 0, status < 200 && status != http.StatusSwitchingProtocols:
	default:
		r.status, r.sent = status, r.header.Clone()
	}
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	if r.status < 200 || r.status == http.StatusNoContent || r.status == http.StatusNotModified {
		return 0, http.ErrBodyNotAllowed
	}
	if !r.streamed && r.body.Len()+len(p) <= r.limit {
		return r.body.Write(p)
	}
	if !r.streamed {
		r.streamed = true
		if err := r.release(); err != nil {
			return 0, err
		}
	}
	return r.w.Write(p)
}

// release sends what was held back.
func (r *recorder) release() error {
	header := r.w.Header()
	clear(header)
	for name, values := range r.sent {
		header[name] = values
	}
	r.w.WriteHeader(r.status)
	_, err := r.w.Write(r.body.Bytes())
	r.body = bytes.Buffer{}
	return err
}

// SetReadDeadline is for http.ResponseController.
func (r *recorder) SetReadDeadline(t time.Time) error {
	return http.NewResponseController(r.w).SetReadDeadline(t)
}

// SetWriteDeadline is for http.ResponseController.
func (r *recorder) SetWriteDeadline(t time.Time) error {
	return http.NewResponseController(r.w).SetWriteDeadline(t)
}

// fieldText is a value of a header field as a record has it: with what net/http makes of line breaks, and with bytes that are not
// UTF-8 taken for ISO 8859-1, which is what they were before HTTP had any text (RFC 9110, section 5.5).
func fieldText(value string) string {
	if !utf8.ValidString(value) {
		runes := make([]rune, len(value))
		for i := range len(value) {
			runes[i] = rune(value[i])
		}
		value = string(runes)
	}
	return strings.Trim(newlines.Replace(value), " \t")
}

// newlines are what net/http makes of line breaks in values.
var newlines = strings.NewReplacer("\n", " ", "\r", " ")

// response is what the handler wrote, without the header fields that it found. The error is errNotKept if it was sent
// already; the response then has no body.
func (r *recorder) response() (Response, error) {
	if r.status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	response := Response{StatusCode: r.status, Headers: map[string]string{}}
	for name, values := range r.sent {
		before := r.before[name]
		switch {
		case slices.Equal(values, before), !httpguts.ValidHeaderFieldName(name), name == "Trailer":
			// Nothing of a trailer's name is a token: http.TrailerPrefix has a colon.
		case name == "Set-Cookie":
			if len(before) <= len(values) && slices.Equal(values[:len(before)], before) {
				values = values[len(before):]
			}
			for _, value := range values {
				response.Cookies = append(response.Cookies, fieldText(value))
			}
		default:
			response.Headers[strings.ToLower(name)] = fieldText(strings.Join(values, ", "))
		}
	}
	if r.streamed {
		return response, errNotKept
	}
	body := r.body.Bytes()
	mediaType, typed := r.sent["Content-Type"]
	_, coded := r.sent["Content-Encoding"]
	switch {
	case typed && len(mediaType) == 0: // net/http takes nil for none, which it is not to guess
		response.Headers["content-type"] = ""
	case len(body) > 0 && !typed && !coded: // as net/http does, but so that the record has it
		response.Headers["content-type"] = http.DetectContentType(body)
	}
	if response.Body = string(body); !utf8.Valid(body) {
		response.Body, response.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	}
	return response, nil
}
