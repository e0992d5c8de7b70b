package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
)

// A visit is what a client does before it resets its connection, which goes to the function URL or to the endpoints.
type visit struct {
	what     string
	endpoint bool
	sends    func(random *rand.Rand) string
	reads    int           // that many bytes of what comes, if that many come
	stays    time.Duration // at most, at random
}

// get is a GET request.
func get(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n" }

// always sends the same.
func always(text string) func(*rand.Rand) string { return func(*rand.Rand) string { return text } }

// visits are the ways of clients that go away. Those that start executions are few, because each goes on to its end.
var visits = []visit{
	{what: "before it sends", sends: always("")},
	{what: "after a request, at once", sends: always(get("/long")), stays: time.Millisecond},
	{what: "while its request is worked on", sends: always(get("/long")), stays: 50 * time.Millisecond},
	{what: "while the answer is written", sends: always(get("/long")), reads: 1},
	{what: "in the middle of its fields", sends: func(random *rand.Rand) string {
		return "POST / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + strings.Repeat("x", random.IntN(5000))
	}, stays: 3 * time.Millisecond},
	{what: "in the middle of its body", sends: func(random *rand.Rand) string {
		return "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", random.IntN(99999))
	}, stays: 3 * time.Millisecond},
	{what: "with its events open", sends: always(get("/-/local/events")), reads: 20, stays: 50 * time.Millisecond},
	{what: "while its events are written", sends: always(get("/-/local/events")), stays: 2 * time.Millisecond},
	{what: "before what it has asked for many times", sends: always(strings.Repeat(get("/-/local/console.js"), 40)), stays: 5 * time.Millisecond},
	{what: "amid what it has asked for many times", sends: always(strings.Repeat(get("/-/local/console.js"), 40)), reads: 1, stays: 2 * time.Millisecond},
	{what: "before the endpoints answer", endpoint: true, sends: always(strings.Repeat(get("/2015-03-31/functions"), 20)), stays: 2 * time.Millisecond},
	{what: "while the endpoints answer", endpoint: true, sends: always(strings.Repeat(get("/2015-03-31/functions"), 20)), reads: 1},
}

// reset makes a visit and resets the connection.
func (v visit) reset(t *testing.T, address string, random *rand.Rand) {
	connection, err := net.Dial("tcp", address)
	if err != nil {
		t.Errorf("%s: %v", v.what, err)
		return
	}
	_ = connection.(*net.TCPConn).SetLinger(0)
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(connection, v.sends(random)); err != nil {
		t.Errorf("%s: %v", v.what, err)
	}
	if v.reads > 0 {
		if _, err := io.ReadFull(connection, make([]byte, v.reads)); err != nil {
			t.Errorf("%s: %v", v.what, err)
		}
	}
	if v.stays > 0 {
		time.Sleep(time.Duration(random.Int64N(int64(v.stays))))
	}
}

// longUpstream answers with a body of 200 KB.
func longUpstream(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, strings.Repeat("x", 200_000))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// announced reads what the program prints up to the line that says that it is ready, and returns the function URL, the
// console and the endpoints.
func (p *program) announced(t *testing.T) (url, console, endpoints string) {
	t.Helper()
	endpoints = strings.Fields(p.await(t, "endpoints "))[1]
	console = strings.Fields(p.await(t, "console "))[1]
	url = strings.Fields(p.await(t, "ready "))[1]
	return url, console, endpoints
}

