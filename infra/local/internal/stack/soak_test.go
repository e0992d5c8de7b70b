package stack_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/attemptlog"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/console"
)

// soak skips a test that is for `make soak`.
func soak(t *testing.T) {
	t.Helper()
	if os.Getenv("SOAK") == "" {
		t.Skip("it takes minutes; make soak runs it")
	}
}

// heap is what is in use after garbage was collected, in bytes.
func heap() float64 {
	runtime.GC()
	runtime.GC() // what finalisers have set free, too
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// resident is the resident memory of a process in MB, or 0 where there is no /proc.
func resident(pid string) float64 {
	status, _ := os.ReadFile(filepath.Join("/proc", pid, "status"))
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmRSS:" {
			kilobytes, _ := strconv.ParseFloat(fields[1], 64)
			return kilobytes / 1024
		}
	}
	return 0
}

// residentFunctions is the resident memory of this process's children together, in MB.
func residentFunctions() (sum float64) {
	parents, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range parents {
		status, _ := os.ReadFile(path)
		// The parent's id is the second field after the name, which stands in brackets.
		_, rest, _ := strings.Cut(string(status), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == strconv.Itoa(os.Getpid()) {
			sum += resident(filepath.Base(filepath.Dir(path)))
		}
	}
	return sum
}

// TestMemoryIsBoundedWhateverTheNumberOfRequests runs the stack with all that make local has around it.
func TestMemoryIsBoundedWhateverTheNumberOfRequests(t *testing.T) {
	soak(t)
	printer := attemptlog.New(io.Discard)
	shown := console.New(console.Config{})
	s := start(t, serve(t, respond(http.StatusCreated, strings.Repeat("x", 1000))), func(_ testing.TB, c *config) {
		c.LogBytes = 1 << 20 // which are full soon
		c.Middleware = func(url http.Handler) http.Handler { return shown.Middleware(printer.Middleware(url)) }
	})
	s.StepFunctions.Observe(printer.Event)
	shown.Watch(s.StepFunctions, s.DynamoDB, s.View())

	asked := 0
	ask := func(n int, keyed bool) {
		t.Helper()
		var wg sync.WaitGroup
		var next atomic.Int64
		for range 4 {
			wg.Go(func() {
				for i := next.Add(1); i <= int64(n); i = next.Add(1) {
					var fields []string
					if keyed {
						fields = []string{"Idempotency-Key", fmt.Sprintf("key-%d", i)}
					}
					if a := send(t, s, http.MethodPost, "/", "{}", fields...); a.Status != http.StatusCreated {
						t.Errorf("the answer is %d %s", a.Status, a.Body)
						return
					}
				}
			})
		}
		wg.Wait()
		asked += n
	}
	const megabyte = 1 << 20
	began := time.Now()
	tell := func(what string) {
		t.Logf("%v: after %d requests %s: %.1f MB in use, %.1f MB resident, functions %.1f MB", time.Since(began).Round(time.Second),
			asked, what, heap()/megabyte, resident("self"), residentFunctions())
	}

	ask(2_000, false) // all that is bounded by a number of executions is full then
	tell("without a key")
	before := heap()
	ask(5_000, false)
	tell("without a key")
	if grown := (heap() - before) / megabyte; grown > 4 {
		t.Errorf("5000 requests without a key left %.1f MB, want nothing but noise", grown)
	}

	const records = 20_000
	before = heap()
	functions := residentFunctions()
	ask(records, true)
	tell("with a key in 20000 of them")
	perRecord := (heap() - before) / records
	t.Logf("a record of an answer of 1000 bytes takes %.1f KB", perRecord/1024)
	if perRecord > 6*1024 {
		t.Errorf("a record takes %.0f bytes, want at most 6 KB", perRecord)
	}
	if grown := residentFunctions() - functions; grown > 40 {
		t.Errorf("the functions have grown by %.1f MB", grown)
	}
	before = heap()
	ask(2_000, true)
	tell("and replays")
	if grown := (heap() - before) / megabyte; grown > 4 {
		t.Errorf("2000 replays left %.1f MB, want nothing but noise", grown)
	}
}
