package lambda_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/lambda"
)

// processesOf returns the processes that run the binary, by /proc.
func processesOf(t *testing.T, binary string) []string {
	t.Helper()
	entries, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, entry := range entries {
		if target, err := os.Readlink(entry); err == nil && target == binary {
			found = append(found, filepath.Base(filepath.Dir(entry)))
		}
	}
	return found
}

// copyOfEcho returns a copy of the function's binary that no other test runs.
func copyOfEcho(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(echoBinary)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "bootstrap")
	if err := os.WriteFile(path, content, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestClosingTheHostLeavesNoProcess(t *testing.T) {
	binary := copyOfEcho(t)
	var logged logs
	host := newHost(t, lambda.Config{Log: logged.add}, echo(func(f *lambda.Function) { f.Path = binary }))
	results, release := heldInvocations(t, host, &logged, 8)
	release()
	for range 8 {
		<-results
	}
	if n := len(processesOf(t, binary)); n != 8 {
		t.Fatalf("%d processes before Close, want 8", n)
	}
	host.Close()
	if left := processesOf(t, binary); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
}

func TestAHostThatIsKilledLeavesNoProcess(t *testing.T) {
	binary := copyOfEcho(t)
	directory := t.TempDir()
	if err := os.WriteFile(filepath.Join(directory, "hold"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	host := exec.Command(os.Args[0])
	host.Env = append(os.Environ(), hostProcess+"="+directory, "LAMBDA_TEST_BOOTSTRAP="+binary)
	host.Stderr = os.Stderr
	output, err := host.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(output).ReadString('\n'); err != nil || line != "held\n" {
		t.Fatalf("the host said %q, %v", line, err)
	}
	if n := len(processesOf(t, binary)); n != 1 {
		t.Fatalf("%d function processes, want 1", n)
	}
	host.Process.Signal(syscall.SIGKILL)
	host.Wait()
	eventually(t, "the function's process is gone", func() bool { return len(processesOf(t, binary)) == 0 })
}

func TestAProcessOutlivesTheThreadThatAskedForIt(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo())
	var pid int
	var wg sync.WaitGroup
	wg.Go(func() {
		runtime.LockOSThread() // and never unlock: the thread ends here
		pid = invokeReport(t, host, `{}`).PID
	})
	wg.Wait()
	for range 20 {
		wg.Go(func() { runtime.LockOSThread() })
	}
	wg.Wait()
	if r := invokeReport(t, host, `{}`); r.PID != pid || r.Count != 2 {
		t.Errorf("process %d served invocation %d, want process %d to go on", r.PID, r.Count, pid)
	}
}

func TestAnInterruptAtTheTerminalDoesNotReachFunctions(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo())
	pid := invokeReport(t, host, `{}`).PID
	group, err := syscall.Getpgid(pid)
	if err != nil {
		t.Fatal(err)
	}
	if group != pid || group == syscall.Getpgrp() {
		t.Errorf("process %d is in group %d, want one of its own", pid, group)
	}
}

func TestPgrepFindsAFunctionByItsShortName(t *testing.T) {
	pgrep, err := exec.LookPath("pgrep")
	if err != nil {
		t.Skip("pgrep is not installed")
	}
	host := newHost(t, lambda.Config{}, echo(func(f *lambda.Function) { f.ProcessName = "proxy-1-of-this-test" }))
	invoke(t, host, `{}`)
	if output, err := exec.Command(pgrep, "-f", "^proxy-1-of-this-test").Output(); err != nil || strings.TrimSpace(string(output)) == "" {
		t.Errorf("pgrep found %q: %v", output, err)
	}
}