func TestAThousandResetConnectionsEndNothing(t *testing.T) {
	t.Parallel()
	const resets = 1000
	p := startProgram(t, "ADDR=127.0.0.1:0", "UPSTREAM="+longUpstream(t), "SPEED=50")
	url, _, endpoints := p.announced(t)
	go func() { // lest the program waits for a reader
		for range p.lines {
		}
	}()
	var clients sync.WaitGroup
	for client := range 4 {
		clients.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(client)))
			for i := client; i < resets; i += 4 {
				v := visits[i/4%len(visits)]
				address := url
				if v.endpoint {
					address = endpoints
				}
				v.reset(t, strings.TrimPrefix(address, "http://"), random)
			}
		})
	}
	clients.Wait()
	if status, _, body := request(t, url+"/"); status != http.StatusOK || len(body) != 200_000 {
		t.Errorf("after %d resets the answer is %d with %d bytes, want 200 with 200000", resets, status, len(body))
	}
	if code := p.end(t, os.Interrupt); code != 0 {
		t.Errorf("the exit code is %d, want 0", code)
	}
	if told := p.stderr.String(); told != "" {
		t.Errorf("on stderr it said %s", told)
	}
	p.leavesNothing(t)
}

// endsByItself waits for the end of the program, and returns the exit code.
func (p *program) endsByItself(t *testing.T) int {
	t.Helper()
	ended := make(chan struct{})
	go func() { defer close(ended); _ = p.command.Wait() }()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		_ = p.command.Process.Kill()
		<-ended
		t.Fatal("it does not end")
	}
	return p.command.ProcessState.ExitCode()
}

// endsQuietly checks that the program ends by itself as after an interrupt, and says nothing of it.
func (p *program) endsQuietly(t *testing.T) {
	t.Helper()
	if code := p.endsByItself(t); code != 0 {
		t.Errorf("the exit code is %d, want 0", code)
	}
	if told := p.stderr.String(); told != "" {
		t.Errorf("on stderr it said %s", told)
	}
	p.leavesNothing(t)
}

// As with local | head -1.
func TestAnOutputThatNobodyReadsAfterItsFirstLineEndsTheProgram(t *testing.T) {
	t.Parallel()
	p := startProgram(t, "ADDR=127.0.0.1:0", "UPSTREAM=")
	p.await(t, "synthesising")
	p.stdout.Close()
	p.endsQuietly(t)
}

func TestAnOutputThatNobodyReadsEndsTheProgramWhileItServes(t *testing.T) {
	t.Parallel()
	p := startProgram(t, "ADDR=127.0.0.1:0", "UPSTREAM="+longUpstream(t), "SPEED=50")
	url, _, _ := p.announced(t)
	request(t, url+"/") // so that there are sandboxes
	p.stdout.Close()
	// The lines about requests go nowhere. The answer to the one that is told of may be lost with the program.
	for range 5 {
		response, err := http.Get(url + "/")
		if err != nil {
			break
		}
		response.Body.Close()
	}
	p.endsQuietly(t)
}

// oddAnswers are what an upstream should not send, or what has to be read with care.
var oddAnswers = map[string]string{
	"101":             "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
	"101-and-more":    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x05hello",
	"100-and-nothing": "HTTP/1.1 100 Continue\r\n\r\n",
	"103-then-200":    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
	"000":             "HTTP/1.1 000 Nothing\r\nContent-Length: 0\r\n\r\n",
	"042":             "HTTP/1.1 042 Answer\r\nContent-Length: 0\r\n\r\n",
	"099":             "HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n",
	"600":             "HTTP/1.1 600 High\r\nContent-Length: 0\r\n\r\n",
	"999":             "HTTP/1.1 999 Higher\r\nContent-Length: 0\r\n\r\n",
	"1000":            "HTTP/1.1 1000 Highest\r\nContent-Length: 0\r\n\r\n",
	"minus":           "HTTP/1.1 -20 Below\r\nContent-Length: 0\r\n\r\n",
	"204-with-a-body": "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nbody",
	"205":             "HTTP/1.1 205 Reset Content\r\nContent-Length: 4\r\n\r\nbody",
	"304-with-a-body": "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nbody",
	"name":            "HTTP/1.1 200 OK\r\nX A: b\r\nContent-Length: 0\r\n\r\n",
	"reason":          "HTTP/1.1 503 \x1b[2J\x9b\r\nContent-Length: 0\r\n\r\n",
	"http-2":          "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"nothing":         "",
}

