package stack_test

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
)

// Lambda gives a function processor time in proportion to its memory, and a whole processor at 1,769 MB
// (https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html).
const wholeProcessorMiB = 1769

// sharePeriod is the time in which a function can use up its share and then has to wait for its end. AWS does not say how long it is;
// 20 ms is what others have measured.
const sharePeriod = 20 * time.Millisecond

// processorShare gives the processes that start by a binary the processor time that Lambda gives for memory, and returns what starts
// them so, and their control group. It takes Linux and the right to make one.
func processorShare(b *testing.B, binary string, memoryMiB int) (starts, group string) {
	b.Helper()
	quota := sharePeriod * time.Duration(memoryMiB) / wholeProcessorMiB
	var limits map[string]string
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil { // version 2
		group, limits = "/sys/fs/cgroup", map[string]string{"cpu.max": fmt.Sprintf("%d %d", quota.Microseconds(), sharePeriod.Microseconds())}
	} else {
		group, limits = "/sys/fs/cgroup/cpu", map[string]string{
			"cpu.cfs_period_us": fmt.Sprint(sharePeriod.Microseconds()), "cpu.cfs_quota_us": fmt.Sprint(quota.Microseconds()),
		}
	}
	group, err := os.MkdirTemp(group, "memory-")
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		b.Skipf("a control group is needed: %v", err)
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		for range 100 { // processes that have been killed leave it when they are gone
			if err = os.Remove(group); err == nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		b.Error(err)
	})
	for name, value := range limits {
		if err := os.WriteFile(filepath.Join(group, name), []byte(value), 0); err != nil {
			b.Skipf("a control group with the controller cpu is needed: %v", err)
		}
	}
	starts = filepath.Join(b.TempDir(), "bootstrap")
	script := fmt.Sprintf("#!/bin/sh\necho $$ > %s/cgroup.procs && exec %s\n", group, binary)
	if err := os.WriteFile(starts, []byte(script), 0o700); err != nil {
		b.Fatal(err)
	}
	return starts, group
}

// BenchmarkMemory measures requests with one attempt at an upstream that speaks TLS, where one of the handlers has the processor time
// that comes with its memory and the other has all that there is: how long its invocations take, and how long the request takes,
// the median and the slowest of a hundred, or of ten with a body that goes to the bucket; how long the handler takes to start; and how much memory it has then used. The gateway's
// invocations hold those of the proxy. A body is sent and comes back.
func BenchmarkMemory(b *testing.B) {
	certificate, key := newCertificate(b, 1)
	url := serveTLS(b, certificate, key, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.Copy(w, r.Body)
	})
	trusting := func(_ testing.TB, c *config) { c.CertificateAuthority = string(certificate) }
	for _, handler := range []string{"gateway", "proxy-1"} {
		for _, memory := range []int{128, 192, 256, 512, wholeProcessorMiB} {
			for _, size := range []int{100, 100_000, 4_000_000} {
				b.Run(fmt.Sprintf("%s/%dMiB/%dB", handler, memory, size), func(b *testing.B) {
					starts, group := processorShare(b, binaryOf(b, handler), memory)
					var mu sync.Mutex
					var reports []lambda.Report
					log := logged(func(e lambda.LogEvent) {
						if e.Type == lambda.LogReport && strings.HasSuffix(e.Function, handler) {
							mu.Lock()
							defer mu.Unlock()
							reports = append(reports, *e.Report)
						}
					})
					s := start(b, url, from(largeRing), trusting, log, func(_ testing.TB, c *config) {
						c.Binaries = map[string]string{handler: starts}
					})
					requests := 100
					if size > 1_000_000 {
						requests = 10
					}
					body := `"` + strings.Repeat("a", size) + `"`
					var took []time.Duration
					for i := range requests + 1 {
						began := time.Now()
						if a := send(b, s, http.MethodPost, "/orders", body, "Idempotency-Key", fmt.Sprint(i)); a.Status != http.StatusOK {
							b.Fatalf("the answer is %d %s", a.Status, a.Body)
						}
						took = append(took, time.Since(began))
						time.Sleep(2 * sharePeriod) // a share that is left over is not kept
					}
					took = took[1:] // without the cold start
					slices.Sort(took)
					mu.Lock()
					defer mu.Unlock()
					first, warm := reports[0], reports[1:]
					slices.SortFunc(warm, func(x, y lambda.Report) int { return cmp.Compare(x.Duration, y.Duration) })
					b.ReportMetric(0, "ns/op")
					b.ReportMetric(mostMemory(b, group), "MiB")
					b.ReportMetric(milliseconds(first.InitDuration), "init-ms")
					b.ReportMetric(milliseconds(first.Duration), "first-ms")
					b.ReportMetric(milliseconds(warm[len(warm)/2].Duration), "p50-ms")
					b.ReportMetric(milliseconds(warm[len(warm)-1].Duration), "max-ms")
					b.ReportMetric(milliseconds(took[len(took)/2]), "request-p50-ms")
					b.ReportMetric(milliseconds(took[len(took)-1]), "request-max-ms")
				})
			}
		}
	}
}

// mostMemory is the most memory that a process of a control group has had, in MiB.
func mostMemory(b *testing.B, group string) (most float64) {
	b.Helper()
	processes, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
	if err != nil {
		b.Fatal(err)
	}
	for _, id := range strings.Fields(string(processes)) {
		status, err := os.ReadFile("/proc/" + id + "/status")
		if err != nil {
			b.Fatal(err)
		}
		for line := range strings.Lines(string(status)) {
			var kib float64
			if _, err := fmt.Sscanf(line, "VmHWM: %f kB", &kib); err == nil {
				most = max(most, kib/1024)
			}
		}
	}
	return most
}

// binaryOf is the binary of a handler that runs on this machine.
func binaryOf(b *testing.B, handler string) string {
	b.Helper()
	s := start(b, closedAddress(b))
	for _, f := range s.Lambda.Functions() {
		if s.ShortName(f.Name) == handler {
			return f.Path
		}
	}
	b.Fatalf("there is no %s", handler)
	return ""
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
