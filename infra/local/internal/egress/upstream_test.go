package egress_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"syscall"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/egress"
)

func TestEachCallerHasAnAddressOfItsOwnAndTheNameOfTheUpstreamStays(t *testing.T) {
	sourceAddress(t)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		io.WriteString(w, host)
	}))
	defer upstream.Close()
	_, port, err := net.SplitHostPort(upstream.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "localhost"} {
		for i, want := range map[int]string{1: "127.0.0.2", 2: "127.0.0.3", 20: "127.0.0.21"} {
			baseURL, forwarder, err := egress.For("http://"+host+":"+port+"/v1?key=k", i)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(forwarder.Close)
			if base, err := url.Parse(baseURL); err != nil || base.Hostname() != host || base.Port() == port || base.RequestURI() != "/v1?key=k" {
				t.Errorf("%s is reached under %s, %v", host, baseURL, err)
			}
			response, err := http.Get("http://" + forwarder.Address())
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(response.Body)
			response.Body.Close()
			if string(body) != want {
				t.Errorf("the upstream sees caller %d at %s, want %s", i, body, want)
			}
		}
	}
}

func TestAnUpstreamElsewhereIsReachedAsItIs(t *testing.T) {
	for _, upstream := range []string{"https://api.example.com/v1", "http://10.1.2.3:8080", "http://[::1]:8080", "http://127.0.0.2:8080"} {
		if baseURL, forwarder, err := egress.For(upstream, 1); baseURL != upstream || forwarder != nil || err != nil {
			t.Errorf("%s is reached under %s, through %v, %v", upstream, baseURL, forwarder, err)
		}
	}
}

func TestAnUpstreamThatStopsIsSeenAsRefused(t *testing.T) {
	upstream := httptest.NewServer(http.NotFoundHandler())
	defer upstream.Close()
	forwarder := forward(t, upstream.Listener.Addr().String(), sourceAddress(t))
	response, err := http.Get("http://" + forwarder.Address())
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	upstream.Close()
	eventually(t, "the forwarder refuses connections", func() bool {
		connection, err := net.Dial("tcp", forwarder.Address())
		if err == nil {
			_, _ = connection.Read(make([]byte, 1)) // until the forwarder has seen that it leads nowhere
			connection.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED) // and no reset, which would not prove that nothing was sent
	})
}
