package lambda

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// outputGrace is how long the output of a process that has exited is read on, should something have inherited it.
const outputGrace = time.Second

// sandbox is one process of one version of a function, with its Runtime API.
type sandbox struct {
	fn        *function
	version   string
	logStream string
	process   *process
	output    *output
	server    *http.Server

	// invocations hands work to the Runtime API. It has no buffer: what was sent has been taken by the process's
	// request for it.
	invocations chan *invocation

	// ready is closed by the first request for work.
	ready     chan struct{}
	readyOnce sync.Once

	// exited is closed when the process is gone and its output has been read.
	exited chan struct{}

	// exit says how the process ended; valid after exited.
	exit string

	mu        sync.Mutex
	current   *invocation // the invocation that the process is working on
	initError *functionError

	// The function's lock guards these: expiry ends the sandbox when it has been idle for too long, retired marks one
	// whose process is gone.
	expiry  *time.Timer
	retired bool
}

// newSandbox returns a sandbox whose process is not started yet.
func (fn *function) newSandbox(version string) *sandbox {
	h := fn.host
	return &sandbox{
		fn:          fn,
		version:     version,
		logStream:   fmt.Sprintf("%s/[%s]%x", h.config.Now().UTC().Format("2006/01/02"), version, h.random(16)),
		invocations: make(chan *invocation),
		ready:       make(chan struct{}),
		exited:      make(chan struct{}),
	}
}

// start starts the process. After an error there is none, and exited is closed.
func (s *sandbox) start() (err error) {
	h := s.fn.host
	defer func() {
		if err != nil {
			s.exit = err.Error()
			close(s.exited)
		}
	}()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for the Runtime API: %w", err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		listener.Close()
		return fmt.Errorf("open a pipe for the logs: %w", err)
	}
	defer write.Close()

	cmd := exec.Command(s.fn.Path)
	cmd.Args = []string{s.fn.ProcessName}
	cmd.Dir = filepath.Dir(s.fn.Path)
	cmd.Env = s.fn.environment(s.version, s.logStream, listener.Addr().String())
	cmd.Stdout, cmd.Stderr = write, write
	if s.process, err = h.starter.start(cmd); err != nil {
		listener.Close()
		read.Close()
		return err
	}
	s.output = newOutput(read, func(line []byte) {
		s.mu.Lock()
		inv := s.current
		s.mu.Unlock()
		s.log(LogEvent{Type: LogFunction, Message: string(line)}, inv)
	})
	s.server = &http.Server{Handler: s.runtimeAPI()}

	h.mu.Lock()
	h.sandboxes[s] = struct{}{}
	h.processes.Add(1)
	if h.closed {
		s.process.kill()
	}
	h.mu.Unlock()
	go s.server.Serve(listener)
	go s.reap()
	return nil
}

// reap waits for the end of the process and takes the sandbox apart.
func (s *sandbox) reap() {
	h := s.fn.host
	defer h.processes.Done()
	s.exit = s.process.wait()
	wasIdle := s.fn.retire(s)
	s.output.end(outputGrace)
	s.server.Close()
	h.mu.Lock()
	delete(h.sandboxes, s)
	closed := h.closed
	h.mu.Unlock()
	close(s.exited)
	if wasIdle && !closed {
		s.log(LogEvent{Type: LogFault, Message: "Error: " + s.exit}, nil)
	}
}

// end kills the process and returns when it is gone.
func (s *sandbox) end() {
	s.process.kill()
	<-s.exited
}

// initialise starts the process and waits until it asks for work, at most for limit. Unless the status is StatusSuccess
// the process is gone, and the error is what the invoker of requestID is to see.
func (s *sandbox) initialise(limit time.Duration, requestID string) (status string, failure *functionError) {
	if err := s.start(); err != nil {
		return StatusError, newFunctionError("Runtime.InvalidEntrypoint", "RequestId: %s Error: %v", requestID, err)
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-s.ready:
		s.mu.Lock()
		failure = s.initError
		s.mu.Unlock()
		if failure == nil {
			return StatusSuccess, nil
		}
		// It has reported a failure and asks for work nevertheless.
		s.end()
		return StatusError, failure
	case <-s.exited:
	case <-timer.C:
		s.end()
		status = StatusTimeout
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.initError != nil:
		return StatusError, s.initError
	case status == StatusTimeout:
		return status, newTimeout(s.fn.host.config.Now(), requestID, s.fn.Timeout)
	default:
		return StatusError, newExitError(requestID, s.exit)
	}
}

// take returns the sandbox that became idle last, or nil.
func (fn *function) take(version string) *sandbox {
	fn.mu.Lock()
	defer fn.mu.Unlock()
	idle := fn.idle[version]
	if len(idle) == 0 {
		return nil
	}
	s := idle[len(idle)-1]
	fn.idle[version] = idle[:len(idle)-1]
	s.expiry.Stop()
	return s
}

// put makes a sandbox available, unless its process is gone.
func (fn *function) put(s *sandbox) {
	fn.mu.Lock()
	defer fn.mu.Unlock()
	if s.retired {
		return
	}
	fn.idle[s.version] = append(fn.idle[s.version], s)
	if s.expiry != nil {
		s.expiry.Reset(fn.host.config.IdleTimeout)
		return
	}
	s.expiry = time.AfterFunc(fn.host.config.IdleTimeout, func() {
		fn.mu.Lock()
		expired := fn.removeIdle(s)
		fn.mu.Unlock()
		if expired {
			s.process.kill()
		}
	})
}

// retire sees to it that a sandbox is not taken again, and reports whether it was idle.
func (fn *function) retire(s *sandbox) bool {
	fn.mu.Lock()
	defer fn.mu.Unlock()
	s.retired = true
	return fn.removeIdle(s)
}

// removeIdle reports whether the sandbox was idle, and is not now. The caller holds the lock.
func (fn *function) removeIdle(s *sandbox) bool {
	i := slices.Index(fn.idle[s.version], s)
	if i < 0 {
		return false
	}
	fn.idle[s.version] = slices.Delete(fn.idle[s.version], i, i+1)
	s.expiry.Stop()
	return true
}
