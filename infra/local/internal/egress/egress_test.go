package egress_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/egress"
)

func TestTheUpstreamSeesTheForwardersSourceAddress(t *testing.T) {
	source := sourceAddress(t)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		body, _ := io.ReadAll(r.Body)
		io.WriteString(w, host+" "+string(body))
	}))
	defer upstream.Close()
	forwarder := forward(t, upstream.Listener.Addr().String(), source)

	response, err := http.Post("http://"+forwarder.Address(), "text/plain", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	if want := source.String() + " hello"; string(body) != want {
		t.Errorf("the upstream answered %q, want %q", body, want)
	}
}

func TestAnUpstreamThatIsDownRefusesConnectionsAndComesBack(t *testing.T) {
	reserved, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := reserved.Addr().String()
	reserved.Close()
	forwarder := forward(t, address, sourceAddress(t))

	eventually(t, "the forwarder refuses connections", func() bool {
		connection, err := net.Dial("tcp", forwarder.Address())
		if err == nil {
			connection.Close()
		}
		return err != nil
	})

	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("the port was taken meanwhile: %v", err)
	}
	upstream := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.NotFoundHandler()}}
	upstream.Start()
	defer upstream.Close()
	eventually(t, "the forwarder passes connections on again", func() bool {
		response, err := http.Get("http://" + forwarder.Address())
		if err == nil {
			response.Body.Close()
		}
		return err == nil
	})
}

func TestAResetIsPassedOnAsAReset(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.ReadFull(connection, make([]byte, 1)) // fails for the forwarder's probe
			_ = connection.(*net.TCPConn).SetLinger(0)
			connection.Close()
		}
	}()
	forwarder := forward(t, listener.Addr().String(), sourceAddress(t))

	connection, err := net.Dial("tcp", forwarder.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	_, _ = connection.Write([]byte("x"))
	if _, err := connection.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("reading gave %v, want a reset", err)
	}
}

func forward(t *testing.T, target string, source netip.Addr) *egress.Forwarder {
	t.Helper()
	forwarder, err := egress.New(target, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(forwarder.Close)
	return forwarder
}

func sourceAddress(t *testing.T) netip.Addr {
	t.Helper()
	source := netip.MustParseAddr("127.0.0.7")
	if !egress.Usable(source) {
		t.Skip("this machine has no loopback address but 127.0.0.1")
	}
	return source
}

// eventually waits for something that happens in another goroutine.
func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if happened() {
			return
		}
	}
	t.Fatalf("it did not happen that %s", what)
}