// oddUpstream answers a request for /odd/{name} with one of oddAnswers and closes the connection, and others with 200.
func oddUpstream(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer connection.Close()
				asked, err := http.ReadRequest(bufio.NewReader(connection))
				if err != nil {
					return
				}
				answer, odd := oddAnswers[strings.TrimPrefix(asked.URL.Path, "/odd/")]
				if !odd {
					answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\neven"
				}
				_, _ = io.WriteString(connection, answer)
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

func TestNoAnswerOfAnUpstreamEndsAnything(t *testing.T) {
	t.Parallel()
	p := startProgram(t, "ADDR=127.0.0.1:0", "UPSTREAM="+oddUpstream(t), "SPEED=1000", "VERBOSE=1")
	url, console, _ := p.announced(t)
	var requests sync.WaitGroup
	for name := range oddAnswers {
		requests.Go(func() {
			client := &http.Client{Timeout: 2 * time.Minute}
			response, err := client.Get(url + "/odd/" + name)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			defer response.Body.Close()
			if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode < 200 || response.StatusCode > 599 {
				t.Errorf("%s is answered with %d, %v", name, response.StatusCode, err)
			}
		})
	}
	requests.Wait()
	for address, want := range map[string]string{url + "/even": "even", console: "<html", console + "executions": "/odd/101"} {
		if status, _, body := request(t, address); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("afterwards %s is answered with %d %s", address, status, body)
		}
	}
	hangup := syscall.SIGHUP // as when its terminal is closed
	if signal.Ignored(hangup) {
		hangup = syscall.SIGTERM // under nohup, which the program inherits
	}
	_ = p.command.Process.Signal(hangup)
	for line := range p.lines {
		if strings.ContainsFunc(line, isControl) {
			t.Errorf("it printed %q", line)
		}
	}
	if code := p.endsByItself(t); code != 0 {
		t.Errorf("after the terminal was closed the exit code is %d, want 0", code)
	}
	for line := range strings.Lines(p.stderr.String()) {
		if strings.ContainsFunc(strings.TrimSuffix(line, "\n"), isControl) {
			t.Errorf("on stderr it printed %q", line)
		}
		if strings.Contains(line, "panic") {
			t.Errorf("something panicked: %s", line)
		}
	}
	p.leavesNothing(t)
}

// isControl says whether a terminal would do something at a character, but for a tab.
func isControl(c rune) bool { return c != '\t' && !unicode.IsPrint(c) }

// otherAddress is an address of this machine that is no loopback address.
func otherAddress(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok && network.IP.To4() != nil && !network.IP.IsLoopback() {
			return network.IP.String()
		}
	}
	t.Skip("this machine has no address but loopback ones")
	return ""
}

