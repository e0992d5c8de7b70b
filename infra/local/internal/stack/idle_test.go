package stack_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// idle closes connections on which nothing is asked after a time.
func idle(url, endpoints time.Duration) setting {
	return func(_ testing.TB, c *config) { c.URLIdleTimeout, c.EndpointIdleTimeout = url, endpoints }
}

// keptFor asks once on a connection and returns for how long it was kept afterwards, at most for a second.
func keptFor(t *testing.T, base string) time.Duration {
	t.Helper()
	parsed, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	connection, err := net.Dial("tcp", parsed.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	request, err := http.NewRequest(http.MethodGet, base+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := request.Write(connection); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(connection)
	response, err := http.ReadResponse(reader, request)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_ = connection.SetReadDeadline(began.Add(time.Second))
	if _, err := reader.ReadByte(); err != nil && !errors.Is(err, io.EOF) && time.Since(began) < time.Second {
		t.Error(err)
	}
	return time.Since(began)
}

func TestIdleConnectionsAreClosedAfterTheTimeThatIsSet(t *testing.T) {
	t.Parallel()
	s := start(t, closedAddress(t), idle(0, 50*time.Millisecond))
	if kept := keptFor(t, s.Endpoint()); kept >= time.Second {
		t.Errorf("the AWS endpoints kept an idle connection for %v, want 50ms", kept)
	}
	if kept := keptFor(t, s.URL()); kept < time.Second {
		t.Errorf("the function URL kept an idle connection for %v, want a minute", kept)
	}
	if stack.DefaultIdleTimeout != time.Minute {
		t.Errorf("the default is %v, want a minute", stack.DefaultIdleTimeout)
	}
	s = start(t, closedAddress(t), idle(50*time.Millisecond, 0))
	if kept := keptFor(t, s.URL()); kept >= time.Second {
		t.Errorf("the function URL kept an idle connection for %v, want 50ms", kept)
	}
	if kept := keptFor(t, s.Endpoint()); kept < time.Second {
		t.Errorf("the AWS endpoints kept an idle connection for %v, want a minute", kept)
	}
}
