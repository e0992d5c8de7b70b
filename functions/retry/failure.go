package retry

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
)

// A Failure is an attempt that ended without a complete answer.
type Failure struct {
	// Type is the registered error type of RFC 9209 section 2.3.
	Type ErrorType

	// Processed says whether the upstream may have acted on the request.
	Processed Processed

	// Details is a short text for people. It holds no payload.
	Details string
}

// Processed says whether an upstream may have acted on a request whose answer did not come.
type Processed bool

const (
	NotProcessed   Processed = false
	MaybeProcessed Processed = true
)

// ErrAddressProhibited is for a dialer that refuses to connect to an address by a rule of its own. ClassifyFailure
// makes destination_ip_prohibited of an error that wraps it.
var ErrAddressProhibited = errors.New("retry: the address is not one that may be called")

// maxDetails is how many bytes of an error's text are kept.
const maxDetails = 200

// ClassifyFailure turns an error of [http.Client.Do], or of reading the body of its answer, into a failure with its
// type by RFC 9209 section 2.3. trace is what was seen of the same request. A body that was cut off by
// [http.MaxBytesReader] is http_response_body_size.
//
// The failure is NotProcessed if the request never had a connection, since then not one byte of it was sent, and if the
// other side said over HTTP/2 that it did not process it (RFC 9113 section 8.7): it refused the stream, or the stream lies
// beyond the last one that its GOAWAY names. Otherwise, from the moment that the request has a connection, nobody can
// tell: what the transport has written lies in buffers, and a connection that is reset does not say what the other side
// read before.
func ClassifyFailure(err error, trace *Trace) *Failure {
	reached := trace.reached()
	var inURL *url.Error
	if errors.As(err, &inURL) {
		err = inURL.Err // without the URL, whose query may hold secrets
	}
	f := &Failure{Processed: Processed(reached >= connected)}
	switch {
	case refusedByHTTP2(err):
		f.Type, f.Processed, f.Details = ConnectionTerminated, NotProcessed, "the upstream said over HTTP/2 that it did not process the request"
	case errors.Is(err, ErrAddressProhibited):
		f.Type, f.Details = DestinationIPProhibited, printable(err)
	case reached == unsent && !timedOut(err):
		f.Type, f.Details = HTTPRequestError, "the request cannot be sent as it is"
	case reached < connected:
		f.Type, f.Details = connectionFailure(err, reached), printable(err)
	default:
		f.Type, f.Details = exchangeFailure(err, reached)
	}
	return f
}

// connectionFailure names what failed before there was a connection.
func connectionFailure(err error, reached stage) ErrorType {
	var (
		lookup      *net.DNSError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		network     *net.OpError
	)
	switch {
	case errors.As(err, &lookup):
		if lookup.IsTimeout {
			return DNSTimeout
		}
		return DNSError
	case errors.As(err, &certificate):
		return TLSCertificateError
	case errors.As(err, &network) && network.Op == "remote error": // what crypto/tls calls an alert of the other side
		return TLSAlertReceived
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return TLSProtocolError
	case timedOut(err) && reached == resolving:
		return DNSTimeout
	case timedOut(err):
		return ConnectionTimeout
	case errors.Is(err, context.Canceled):
		return ProxyInternalError
	case errors.Is(err, syscall.ECONNREFUSED):
		return ConnectionRefused
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return DestinationIPUnroutable
	case hungUp(err):
		return ConnectionTerminated
	case reached == handshake:
		return TLSProtocolError
	}
	return DestinationUnavailable
}

// exchangeFailure names what failed once there was a connection. Its texts are fixed: the errors of net/http quote what
// was received.
func exchangeFailure(err error, reached stage) (ErrorType, string) {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return HTTPResponseBodySize, "the body of the answer is larger than allowed"
	case timedOut(err) && reached < written:
		return ConnectionWriteTimeout, "the request could not be written in time"
	case timedOut(err) && reached < answered:
		return ConnectionReadTimeout, "the request was written, and no answer came in time"
	case timedOut(err):
		return HTTPResponseTimeout, "the answer began, and did not end in time"
	case errors.Is(err, context.Canceled):
		return ProxyInternalError, "the attempt was cancelled"
	case headerTooLarge(err):
		return HTTPResponseHeaderSectionSize, "the header of the answer is larger than allowed"
	case hungUp(err) && reached < answered:
		return ConnectionTerminated, "the connection was closed before an answer came"
	case hungUp(err):
		return HTTPResponseIncomplete, "the connection was closed before the end of the answer"
	case reached < answered:
		return ConnectionTerminated, "the connection failed before an answer came"
	}
	return HTTPProtocolError, "the answer is not HTTP, or breaks its rules"
}

// timedOut says whether an error came of a time limit.
func timedOut(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// http2StreamError has the fields of the error with which net/http reports that the other side reset an HTTP/2 stream.
// That type is not exported, but it converts itself, through errors.As, to a type with the same fields.
type http2StreamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (http2StreamError) Error() string { return "the stream was reset" }

// refusedStream is REFUSED_STREAM, RFC 9113 section 7.
const refusedStream = 0x7

// unprocessed are the texts with which net/http reports that a stream was not processed, because it was opened after
// the last one that the other side's GOAWAY names. There are no types for them. The last one is for a connection whose
// GOAWAY came before the stream was opened.
var unprocessed = []string{
	"http2: Transport received Server's graceful shutdown GOAWAY",
	"http2: Transport received GOAWAY from server ErrCode:",
	"http2: server sent GOAWAY and closed the connection; LastStreamID=0,",
	"http2: client conn not usable",
}

// refusedByHTTP2 says whether an error came of the other side saying that it did not process the request.
func refusedByHTTP2(err error) bool {
	var stream http2StreamError
	if errors.As(err, &stream) {
		return stream.Code == refusedStream
	}
	text := err.Error()
	for _, start := range unprocessed {
		if strings.Contains(text, start) {
			return true
		}
	}
	return false
}

// hungUp says whether an error came of the other side closing the connection or the stream, properly or not.
func hungUp(err error) bool {
	var stream http2StreamError
	if errors.As(err, &stream) {
		return true
	}
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

// headerTooLarge goes by the text, because net/http has no type for it, in HTTP/1 and in HTTP/2.
func headerTooLarge(err error) bool {
	text := err.Error()
	return strings.Contains(text, "response headers exceeded") || strings.Contains(text, "header list larger than")
}

// printable returns the text of an error as printable ASCII, of a length that fits into a header field.
func printable(err error) string {
	text := err.Error()
	if len(text) > maxDetails {
		text = text[:maxDetails]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
}
