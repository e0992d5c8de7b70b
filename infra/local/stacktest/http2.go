package stacktest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// HTTP2 has the upstream speak HTTP/2, over TLS with a certificate that the proxies trust for the test. Replies are the
// same, and those of [RefuseStream], [GoAway] and [ResetStream] are for it alone. A body of a reply may have 16 KiB.
//
// The certificate is made known by SSL_CERT_FILE, which Go reads on Linux; where it does not, the attempts fail with
// tls_certificate_error.
func HTTP2() Option { return func(s *settings) { s.http2 = true } }

// RefuseStream resets the stream of the attempt with REFUSED_STREAM: the upstream says that it did not process the request
// (RFC 9113 section 8.7). It needs [HTTP2].
func RefuseStream() Reply { return ResetStream(uint32(http2.ErrCodeRefusedStream)) }

// ResetStream resets the stream of the attempt with an error code (RFC 9113 section 7). It needs [HTTP2].
func ResetStream(code uint32) Reply {
	return Reply{frames: func(f *http2.Framer, stream uint32) { _ = f.WriteRSTStream(stream, http2.ErrCode(code)) }}
}

// GoAway closes the connection with a GOAWAY whose last stream comes before that of the attempt, as a server that drains
// does: the upstream says that it did not process the request (RFC 9113 section 6.8). It needs [HTTP2].
func GoAway() Reply {
	return Reply{frames: func(f *http2.Framer, _ uint32) { _ = f.WriteGoAway(0, http2.ErrCodeNo, nil) }}
}

// maxFrame is the most that a frame takes in either direction, in bytes, without another setting.
const maxFrame = 16 << 10

// certificate is that of the upstream, and the file that holds it for the proxies.
func certificate(t testing.TB) (tls.Certificate, string) {
	t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler()) // it comes with a certificate for 127.0.0.1
	defer server.Close()
	file := filepath.Join(t.TempDir(), "upstream.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatalf("stacktest: %v", err)
	}
	return server.TLS.Certificates[0], file
}

// serveHTTP2 answers connections until the listener is closed. net/http's own server is not used, because it writes no
// frames that a test asks for.
func (u *upstream) serveHTTP2(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go u.serveConnection(conn)
	}
}

// serveConnection answers the streams of a connection, one after the other: each attempt has one of its own.
func (u *upstream) serveConnection(conn net.Conn) {
	defer conn.Close()
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(conn, preface); err != nil || string(preface) != http2.ClientPreface {
		return
	}
	framer := http2.NewFramer(conn, bufio.NewReader(conn))
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if framer.WriteSettings() != nil {
		return
	}
	requests := map[uint32]*http.Request{}
	bodies := map[uint32]*bytes.Buffer{}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return
		}
		ended := false
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() && framer.WriteSettingsAck() != nil {
				return
			}
		case *http2.MetaHeadersFrame:
			requests[frame.StreamID], bodies[frame.StreamID] = requestOf(frame), new(bytes.Buffer)
			ended = frame.StreamEnded()
		case *http2.DataFrame:
			if body := bodies[frame.StreamID]; body != nil {
				body.Write(frame.Data())
			}
			if n := uint32(len(frame.Data())); n > 0 {
				_ = framer.WriteWindowUpdate(0, n)
				_ = framer.WriteWindowUpdate(frame.StreamID, n)
			}
			ended = frame.StreamEnded()
		}
		if stream := frame.Header().StreamID; ended && requests[stream] != nil {
			u.answerStream(framer, stream, requests[stream], bodies[stream].String())
			delete(requests, stream)
		}
	}
}

// requestOf is the request in a header section, as far as tests look at it.
func requestOf(frame *http2.MetaHeadersFrame) *http.Request {
	target := frame.PseudoValue("path")
	request, err := http.NewRequest(frame.PseudoValue("method"), "https://upstream.test"+target, nil)
	if err != nil {
		request = &http.Request{Method: frame.PseudoValue("method"), Header: http.Header{}}
	}
	request.RequestURI, request.Host = target, frame.PseudoValue("authority")
	for _, field := range frame.RegularFields() {
		request.Header.Add(field.Name, field.Value)
	}
	return request
}

// answerStream writes what the next reply says.
func (u *upstream) answerStream(framer *http2.Framer, stream uint32, request *http.Request, body string) {
	handler := u.next(request, body)
	if reply, scripted := handler.(Reply); scripted && reply.frames != nil {
		reply.frames(framer, stream)
		return
	}
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, withBody(request, []byte(body)))
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	_ = encoder.WriteField(hpack.HeaderField{Name: ":status", Value: strconv.Itoa(answer.Code)})
	for name, values := range answer.Result().Header {
		for _, value := range values {
			_ = encoder.WriteField(hpack.HeaderField{Name: strings.ToLower(name), Value: value})
		}
	}
	content := answer.Body.Bytes()
	if len(content) > maxFrame {
		u.t.Errorf("stacktest: the body of a reply has %d bytes; over HTTP/2 it may have %d", len(content), maxFrame)
		content = content[:maxFrame]
	}
	_ = framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: len(content) == 0,
	})
	if len(content) > 0 {
		_ = framer.WriteData(stream, true, content)
	}
}
