package lambda

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"time"
)

// LogEventType says what a [LogEvent] is. The names are those of Lambda's telemetry and logs APIs.
type LogEventType string

// Types of log events.
const (
	// LogFunction is a line that the function wrote to its standard output or standard error.
	LogFunction LogEventType = "function"

	// LogInitStart: a process is started.
	LogInitStart LogEventType = "platform.initStart"

	// LogInitReport: an initialisation failed, or was repeated in the invocation. Report is set.
	LogInitReport LogEventType = "platform.initReport"

	// LogStart: an invocation is handed to a process.
	LogStart LogEventType = "platform.start"

	// LogFault: the process exited, or was killed at the timeout. Without a request id it exited while it was idle.
	LogFault LogEventType = "platform.fault"

	// LogEnd: the invocation has ended.
	LogEnd LogEventType = "platform.end"

	// LogReport: what the invocation took. Report is set.
	LogReport LogEventType = "platform.report"
)

// LogEvent is a line in a function's log stream.
type LogEvent struct {
	Time time.Time
	Type LogEventType

	// Function is the function's name and Version the version that runs.
	Function, Version string

	// LogStream names the sandbox: date, version and a random part.
	LogStream string

	// RequestID is the invocation during which the line was written; empty before the first one and between two.
	RequestID string

	// Message is the line, without its end, in the words of Lambda's plain-text log.
	Message string

	// Report is set for LogReport and LogInitReport.
	Report *Report
}

// String returns Message.
func (e LogEvent) String() string { return e.Message }

// Phases and statuses of a [Report].
const (
	PhaseInit   = "init"
	PhaseInvoke = "invoke"

	StatusSuccess = "success"
	StatusError   = "error"
	StatusTimeout = "timeout"
)

// Report is what an invocation, or an initialisation, took.
type Report struct {
	// Phase is PhaseInit for an initialisation before the invocation and PhaseInvoke otherwise.
	Phase string

	// Status is StatusSuccess, StatusError or StatusTimeout.
	Status string

	// ErrorType is the errorType of a failure.
	ErrorType string

	// Duration is the time from handing the invocation over to its end.
	Duration time.Duration

	// BilledDuration is Duration with the initialisation, rounded up to a millisecond.
	BilledDuration time.Duration

	// InitDuration is the time from starting the process to its first request for work, or to its failure; 0 for an
	// invocation without one.
	InitDuration time.Duration

	// MemorySize is the function's, in MB.
	MemorySize int
}

// MaxLogLine is the length at which a line is cut into several, in bytes: the largest event that CloudWatch Logs takes.
const MaxLogLine = 256 * 1024

// MaxLogTail is how much of an invocation's log its [Result] carries, in bytes.
const MaxLogTail = 4 * 1024

// log hands an event of a sandbox to Config.Log and keeps it in the tail of the invocation.
func (s *sandbox) log(event LogEvent, inv *invocation) {
	h := s.fn.host
	event.Time = h.config.Now()
	event.Function = s.fn.Name
	event.Version = s.version
	event.LogStream = s.logStream
	h.logMu.Lock()
	defer h.logMu.Unlock()
	if inv != nil {
		event.RequestID = inv.id
		inv.tail = append(append(inv.tail, event.Message...), '\n')
		if excess := len(inv.tail) - MaxLogTail; excess > 0 {
			inv.tail = append(inv.tail[:0], inv.tail[excess:]...)
		}
	}
	if h.config.Log != nil {
		h.config.Log(event)
	}
}

// tail returns the end of what was logged for an invocation.
func (h *Host) tail(inv *invocation) []byte {
	h.logMu.Lock()
	defer h.logMu.Unlock()
	return bytes.Clone(inv.tail)
}

func (s *sandbox) logReport(inv *invocation, report Report) {
	var b strings.Builder
	fmt.Fprintf(&b, "REPORT RequestId: %s\tDuration: %s\tBilled Duration: %d ms\tMemory Size: %d MB",
		inv.id, milliseconds(report.Duration), report.BilledDuration.Milliseconds(), report.MemorySize)
	if report.InitDuration > 0 {
		fmt.Fprintf(&b, "\tInit Duration: %s", milliseconds(report.InitDuration))
	}
	if inv.sampled() {
		fmt.Fprintf(&b, "\tXRAY TraceId: %s", strings.TrimPrefix(traceRoot(inv.traceID), "Root="))
	}
	if report.Status != StatusSuccess {
		fmt.Fprintf(&b, "\tStatus: %s", report.Status)
	}
	if report.Status == StatusError {
		fmt.Fprintf(&b, "\tError Type: %s", report.ErrorType)
	}
	s.log(LogEvent{Type: LogReport, Message: b.String(), Report: &report}, inv)
}

func (s *sandbox) logInitReport(inv *invocation, report Report) {
	message := fmt.Sprintf("INIT_REPORT Init Duration: %s\tPhase: %s\tStatus: %s",
		milliseconds(report.InitDuration), report.Phase, report.Status)
	if report.Status == StatusError {
		message += "\tError Type: " + report.ErrorType
	}
	s.log(LogEvent{Type: LogInitReport, Message: message, Report: &report}, inv)
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}

// billed rounds up to whole milliseconds, the unit of Lambda's bill.
func billed(d time.Duration) time.Duration {
	return time.Duration(math.Ceil(float64(d)/float64(time.Millisecond))) * time.Millisecond
}
