package localonly_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/localonly"
)

// ask sends a request through a guard to a handler that answers 200, and returns the status and what was said. Host and
// Remote among the fields stand for the host and for where the request comes from.
func ask(t *testing.T, method, target string, fields ...string) (status int, detail string) {
	t.Helper()
	guard := localonly.Guard{
		What:   "The things",
		Hosts:  []string{"aws.local", "sync-aws.local"},
		Page:   "/page/",
		Refuse: func(w http.ResponseWriter, status int, text string) { w.WriteHeader(status); detail = text },
	}
	r := httptest.NewRequest(method, target, nil)
	r.Host, r.RemoteAddr = "127.0.0.1:8788", "127.0.0.1:50000"
	for i := 0; i < len(fields); i += 2 {
		switch name, value := fields[i], fields[i+1]; name {
		case "Host":
			r.Host = value
		case "Remote":
			r.RemoteAddr = value
		default:
			r.Header.Add(name, value)
		}
	}
	w := httptest.NewRecorder()
	guard.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
	return w.Code, detail
}

func allows(t *testing.T, method, target string, fields ...string) {
	t.Helper()
	if status, detail := ask(t, method, target, fields...); status != http.StatusOK {
		t.Errorf("%s %s with %q is answered with %d: %s", method, target, fields, status, detail)
	}
}

func refuses(t *testing.T, want int, says string, method, target string, fields ...string) {
	t.Helper()
	status, detail := ask(t, method, target, fields...)
	if status != want || !strings.Contains(detail, says) || !strings.Contains(detail, "The things are") {
		t.Errorf("%s %s with %q is answered with %d: %s; want %d with %q", method, target, fields, status, detail, want, says)
	}
}

var methods = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"}

func TestProgramsOfThisMachineAreLetThrough(t *testing.T) {
	for _, method := range methods {
		allows(t, method, "/")
		for _, host := range []string{
			"localhost", "localhost:8788", "LOCALHOST:8788", "localhost.", "sfn.localhost:8788", "127.0.0.1", "127.1.2.3:80",
			"[::1]", "[::1]:8788", "[::ffff:127.0.0.1]:8788", "aws.local", "AWS.local", "sync-aws.local", "aws.local:80",
		} {
			allows(t, method, "/", "Host", host)
		}
		for _, remote := range []string{"127.0.0.1:1", "127.8.8.8:65535", "[::1]:1", "[::ffff:127.0.0.1]:1"} {
			allows(t, method, "/", "Remote", remote)
		}
	}
}

func TestAForeignHostIsMisdirected(t *testing.T) {
	for _, method := range methods {
		for _, host := range []string{
			"", "rebound.example", "rebound.example:8788", "127.0.0.1.rebound.example", "localhost.rebound.example", "notlocalhost",
			"aws.local.rebound.example", "async-aws.local", "sync-sync-aws.local", "192.168.1.2:8788", "0.0.0.0:8788", "[::]:8788", "[fe80::1]:80",
			"127.0.0.1@rebound.example", "2130706433", "0x7f000001", "127.1", "states.us-east-1.amazonaws.com",
		} {
			refuses(t, http.StatusMisdirectedRequest, fmt.Sprintf("%q", host), method, "/", "Host", host)
		}
	}
}

func TestAnotherMachineIsRefusedWhateverHostItNames(t *testing.T) {
	for _, remote := range []string{"192.168.1.7:50000", "[fe80::1%eth0]:50000", "[2001:db8::1]:50000", "[::ffff:10.0.0.1]:1", "0.0.0.0:1", "", "@", "pipe"} {
		for _, method := range methods {
			refuses(t, http.StatusForbidden, "comes from "+remote, method, "/page/", "Remote", remote, "Host", "localhost:8788")
			refuses(t, http.StatusForbidden, "this machine only", method, "/page/", "Remote", remote, "Host", "rebound.example")
		}
	}
}

func TestAnotherSiteIsRefusedWhateverTheMethod(t *testing.T) {
	for _, method := range methods {
		for _, fields := range [][]string{
			{"Sec-Fetch-Site", "cross-site"},
			{"Sec-Fetch-Site", "same-site"},
			{"Sec-Fetch-Site", "unheard-of"},
			{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Site", "cross-site"},
			{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "script"},
			{"Sec-Fetch-Site", "same-origin", "Origin", "https://other.example"},
			{"Sec-Fetch-Site", "cross-site", "Origin", "http://127.0.0.1:8788"},
			{"Origin", "https://other.example"},
			{"Origin", "https://127.0.0.1:8788"}, // another scheme
			{"Origin", "http://127.0.0.1:8787"},  // another port
			{"Origin", "http://localhost:8788"},  // another name
			{"Origin", "http://127.0.0.1"},
			{"Origin", "127.0.0.1:8788"},
			{"Origin", "null"},
			{"Origin", ""},
			{"Origin", "http://127.0.0.1:8788", "Origin", "https://other.example"},
			{"Origin", "https://other.example", "Host", "aws.local"},
		} {
			refuses(t, http.StatusForbidden, "another site", method, "/", fields...)
			refuses(t, http.StatusForbidden, "another site", method, "/page/data", fields...)
		}
	}
}

func TestAPageThatIsServedHereIsLetThrough(t *testing.T) {
	for _, method := range methods {
		allows(t, method, "/page/data", "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty")
		allows(t, method, "/page/data", "Sec-Fetch-Site", "same-origin", "Origin", "http://127.0.0.1:8788")
		allows(t, method, "/page/data", "Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")
		allows(t, method, "/", "Origin", "http://LOCALHOST:8788", "Host", "localhost:8788")
	}
}

func TestALinkOnAnotherSiteOpensThePageAndNothingElse(t *testing.T) {
	link := []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}
	allows(t, "GET", "/page/", link...)
	allows(t, "GET", "/page/?execution=1", link...)
	for _, method := range methods[1:] {
		refuses(t, http.StatusForbidden, "another site", method, "/page/", link...)
	}
	for _, path := range []string{"/", "/page", "/page/data", "/page/page.js", "/page/../data"} {
		refuses(t, http.StatusForbidden, "another site", "GET", path, link...)
	}
	refuses(t, http.StatusForbidden, "another site", "GET", "/page/", append(link, "Origin", "https://other.example")...)
	for _, fields := range [][]string{
		{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"},
		{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "navigate"},
		{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "document"},
	} {
		refuses(t, http.StatusForbidden, "another site", "GET", "/page/", fields...)
	}
}

// What comes through HTTP_PROXY has the host in its target, and the field does not count.
func TestAnAbsoluteTargetNamesTheHost(t *testing.T) {
	guard := localonly.Guard{What: "The things", Hosts: []string{"aws.local"},
		Refuse: func(w http.ResponseWriter, status int, _ string) { w.WriteHeader(status) }}
	server := httptest.NewServer(guard.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	defer server.Close()
	for _, c := range []struct {
		target, host string
		want         int
	}{
		{"http://aws.local/", "aws.local", http.StatusOK},
		{"http://aws.local/", "rebound.example", http.StatusOK},
		{"http://rebound.example/", "aws.local", http.StatusMisdirectedRequest},
		{"http://rebound.example/", "127.0.0.1", http.StatusMisdirectedRequest},
	} {
		connection, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(connection, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", c.target, c.host)
		response, err := http.ReadResponse(bufio.NewReader(connection), nil)
		connection.Close()
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != c.want {
			t.Errorf("%s with the field %s is answered with %d, want %d", c.target, c.host, response.StatusCode, c.want)
		}
	}
}
