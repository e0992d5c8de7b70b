package lambda

import (
	"fmt"
	"strings"
)

// traceHeader returns the value of Lambda-Runtime-Trace-Id for one invocation: the caller's X-Amzn-Trace-Id when it
// names a root, else a new one. The form is Root=1-{8 hex digits of epoch seconds}-{24 hex digits};Parent={16 hex
// digits};Sampled={0|1}. A new trace is sampled when the function's tracing is active, and is never sent anywhere.
func (h *Host) traceHeader(given string, active bool) string {
	if strings.Contains(given, "Root=") {
		return given
	}
	id := h.random(12 + 8)
	sampled := 0
	if active {
		sampled = 1
	}
	return fmt.Sprintf("Root=1-%08x-%x;Parent=%x;Sampled=%d", uint32(h.config.Now().Unix()), id[:12], id[12:], sampled)
}

// traceRoot returns the Root=… part of a trace header.
func traceRoot(header string) string {
	for part := range strings.SplitSeq(header, ";") {
		if part = strings.TrimSpace(part); strings.HasPrefix(part, "Root=") {
			return part
		}
	}
	return header
}
