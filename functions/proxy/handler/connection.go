package handler

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/proxy/credential"
)

// A wire is what was seen of the connection of one attempt, beside what net/http tells: how many bytes were written to it,
// and the beginning of what was read.
type wire struct {
	written atomic.Int64

	mu   sync.Mutex
	read []byte // up to maxResponseHeader bytes, in the clear; none over HTTP/2
}

// wireKey is the key of an attempt's *wire in its context.
type wireKey struct{}

// connectionField is the Connection field of the answer, as it came. net/http keeps it to itself if one of its options is
// close, and with it the names of fields that concern this connection only (RFC 9110 section 7.6.1).
func (w *wire) connectionField() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	reader := textproto.NewReader(bufio.NewReader(bytes.NewReader(w.read)))
	for {
		statusLine, err := reader.ReadLine()
		if err != nil {
			return ""
		}
		fields, err := reader.ReadMIMEHeader()
		if err != nil {
			return ""
		}
		if _, status, _ := strings.Cut(statusLine, " "); !strings.HasPrefix(status, "1") { // not an interim answer
			return strings.Join(fields.Values("Connection"), ", ")
		}
	}
}

// A countedConn tells a wire how many bytes are written.
type countedConn struct {
	net.Conn
	wire *wire
}

func (c countedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.wire.written.Add(int64(n))
	return n, err
}

// A readConn shows a wire what is read.
type readConn struct {
	net.Conn
	wire *wire
}

func (c readConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.wire.mu.Lock()
	defer c.wire.mu.Unlock()
	c.wire.read = append(c.wire.read, b[:min(n, maxResponseHeader-len(c.wire.read))]...)
	return n, err
}

// A dialFunc opens connections.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// countingWrites counts what is written to the connections that dial opens for attempts.
func countingWrites(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if seen, watched := ctx.Value(wireKey{}).(*wire); err == nil && watched {
			conn = countedConn{conn, seen}
		}
		return conn, err
	}
}

// watchingReads looks at what is read from the connections that dial opens for attempts. A connection with HTTP/2 is left as it is:
// net/http needs it itself.
func watchingReads(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if secured, ok := conn.(*tls.Conn); ok && secured.ConnectionState().NegotiatedProtocol == "h2" {
			return conn, nil
		}
		if seen, watched := ctx.Value(wireKey{}).(*wire); watched {
			conn = readConn{conn, seen}
		}
		return conn, nil
	}
}

// encrypted puts TLS above the connections that dial opens. net/http would do the same, but shows nobody what is read
// through it.
func encrypted(dial dialFunc, config *tls.Config) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		config := config.Clone()
		if config.ServerName == "" {
			config.ServerName, _, _ = net.SplitHostPort(address)
		}
		credential.Present(ctx, config)
		if trace := httptrace.ContextClientTrace(ctx); trace != nil && trace.TLSHandshakeStart != nil {
			trace.TLSHandshakeStart()
		}
		secured := tls.Client(conn, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		return secured, nil
	}
}
