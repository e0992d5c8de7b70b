package lambda

import "time"

// run carries an invocation through to its end, in a sandbox that is idle or in a new one.
func (fn *function) run(inv *invocation) (Result, error) {
	for s := fn.take(inv.version); s != nil; s = fn.take(inv.version) {
		s.begin(inv)
		if taken, status, failure := s.serve(inv); taken {
			return s.finish(inv, Report{Phase: PhaseInvoke, Status: status}, failure)
		}
		// The process ended while it was idle: nothing has been done yet.
	}

	inv.cold = true
	s := fn.newSandbox(inv.version)
	s.log(LogEvent{Type: LogInitStart, Message: "INIT_START Runtime Version: provided.al2023"}, nil)
	report := Report{Phase: PhaseInvoke}
	began := time.Now()
	status, failure := s.initialise(fn.host.config.InitTimeout, inv.id)
	duration := time.Since(began)
	if failure == nil {
		report.InitDuration = duration
		s.begin(inv)
	} else {
		s.logInitReport(nil, Report{Phase: PhaseInit, Status: status, ErrorType: failure.errorType, InitDuration: duration})
		// Lambda repeats a failed initialisation once, now as part of the invocation and on the function's own time.
		s = fn.newSandbox(inv.version)
		s.begin(inv)
		status, failure = s.initialise(fn.Timeout, inv.id)
		repeated := Report{Phase: PhaseInvoke, Status: status, InitDuration: time.Since(inv.began)}
		if failure != nil {
			repeated.ErrorType = failure.errorType
		}
		s.logInitReport(inv, repeated)
	}
	if failure == nil {
		var taken bool
		if taken, status, failure = s.serve(inv); !taken {
			status, failure = StatusError, newExitError(inv.id, s.exit)
		}
	}
	report.Status = status
	return s.finish(inv, report, failure)
}

// begin starts the function's time.
func (s *sandbox) begin(inv *invocation) {
	s.log(LogEvent{Type: LogStart, Message: "START RequestId: " + inv.id + " Version: " + inv.version}, inv)
	inv.began = time.Now()
	inv.deadline = inv.began.Add(s.fn.Timeout)
}

// serve hands an invocation to the process and waits for its end. taken is false when the process had ended before.
func (s *sandbox) serve(inv *invocation) (taken bool, status string, failure *functionError) {
	timer := time.NewTimer(time.Until(inv.deadline))
	defer timer.Stop()
	select {
	case s.invocations <- inv:
	case <-s.exited:
		return false, "", nil
	case <-timer.C:
		// The process lives and asks for no work: it hangs.
		s.end()
		return true, StatusTimeout, newTimeout(s.fn.host.config.Now(), inv.id, s.fn.Timeout)
	}
	timedOut := false
	select {
	case <-inv.done:
	case <-s.exited:
	case <-timer.C:
		timedOut = true
		s.end()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = nil // an answer that is still on its way comes too late
	switch {
	case inv.answered && inv.failure != nil:
		return true, StatusError, inv.failure
	case inv.answered:
		return true, StatusSuccess, nil
	case timedOut:
		return true, StatusTimeout, newTimeout(s.fn.host.config.Now(), inv.id, s.fn.Timeout)
	default:
		return true, StatusError, newExitError(inv.id, s.exit)
	}
}

// finish reports the end of an invocation and makes its sandbox available.
func (s *sandbox) finish(inv *invocation, report Report, failure *functionError) (Result, error) {
	report.Duration = time.Since(inv.began)
	result := Result{
		RequestID:       inv.id,
		TraceID:         inv.traceID,
		ExecutedVersion: inv.version,
		Cold:            inv.cold,
		InitDuration:    report.InitDuration,
		Duration:        report.Duration,
		Payload:         inv.response,
	}
	if failure != nil {
		result.Payload, result.FunctionError, result.ErrorType = failure.payload, Unhandled, failure.errorType
		report.ErrorType = failure.errorType
	}
	if !inv.answered && s.fn.host.isClosed() {
		return Result{}, ErrClosed
	}

	switch {
	case report.Status == StatusTimeout:
		s.log(LogEvent{Type: LogFault, Message: timeoutMessage(s.fn.host.config.Now(), inv.id, s.fn.Timeout)}, inv)
	case s.gone():
		s.log(LogEvent{Type: LogFault, Message: "RequestId: " + inv.id + " Error: " + s.exit}, inv)
	}
	s.log(LogEvent{Type: LogEnd, Message: "END RequestId: " + inv.id}, inv)
	report.MemorySize = s.fn.MemorySize
	report.BilledDuration = billed(report.Duration + report.InitDuration)
	s.logReport(inv, report)
	result.LogTail = s.fn.host.tail(inv)
	s.fn.put(s)
	return result, nil
}

// gone reports whether the process has ended.
func (s *sandbox) gone() bool {
	select {
	case <-s.exited:
		return true
	default:
		return false
	}
}
