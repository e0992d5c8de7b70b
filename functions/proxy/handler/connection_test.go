package handler

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/rawupstream"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// Attack L5: net/http takes the whole field away where one of its options is close.
func TestFieldsNamedBesideCloseInConnectionStayOnTheConnection(t *testing.T) {
	const text = "HTTP/1.1 103 Early Hints\r\nConnection: X-Interim\r\n\r\n" +
		"HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nconnection: x-other\r\nX-Hop: 1\r\nX-Other: 2\r\nX-Kept: 3\r\nX-Interim: 4\r\nContent-Length: 2\r\n\r\nok"
	want := map[string]string{"x-kept": "3", "x-interim": "4"}

	b := newBench(t, "http://"+rawupstream.Listen(t, answer(text)))
	if diff := cmp.Diff(want, b.invoke(t, b.call(message.Request{Method: "GET"})).Headers); diff != "" {
		t.Errorf("in the clear, other fields came back (-want +got):\n%s", diff)
	}

	certified := httptest.NewTLSServer(http.NotFoundHandler())
	defer certified.Close()
	b = newBench(t, "https://"+rawupstream.Listen(t, func(plain net.Conn) {
		conn := tls.Server(plain, &tls.Config{Certificates: certified.TLS.Certificates})
		answer(text)(conn)
		conn.Close()
	}))
	b.trust(certified)
	b.transport.TLSClientConfig.ServerName = "example.com"
	if diff := cmp.Diff(want, b.invoke(t, b.call(message.Request{Method: "GET"})).Headers); diff != "" {
		t.Errorf("over TLS, other fields came back (-want +got):\n%s", diff)
	}
}

func TestWhatIsReadIsLookedAtUpToTheSizeOfAHeader(t *testing.T) {
	seen := new(wire)
	for _, read := range []string{"HTTP/1.1 200 OK\r\n", "Connection: close, X-Hop\r\n\r\n"} {
		client, server := net.Pipe()
		go func() { server.Write([]byte(read)); server.Close() }()
		buffer := make([]byte, 100)
		if n, err := (readConn{client, seen}).Read(buffer); err != nil || string(buffer[:n]) != read {
			t.Errorf("%d bytes were read, error %v", n, err)
		}
	}
	if got := seen.connectionField(); got != "close, X-Hop" {
		t.Errorf("the field is %q", got)
	}
	client, server := net.Pipe()
	go func() { server.Write(make([]byte, 80<<10)); server.Close() }()
	(readConn{client, seen}).Read(make([]byte, 80<<10))
	if len(seen.read) != 64<<10 {
		t.Errorf("%d bytes are kept", len(seen.read))
	}
}

// Attack M10.
func TestFieldsInISO88591AreReadAsSuchAndUTF8IsKept(t *testing.T) {
	b := newBench(t, "http://"+rawupstream.Listen(t, answer("HTTP/1.1 200 OK\r\nX-Old: caf\xe9\r\nX-New: caf\xc3\xa9\r\nX-Both: \xc3\xa9\xe9\r\n"+
		"Set-Cookie: a=\xe9\r\nContent-Length: 0\r\n\r\n")))
	out := b.invoke(t, b.call(message.Request{Method: "GET"}))
	if diff := cmp.Diff(map[string]string{"x-old": "café", "x-new": "café", "x-both": "Ã©é"}, out.Headers); diff != "" {
		t.Errorf("the fields came back otherwise (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a=é"}, out.Cookies); diff != "" {
		t.Errorf("the cookie came back otherwise (-want +got):\n%s", diff)
	}
}

// Attack M8.
func TestTheContentLengthOfHEADComesBack(t *testing.T) {
	for method, want := range map[string]string{"HEAD": "1234", "GET": ""} {
		b := newBench(t, "http://"+rawupstream.Listen(t, func(conn net.Conn) {
			answer("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n")(conn)
			if method == "GET" {
				conn.Write(make([]byte, 1234))
			}
		}))
		if got := b.invoke(t, b.call(message.Request{Method: method})).Headers["content-length"]; got != want {
			t.Errorf("%s has Content-Length %q, want %q", method, got, want)
		}
	}
}
