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

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
)

// The main thread is the only one that never ends with a goroutine. Kept for the main goroutine, it starts no function
// of a test.
func init() { runtime.LockOSThread() }

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
	said := bufio.NewScanner(output)
	said.Scan()
	child := said.Text()
	if !said.Scan() || said.Text() != "held" {
		t.Fatalf("the host said %q, %v", said.Text(), said.Err())
	}
	if n := len(processesOf(t, binary)); n != 2 {
		t.Fatalf("%d function processes, want 2", n)
	}
	eventually(t, "the child is frozen", func() bool { return state(child) == "T" })
	host.Process.Signal(syscall.SIGKILL)
	host.Wait()
	eventually(t, "the functions' processes are gone", func() bool { return len(processesOf(t, binary)) == 0 })
	eventually(t, "the child is not frozen any more", func() bool { return state(child) != "T" })
}

func TestAProcessOutlivesTheThreadsOfItsHost(t *testing.T) {
	const processes = 8
	var logged logs
	host := newHost(t, lambda.Config{Log: logged.add}, echo())
	results, release := heldInvocations(t, host, &logged, processes)
	// Enough goroutines that keep a thread each take every idle one, and end it with themselves.
	const threads = 100
	var locked, wg sync.WaitGroup
	locked.Add(threads)
	for range threads {
		wg.Go(func() {
			runtime.LockOSThread()
			locked.Done()
			locked.Wait()
		})
	}
	wg.Wait()
	release()
	for range processes {
		if r := <-results; r.PID == 0 {
			t.Error("a process ended with a thread of its host")
		}
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
