package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestASettingThatIsWrongIsSaidBeforeAnythingStarts(t *testing.T) {
	err := run(context.Background(), environ(map[string]string{"SPEED": "fast"}), io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "SPEED") {
		t.Errorf("the error is %v, want SPEED in it", err)
	}
}

// local is this program, compiled once.
var local = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(directory, "local")
	if output, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, output)
	}
	return binary, nil
})

// directory holds the program.
var directory string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if directory, err = os.MkdirTemp("", "local-test-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(directory)
		return m.Run()
	}())
}

// A program is a run of the real one.
type program struct {
	command   *exec.Cmd
	temporary string    // its directory for temporary files
	stdout    io.Closer // what reads its standard output
	lines     chan string
	stderr    bytes.Buffer // to be read when it has ended
}

// startProgram starts the program with variables added to its environment.
func startProgram(t *testing.T, variables ...string) *program {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: the CDK app is not run")
	}
	binary, err := local()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{command: exec.Command(binary), temporary: t.TempDir(), lines: make(chan string, 1000)}
	p.command.Env = append(append(os.Environ(), "TMPDIR="+p.temporary), variables...)
	p.command.Stderr = &p.stderr
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdout = stdout
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.command.Process.Kill() })
	go func() {
		defer close(p.lines)
		for scanner := bufio.NewScanner(stdout); scanner.Scan(); {
			p.lines <- scanner.Text()
		}
	}()
	return p
}

// await reads what the program prints up to a line that contains a text, and returns that line.
func (p *program) await(t *testing.T, text string) string {
	t.Helper()
	var before []string
	for {
		select {
		case line, more := <-p.lines:
			if !more {
				_ = p.command.Wait()
				t.Fatalf("it ended before it printed %q, after %q and, on stderr, %s", text, before, &p.stderr)
			}
			if strings.Contains(line, text) {
				return line
			}
			before = append(before, line)
		case <-time.After(5 * time.Minute): // the first time the CDK is compiled
			t.Fatalf("it did not print %q, but %q", text, before)
		}
	}
}

// end sends a signal and returns the exit code.
func (p *program) end(t *testing.T, signal os.Signal) int {
	t.Helper()
	if err := p.command.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	for range p.lines {
	}
	_ = p.command.Wait()
	return p.command.ProcessState.ExitCode()
}

// leavesNothing checks that the program has left neither processes nor temporary files. Its functions run from a
// temporary directory of its own, by which they can be told.
func (p *program) leavesNothing(t *testing.T) {
	t.Helper()
	if left := processesFrom(t, p.temporary); len(left) > 0 {
		t.Errorf("the processes %v are left", left)
	}
	if files, err := os.ReadDir(p.temporary); err != nil || len(files) > 0 {
		t.Errorf("the files %v are left, %v", files, err)
	}
}

func TestTheProgramRunsAgainstAnUpstreamThatIsDownAtFirst(t *testing.T) {
	t.Parallel()
	upstream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	upstream.Close()
	p := startProgram(t, "ADDR=127.0.0.1:0", "UPSTREAM=http://"+upstream.Addr().String(), "SPEED=50", "PROXIES=2")
	url := strings.TrimPrefix(p.await(t, "ready "), "ready ")

	if status, _, body := request(t, url+"/orders?token=secret"); status != http.StatusBadGateway {
		t.Errorf("while the upstream is down the answer is %d %s, want 502", status, body)
	}
	if line := p.await(t, " -> "); !strings.Contains(line, "GET /orders -> AttemptsExhausted after 3 attempts in ") {
		t.Errorf("the end of the request is printed as %q", line)
	}

	again, err := net.Listen("tcp", upstream.Addr().String())
	if err != nil {
		t.Skipf("the port was taken meanwhile: %v", err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "up") })}
	go func() { _ = server.Serve(again) }()
	defer server.Close()
	// Whoever stands between the proxies and the upstream has to notice that it is back.
	for deadline := time.Now().Add(10 * time.Second); ; {
		status, proxyStatus, body := request(t, url+"/orders")
		if status == http.StatusOK {
			if body != "up" {
				t.Errorf("the answer is %q", body)
			}
			if line := p.await(t, "-> 200"); !strings.Contains(line, "GET /orders -> 200 after ") {
				t.Errorf("the end of the request is printed as %q, and Proxy-Status is %s", line, proxyStatus)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the upstream is back, and the answer is still %d %s", status, body)
		}
	}

	if code := p.end(t, os.Interrupt); code != 0 {
		t.Errorf("after an interrupt the exit code is %d, want 0", code)
	}
	if told := p.stderr.String(); !strings.Contains(told, "warning: the upstream http://"+upstream.Addr().String()+" does not accept connections now") {
		t.Errorf("on stderr it said %q, want a warning", told)
	}
	if strings.Contains(p.stderr.String(), "secret") {
		t.Errorf("the query is on stderr: %s", &p.stderr)
	}
	p.leavesNothing(t)
}

func TestABodyOf4MBPassesTheProgramBothWaysByteForByte(t *testing.T) {
	t.Parallel()
	blob := make([]byte, 4_000_000)
	rand.NewChaCha8([32]byte{1}).Read(blob)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		slices.Reverse(body)
		_, _ = w.Write(body)
	}))
	defer upstream.Close()
	p := startProgram(t, "ADDR=127.0.0.1:0", "UPSTREAM="+upstream.URL)
	url := strings.TrimPrefix(p.await(t, "ready "), "ready ")
	response, err := http.Post(url+"/blob", "application/octet-stream", bytes.NewReader(blob))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	back, err := io.ReadAll(response.Body)
	if slices.Reverse(back); err != nil || response.StatusCode != http.StatusOK || !bytes.Equal(back, blob) {
		t.Errorf("the answer is %d with %d bytes, error %v", response.StatusCode, len(back), err)
	}
	if code := p.end(t, os.Interrupt); code != 0 {
		t.Errorf("after an interrupt the exit code is %d, want 0", code)
	}
	p.leavesNothing(t)
}