func TestWhatIsPrintedCanBeOpenedWhateverTheAddress(t *testing.T) {
	t.Parallel()
	other := otherAddress(t)
	for _, c := range []struct{ address, url string }{
		{":0", "http://127.0.0.1:"},
		{other + ":0", "http://" + other + ":"},
	} {
		t.Run(c.address, func(t *testing.T) {
			p := startProgram(t, "ADDR="+c.address, "UPSTREAM="+longUpstream(t), "SPEED=50")
			url, console, endpoints := p.announced(t)
			if !strings.HasPrefix(url, c.url) || !strings.HasPrefix(console, "http://127.0.0.1:") || !strings.HasPrefix(endpoints, "http://127.0.0.1:") {
				t.Errorf("it printed %s, %s and %s", url, console, endpoints)
			}
			for _, printed := range []string{url, console, console + "executions", endpoints + "/2015-03-31/functions"} {
				if status, _, body := request(t, printed); status != http.StatusOK {
					t.Errorf("%s is answered with %d %s", printed, status, body)
				}
			}
			// From another machine, which this one is taken for under its other address.
			port := url[strings.LastIndex(url, ":"):]
			outside, err := http.NewRequest(http.MethodGet, "http://"+other+port+"/-/local/executions", nil)
			if err != nil {
				t.Fatal(err)
			}
			outside.Host = "localhost" + port
			response, err := http.DefaultClient.Do(outside)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(response.Body)
			response.Body.Close()
			if response.StatusCode != http.StatusForbidden || !strings.Contains(string(body), "this machine only") {
				t.Errorf("the console is answered from elsewhere with %d %s, want 403", response.StatusCode, body)
			}
			if status, _, _ := request(t, "http://"+other+port+"/"); status != http.StatusOK {
				t.Errorf("the URL is answered from elsewhere with %d, want 200", status)
			}
			endpointPort := endpoints[strings.LastIndex(endpoints, ":"):]
			if connection, err := net.DialTimeout("tcp", other+endpointPort, 5*time.Second); err == nil {
				connection.Close()
				t.Error("the endpoints can be reached from elsewhere")
			}
			p.end(t, os.Interrupt)
			if told, want := p.stderr.String(), fmt.Sprintf("warning: requests need no signature here, and %s can be reached from other machines; the console and the AWS endpoints cannot\n", c.address); told != want {
				t.Errorf("on stderr it said %q, want %q", told, want)
			}
		})
	}
}

func TestWhatAFunctionWritesCannotMoveTheCursor(t *testing.T) {
	var out strings.Builder
	for _, verbose := range []bool{false, true} {
		none := func(string) bool { return false }
		logTo(t.Context(), &out, verbose, none)(lambda.LogEvent{Function: "proxy-1", Type: lambda.LogFunction, Message: "panic: \x1b[2J\u009b\u202e\a"})
		logTo(t.Context(), &out, verbose, none)(lambda.LogEvent{Function: "proxy-1", Type: lambda.LogFault, Message: "one\ntwo"})
	}
	want := "proxy-1  one\\ntwo\n" + `proxy-1  panic: \x1b[2J\u009b\u202e\x07` + "\n" + "proxy-1  one\\ntwo\n"
	if got := out.String(); got != want {
		t.Errorf("it printed %q, want %q", got, want)
	}
}

func TestWhyTheProgramDoesNotStartIsPrintable(t *testing.T) {
	t.Parallel()
	p := startProgram(t, "ADDR=\x1bc\u202e:1", "UPSTREAM=")
	if code := p.endsByItself(t); code != 1 {
		t.Errorf("the exit code is %d, want 1", code)
	}
	if told := p.stderr.String(); !strings.HasPrefix(told, "local: listen tcp: ") || !strings.Contains(told, `\x1bc\u202e`) || strings.Contains(told, "\x1b") {
		t.Errorf("on stderr it said %q", told)
	}
}

func TestLinesWithMetricsAreMeasuredAndPrintedIfThatIsAskedFor(t *testing.T) {
	for verbose, want := range map[bool]string{true: "gateway  metrics\ngateway  a line\ngateway  a fault\n", false: "gateway  a fault\n"} {
		var out strings.Builder
		var taken []string
		log := logTo(t.Context(), &out, verbose, func(line string) bool {
			taken = append(taken, line)
			return line == "metrics"
		})
		log(lambda.LogEvent{Function: "gateway", Type: lambda.LogFunction, Message: "metrics"})
		log(lambda.LogEvent{Function: "gateway", Type: lambda.LogFunction, Message: "a line"})
		log(lambda.LogEvent{Function: "gateway", Type: lambda.LogFault, Message: "a fault"}) // the host's words
		if out.String() != want || strings.Join(taken, ", ") != "metrics, a line" {
			t.Errorf("verbose is %v, and it prints %q, after %q were measured; want %q", verbose, out.String(), taken, want)
		}
	}
}
