package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestAnAddressThatIsInUseIsSaidWithAnotherOneToTry(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	address := listener.Addr().String()
	err = run(context.Background(), environ(map[string]string{"ADDR": address}), io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), address+" is in use") || !strings.Contains(err.Error(), "ADDR=127.0.0.1:") {
		t.Errorf("the error is %v, want it to name the address and how to choose another one", err)
	}
}

// freePorts finds two ports in a row at which nothing listens.
func freePorts(t *testing.T) (first, second string) {
	t.Helper()
	for range 100 {
		url, endpoints, err := listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		url.Close()
		endpoints.Close()
		first = url.Addr().String()
		second = addressAfter(first)
		if next, err := net.Listen("tcp", second); err == nil {
			next.Close()
			return first, second
		}
	}
	t.Fatal("there are no two free ports in a row")
	return "", ""
}

func TestTheEndpointsListenOnTheNextPort(t *testing.T) {
	address, next := freePorts(t)
	url, endpoints, err := listen(address)
	if err != nil {
		t.Fatal(err)
	}
	defer url.Close()
	defer endpoints.Close()
	if url.Addr().String() != address || endpoints.Addr().String() != next {
		t.Errorf("they listen on %s and %s, want %s and %s", url.Addr(), endpoints.Addr(), address, next)
	}
}

func TestTheEndpointsListenElsewhereIfTheNextPortIsTaken(t *testing.T) {
	address, next := freePorts(t)
	taken, err := net.Listen("tcp", next)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	url, endpoints, err := listen(address)
	if err != nil {
		t.Fatal(err)
	}
	defer url.Close()
	defer endpoints.Close()
	if url.Addr().String() != address {
		t.Errorf("the URL listens on %s, want %s", url.Addr(), address)
	}
	if host, _, _ := net.SplitHostPort(endpoints.Addr().String()); host != "127.0.0.1" {
		t.Errorf("the endpoints listen on %s, want a port of 127.0.0.1", endpoints.Addr())
	}
}

func TestTheEndpointsListenOnALoopbackAddressWhateverTheURLListensOn(t *testing.T) {
	for _, address := range []string{":0", "0.0.0.0:0", "[::]:0", "127.0.0.1:0", "localhost:0", otherAddress(t) + ":0"} {
		url, endpoints, err := listen(address)
		if err != nil {
			t.Fatal(err)
		}
		defer url.Close()
		defer endpoints.Close()
		if host, _, _ := net.SplitHostPort(endpoints.Addr().String()); host != "127.0.0.1" && (address != "localhost:0" || host != "::1") {
			t.Errorf("with %s the endpoints listen on %s", address, endpoints.Addr())
		}
	}
}

func TestTheEndpointsListenOnTheLoopbackAddressOfTheURL(t *testing.T) {
	for _, host := range []string{"127.0.0.3", "::1"} {
		url, endpoints, err := listen(net.JoinHostPort(host, "0"))
		if err != nil {
			t.Logf("this machine has no %s: %v", host, err)
			continue
		}
		defer url.Close()
		defer endpoints.Close()
		if got, _, _ := net.SplitHostPort(endpoints.Addr().String()); got != host {
			t.Errorf("the endpoints listen on %s, want a port of %s", endpoints.Addr(), host)
		}
	}
}

func TestTheConsoleHasAListenerOfItsOwnWhereTheURLIsOnNoLoopbackAddress(t *testing.T) {
	for _, address := range []string{":0", "0.0.0.0:0", "[::]:0", "127.0.0.1:0"} {
		url, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer url.Close()
		if own, err := listenForConsole(url); own != nil || err != nil {
			t.Errorf("with %s it is %v, %v; want none", address, own, err)
		}
	}
	url, err := net.Listen("tcp", net.JoinHostPort(otherAddress(t), "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer url.Close()
	_, port, _ := net.SplitHostPort(url.Addr().String())
	first, err := listenForConsole(url)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if first.Addr().String() != "127.0.0.1:"+port {
		t.Logf("port %s of 127.0.0.1 was taken", port)
	}
	second, err := listenForConsole(url) // the port is taken now
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if host, _, _ := net.SplitHostPort(second.Addr().String()); host != "127.0.0.1" {
		t.Errorf("it listens on %s, want a port of 127.0.0.1", second.Addr())
	}
}

func TestAfterTheLastPortAndAfterAnyComesAny(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1:8787": "127.0.0.1:8788", "[::1]:8787": "[::1]:8788", ":8787": ":8788",
		"127.0.0.1:0": "127.0.0.1:0", "127.0.0.1:65535": "127.0.0.1:0", "127.0.0.1:http": "127.0.0.1:0",
	} {
		if got := addressAfter(address); got != want {
			t.Errorf("after %s comes %s, want %s", address, got, want)
		}
	}
}

func TestAnotherAddressToTryHasAPortThatExists(t *testing.T) {
	for address, want := range map[string]string{"127.0.0.1:8787": "8797", "127.0.0.1:65530": "0", "127.0.0.1:http": "0"} {
		if got := anotherPort(address); got != want {
			t.Errorf("in the place of %s it is %s, want %s", address, got, want)
		}
	}
}

func TestWhatIsServedBesideTheStackKeepsIdleConnectionsForAMinute(t *testing.T) {
	server := newServer(http.NotFoundHandler())
	if server.IdleTimeout != time.Minute || server.ReadHeaderTimeout != 10*time.Second {
		t.Errorf("idle connections are kept for %v, and those without a request for %v; want 1m and 10s", server.IdleTimeout, server.ReadHeaderTimeout)
	}
}