func TestTheProgramRunsADemoOfItsOwn(t *testing.T) {
	t.Parallel()
	p := startProgram(t, "ADDR=127.0.0.1:0", "UPSTREAM=", "SPEED=20")
	if line := p.await(t, "upstream "); !strings.Contains(line, "the demo") {
		t.Errorf("the upstream is printed as %q", line)
	}
	if line := p.await(t, "endpoints "); !strings.Contains(line, "http://127.0.0.1:") {
		t.Errorf("the endpoints are printed as %q", line)
	}
	url := strings.TrimPrefix(p.await(t, "ready "), "ready ")
	// Three addresses have a limit of one request each, so one of four requests has to be repeated, wherever they start.
	retried := false
	for range 4 {
		status, proxyStatus, body := request(t, url+"/status/202")
		if status != http.StatusAccepted {
			t.Errorf("the answer is %d %s, want httpbin's 202", status, body)
		}
		retried = retried || strings.Contains(proxyStatus, ", proxy-")
	}
	if !retried {
		t.Error("no request was repeated")
	}
	for _, text := range []string{"attempt 1  proxy-", "attempt 2  proxy-"} {
		p.await(t, text)
	}
	if code := p.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("after SIGTERM the exit code is %d, want 0", code)
	}
	p.leavesNothing(t)
}

func TestAnInterruptWhileTheProgramStartsEndsIt(t *testing.T) {
	t.Parallel()
	p := startProgram(t, "ADDR=127.0.0.1:0", "UPSTREAM=")
	p.await(t, "synthesising")
	if code := p.end(t, os.Interrupt); code != 130 {
		t.Errorf("the exit code is %d, want 130", code)
	}
	p.leavesNothing(t)
}

func TestAMissingNodeIsSaidWithWhereToGetIt(t *testing.T) {
	t.Parallel()
	p := startProgram(t, "ADDR=127.0.0.1:0", "UPSTREAM=", "PATH="+t.TempDir())
	for range p.lines {
	}
	_ = p.command.Wait()
	if code := p.command.ProcessState.ExitCode(); code != 1 {
		t.Errorf("the exit code is %d, want 1", code)
	}
	if told := p.stderr.String(); !strings.HasPrefix(told, "local: node is not on the PATH") || !strings.Contains(told, "https://nodejs.org") {
		t.Errorf("on stderr it said %q", told)
	}
	p.leavesNothing(t)
}

// request makes a GET request.
func request(t *testing.T, url string) (status int, proxyStatus, body string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header.Get("Proxy-Status"), string(text)
}

// The shop has three RetryingApiProxy and other resources; see its main.go.
func TestAnotherStackWithSeveralInstancesIsServed(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: the CDK app is not run")
	}
	dir := filepath.Join(t.TempDir(), "cdk.out")
	architecture := "x86_64"
	if runtime.GOARCH == "arm64" {
		architecture = "arm64"
	}
	command := exec.Command("go", "run", "./internal/stack/testdata/shop", architecture)
	command.Env = append(os.Environ(), "CDK_OUTDIR="+dir, "CDK_VALIDATION=false", `CDK_CONTEXT_JSON={"@aws-cdk/core:validateAgainstDefaultRules":false}`)
	if output, err := command.CombinedOutput(); err != nil || !bytes.Contains(output, []byte("done")) {
		t.Fatalf("go run ./internal/stack/testdata/shop: %v\n%s", err, output)
	}

	unchosen := startProgram(t, "ADDR=127.0.0.1:0", "ASSEMBLY="+dir, "SKIP=Bucket,AWS::Kinesis::*")
	if _, more := <-unchosen.lines; more {
		t.Error("it prints something without an instance")
	}
	_ = unchosen.command.Wait()
	if said := unchosen.stderr.String(); !strings.Contains(said, "those of Eu/Search, Orders, Payments") || !strings.Contains(said, "INSTANCE=Eu/Search") {
		t.Errorf("without an instance it says %q", said)
	}

	p := startProgram(t, "ADDR=127.0.0.1:0", "ASSEMBLY="+dir, "INSTANCE=Orders", "SKIP=Bucket,AWS::Kinesis::*")
	if line := p.await(t, "AWS::Lambda::Function"); !strings.Contains(line, "left out  Report") || !strings.Contains(line, "its runtime is python3.13") {
		t.Errorf("of the function in Python it says %q", line)
	}
	if line := p.await(t, "AWS::SNS::Topic"); !strings.Contains(line, "a made-up name stands for it in Echo") {
		t.Errorf("of the topic it says %q", line)
	}
	_, payments, _ := strings.Cut(p.await(t, "(Payments)"), "http://")
	payments, _, _ = strings.Cut("http://"+payments, " ")
	_, orders, _ := strings.Cut(p.await(t, "ready "), " ")
	for name, url := range map[string]string{"Orders": orders, "Payments": payments} {
		answer, err := http.Get(url + "/status/404")
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.Header.Get("Proxy-Status") == "" {
			t.Errorf("%s at %s answers %d without Proxy-Status", name, url, answer.StatusCode)
		}
		if line := p.await(t, "GET /status/404 ->"); !strings.Contains(line, "attempt") {
			t.Errorf("of the request to %s it says %q", name, line)
		}
	}
	if code := p.end(t, os.Interrupt); code != 0 {
		t.Errorf("the exit code is %d", code)
	}
}
