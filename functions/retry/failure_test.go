package retry_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/rawupstream"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// reset closes a connection so that the other side is sent a RST.
func reset(conn net.Conn) {
	conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}

// stall holds a connection until the other side gives up.
func stall(conn net.Conn) { io.Copy(io.Discard, conn) }

// certificate makes a self-signed certificate for a name, and a pool that trusts it.
func certificate(t *testing.T, name string, notAfter time.Time) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: name},
		DNSNames:              []string{name},
		NotBefore:             notAfter.Add(-24 * time.Hour),
		NotAfter:              notAfter,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	if name == "127.0.0.1" {
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// attempt makes one request as a proxy does, and returns the error of the call or of reading the body.
func attempt(transport *http.Transport, url string, timeout time.Duration, bodyLimit int64) (*retry.Trace, error) {
	transport.Proxy = nil
	client := &http.Client{Transport: transport}
	defer transport.CloseIdleConnections()
	trace := new(retry.Trace)
	ctx, cancel := context.WithTimeout(httptrace.WithClientTrace(context.Background(), trace.ClientTrace()), timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return trace, err
	}
	response, err := client.Do(request)
	if err != nil {
		return trace, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, http.MaxBytesReader(nil, response.Body, bodyLimit))
	return trace, err
}

const (
	patience  = 5 * time.Second        // for failures that come by themselves
	impatient = 400 * time.Millisecond // for those that are a timeout
	largeBody = 1 << 20
)

func TestEachFailureIsNamedAndSaysWhetherTheUpstreamMayHaveActed(t *testing.T) {
	t.Parallel()
	answer := func(text string) func(net.Conn) {
		return func(conn net.Conn) {
			rawupstream.ReadHead(conn)
			io.WriteString(conn, text)
		}
	}
	overTLS := func(name string, notAfter time.Time, serve func(net.Conn)) func(*testing.T) (string, *http.Transport) {
		return func(t *testing.T) (string, *http.Transport) {
			cert, pool := certificate(t, name, notAfter)
			address := rawupstream.Listen(t, func(conn net.Conn) {
				server := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}})
				if server.Handshake() == nil {
					serve(server)
				}
			})
			return "https://" + address, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
		}
	}
	overTCP := func(scheme string, serve func(net.Conn)) func(*testing.T) (string, *http.Transport) {
		return func(t *testing.T) (string, *http.Transport) {
			return scheme + "://" + rawupstream.Listen(t, serve), &http.Transport{}
		}
	}
	dialing := func(dial func(ctx context.Context, network, address string) (net.Conn, error)) func(*testing.T) (string, *http.Transport) {
		return func(t *testing.T) (string, *http.Transport) {
			return "http://api.invalid", &http.Transport{DialContext: dial}
		}
	}
	resolving := func(wrong error) func(context.Context, string, string) (net.Conn, error) {
		resolver := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, wrong }}
		return (&net.Dialer{Resolver: resolver}).DialContext
	}
	failing := func(wrong error) func(context.Context, string, string) (net.Conn, error) {
		return func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: wrong}
		}
	}
	valid := time.Now().Add(time.Hour)

	for _, c := range []struct {
		when      string
		server    func(*testing.T) (url string, transport *http.Transport)
		timeout   time.Duration
		want      retry.ErrorType
		processed retry.Processed
	}{
		{"the name does not resolve", dialing(resolving(errors.New("no name server"))), patience, retry.DNSError, retry.NotProcessed},
		{"the name server does not answer", dialing(func(ctx context.Context, network, _ string) (net.Conn, error) {
			silent := func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
			return (&net.Dialer{Resolver: &net.Resolver{PreferGo: true, Dial: silent}}).DialContext(ctx, network, "api.invalid:80")
		}), impatient, retry.DNSTimeout, retry.NotProcessed},
		{"the port is closed", func(t *testing.T) (string, *http.Transport) {
			return "http://" + rawupstream.Closed(t), &http.Transport{}
		}, patience, retry.ConnectionRefused, retry.NotProcessed},
		{"the address has no route", dialing(failing(syscall.EHOSTUNREACH)), patience, retry.DestinationIPUnroutable, retry.NotProcessed},
		{"the dialer fails for a reason of its own", dialing(failing(errors.New("no sockets left"))), patience, retry.DestinationUnavailable, retry.NotProcessed},
		{"the address is prohibited", dialing(failing(fmt.Errorf("169.254.169.254: %w", retry.ErrAddressProhibited))), patience, retry.DestinationIPProhibited, retry.NotProcessed},
		{"the connection is not accepted in time", dialing(func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}), impatient, retry.ConnectionTimeout, retry.NotProcessed},

		{"the certificate has expired", overTLS("127.0.0.1", time.Now().Add(-time.Hour), stall), patience, retry.TLSCertificateError, retry.NotProcessed},
		{"the certificate is for another host", overTLS("other.example", valid, stall), patience, retry.TLSCertificateError, retry.NotProcessed},
		{"the server speaks http on an https port", overTCP("https", func(conn net.Conn) {
			io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
			stall(conn)
		}), patience, retry.TLSProtocolError, retry.NotProcessed},
		{"the server speaks neither", overTCP("https", func(conn net.Conn) {
			io.WriteString(conn, "220 mail.example ready\r\n")
			stall(conn)
		}), patience, retry.TLSProtocolError, retry.NotProcessed},
		{"the server refuses the protocol versions", func(t *testing.T) (string, *http.Transport) {
			cert, pool := certificate(t, "127.0.0.1", valid)
			address := rawupstream.Listen(t, func(conn net.Conn) {
				tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}).Handshake()
			})
			return "https://" + address, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MaxVersion: tls.VersionTLS12}}
		}, patience, retry.TLSAlertReceived, retry.NotProcessed},
		{"the handshake stalls", overTCP("https", stall), impatient, retry.ConnectionTimeout, retry.NotProcessed},
		{"the connection is reset during the handshake", overTCP("https", func(conn net.Conn) {
			conn.Read(make([]byte, 1))
			reset(conn)
		}), patience, retry.ConnectionTerminated, retry.NotProcessed},

		{"the connection is reset before the request is read", overTCP("http", func(conn net.Conn) {
			conn.Read(make([]byte, 1))
			reset(conn)
		}), patience, retry.ConnectionTerminated, retry.MaybeProcessed},
		{"the connection is reset after the request", overTCP("http", func(conn net.Conn) { rawupstream.ReadHead(conn); reset(conn) }), patience, retry.ConnectionTerminated, retry.MaybeProcessed},
		{"the connection is closed after the request", overTCP("http", rawupstream.ReadHead), patience, retry.ConnectionTerminated, retry.MaybeProcessed},
		{"the same over TLS", overTLS("127.0.0.1", valid, rawupstream.ReadHead), patience, retry.ConnectionTerminated, retry.MaybeProcessed},
		{"no answer comes", overTCP("http", stall), impatient, retry.ConnectionReadTimeout, retry.MaybeProcessed},
		{"the answer stalls in its header", overTCP("http", func(conn net.Conn) {
			answer("HTTP/1.1 200 OK\r\nContent-Le")(conn)
			stall(conn)
		}), impatient, retry.HTTPResponseTimeout, retry.MaybeProcessed},
		{"the answer stalls in its body", overTCP("http", func(conn net.Conn) {
			answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")(conn)
			stall(conn)
		}), impatient, retry.HTTPResponseTimeout, retry.MaybeProcessed},
		{"the body is shorter than announced", overTCP("http", answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")), patience, retry.HTTPResponseIncomplete, retry.MaybeProcessed},
		{"the last chunk is missing", overTCP("http", answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")), patience, retry.HTTPResponseIncomplete, retry.MaybeProcessed},
		{"the connection is reset in the body", overTCP("http", func(conn net.Conn) {
			answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")(conn)
			reset(conn)
		}), patience, retry.HTTPResponseIncomplete, retry.MaybeProcessed},
		{"the header is cut off", overTCP("http", answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n")), patience, retry.HTTPResponseIncomplete, retry.MaybeProcessed},
		{"the header is too large", func(t *testing.T) (string, *http.Transport) {
			header := "HTTP/1.1 200 OK\r\nX-Large: " + strings.Repeat("x", 64<<10) + "\r\n\r\n"
			return "http://" + rawupstream.Listen(t, answer(header)), &http.Transport{MaxResponseHeaderBytes: 4 << 10}
		}, patience, retry.HTTPResponseHeaderSectionSize, retry.MaybeProcessed},
		{"the body is too large", overTCP("http", answer("HTTP/1.1 200 OK\r\n\r\n"+strings.Repeat("x", largeBody+1))), patience, retry.HTTPResponseBodySize, retry.MaybeProcessed},
		{"the status line is no such", overTCP("http", answer("hello, this is a secret\r\n\r\n")), patience, retry.HTTPProtocolError, retry.MaybeProcessed},
		{"the header is malformed", overTCP("http", answer("HTTP/1.1 200 OK\r\nno colon here\r\n\r\n")), patience, retry.HTTPProtocolError, retry.MaybeProcessed},
		{"a chunk is malformed", overTCP("http", answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nsecret\r\n")), patience, retry.HTTPProtocolError, retry.MaybeProcessed},
		{"the scheme is unknown", func(*testing.T) (string, *http.Transport) {
			return "gopher://127.0.0.1", &http.Transport{}
		}, patience, retry.HTTPRequestError, retry.NotProcessed},
	} {
		t.Run(c.when, func(t *testing.T) {
			t.Parallel()
			url, transport := c.server(t)
			trace, err := attempt(transport, url+"/?token=secret", c.timeout, largeBody)
			if err == nil {
				t.Fatal("the request succeeded")
			}
			f := retry.ClassifyFailure(err, trace)
			if f.Type != c.want || f.Processed != c.processed {
				t.Errorf("got %s, may have been processed: %v; want %s, %v\nerror: %v", f.Type, f.Processed, c.want, c.processed, err)
			}
			if f.Details == "" || strings.Contains(f.Details, "secret") {
				t.Errorf("details %q: want some, without anything of the request or the answer", f.Details)
			}
		})
	}
}
