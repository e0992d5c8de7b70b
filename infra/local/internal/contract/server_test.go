package contract

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
)

// upstreamFor gives an upstream that does one thing, and a connection to it on which a request was sent.
func upstreamFor(t *testing.T, secure bool, reply Reply) net.Conn {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if secure {
		server := httptest.NewUnstartedServer(nil)
		server.StartTLS()
		t.Cleanup(server.Close)
		listener = tls.NewListener(listener, &tls.Config{Certificates: server.TLS.Certificates, MinVersion: tls.VersionTLS12})
	}
	u := Listen(listener)
	t.Cleanup(u.Close)
	s := u.begin("case")
	if _, err := s.expect(t.Context(), []Reply{reply}, false); err != nil {
		t.Fatal(err)
	}
	var conn net.Conn
	if secure {
		conn, err = tls.Dial("tcp", u.Address(), &tls.Config{InsecureSkipVerify: true}) // who it is does not matter here
	} else {
		conn, err = net.Dial("tcp", u.Address())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "GET /base%s/a HTTP/1.1\r\nHost: shop.example:81\r\n\r\n", s.path())
	return conn
}

func TestAnUpstreamBreaksItsConnectionsAsToldOverTLSToo(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		conn := upstreamFor(t, secure, Reply{Then: "reset"})
		if n, err := conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("with TLS %t: of a reset comes %d, %v", secure, n, err)
		}
		conn = upstreamFor(t, secure, Reply{Status: 200, Body: Body{text: "the beginn"}, Then: "close"})
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || answer.ContentLength != 110 {
			t.Fatalf("with TLS %t: the answer is %+v, %v", secure, answer, err)
		}
		if body, err := io.ReadAll(answer.Body); string(body) != "the beginn" || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("with TLS %t: of a body that is cut off comes %q, %v", secure, body, err)
		}
	}
}

func TestAnUpstreamKnowsItselfByTheHostThatItIsSentAndTheBaseOfTheEndpoint(t *testing.T) {
	t.Parallel()
	conn := upstreamFor(t, false, Reply{Status: 302, Fields: []Text{"Location: {upstream}/b", "X-Path: {path}"}})
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if at, path := answer.Header.Get("Location"), answer.Header.Get("X-Path"); at != "http://shop.example:81/base"+path+"/b" || !strings.HasSuffix(path, "-case") {
		t.Errorf("it says that it is at %s, and that its path is %s", at, path)
	}
}

func TestWhoeverIsNotInACaseGetsNothing(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := Listen(listener)
	t.Cleanup(u.Close)
	answer, err := http.Get("http://" + u.Address() + "/" + u.run + "-other/")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusNotFound {
		t.Errorf("it is answered with %d", answer.StatusCode)
	}
}
