package lambda

import (
	"net/http"
	"time"
)

// A Metric is a value of one of the metrics that Lambda tells CloudWatch of, in the namespace AWS/Lambda. Here, these are Invocations,
// Errors, Duration, Throttles and ConcurrentExecutions, and of function URLs UrlRequestCount, Url4xxCount, Url5xxCount and
// UrlRequestLatency: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
type Metric struct {
	Name string

	// Unit is Count or Milliseconds.
	Unit string

	// Function is the name of the function that it is of, or empty for all functions together, which ConcurrentExecutions has.
	Function string

	Value float64
	Time  time.Time
}

const (
	unitCount        = "Count"
	unitMilliseconds = "Milliseconds"
)

func (h *Host) measure(function, name, unit string, value float64) {
	if h.config.Metric != nil {
		h.config.Metric(Metric{Name: name, Unit: unit, Function: function, Value: value, Time: h.config.Now()})
	}
}

// measureRoom tells how many invocations run of the function, and of all. The caller holds the host's lock.
func (fn *function) measureRoom() {
	fn.host.measure(fn.Name, "ConcurrentExecutions", unitCount, float64(fn.active))
	fn.host.measure("", "ConcurrentExecutions", unitCount, float64(fn.host.running))
}

// measureEnd tells of an invocation that has ended.
func (fn *function) measureEnd(result Result) {
	fn.host.measure(fn.Name, "Invocations", unitCount, 1)
	fn.host.measure(fn.Name, "Errors", unitCount, oneIf(result.FunctionError != ""))
	fn.host.measure(fn.Name, "Duration", unitMilliseconds, float64(result.Duration.Microseconds())/1000)
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// measured tells of the requests of a function URL.
func (u *functionURL) measured(w http.ResponseWriter, r *http.Request, answer func(http.ResponseWriter, *http.Request)) {
	seen := &seenStatus{ResponseWriter: w, status: http.StatusOK}
	began := time.Now()
	answer(seen, r)
	function, _, err := u.host.find(u.function)
	if err != nil {
		return
	}
	u.host.measure(function.Name, "UrlRequestCount", unitCount, 1)
	u.host.measure(function.Name, "Url4xxCount", unitCount, oneIf(seen.status >= 400 && seen.status < 500))
	u.host.measure(function.Name, "Url5xxCount", unitCount, oneIf(seen.status >= 500))
	u.host.measure(function.Name, "UrlRequestLatency", unitMilliseconds, float64(time.Since(began).Microseconds())/1000)
}

// seenStatus notes the status of an answer.
type seenStatus struct {
	http.ResponseWriter
	status int
}

func (w *seenStatus) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap gives http.ResponseController the writer itself.
func (w *seenStatus) Unwrap() http.ResponseWriter { return w.ResponseWriter }
