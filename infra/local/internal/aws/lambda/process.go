package lambda

import (
	"errors"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// process is a started function process, the leader of its own process group: a terminal's interrupt reaches the host
// alone, and children of the function end with it.
type process struct {
	cmd *exec.Cmd

	mu     sync.Mutex
	reaped bool
}

// kill ends the process and its children, frozen or not.
func (p *process) kill() { p.signal(syscall.SIGKILL) }

// signal reaches the process and its children. It does nothing once the process has been waited for, because its id may
// belong to another one by then.
func (p *process) signal(signal syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		syscall.Kill(-p.cmd.Process.Pid, signal)
	}
}

// stop freezes the process and its children.
func (p *process) stop() { p.signal(syscall.SIGSTOP) }

// resume lets a process that is frozen run on.
func (p *process) resume() { p.signal(syscall.SIGCONT) }

// wait returns when the process has exited and its children have been killed. The text says how it ended, in the words
// of Lambda.
func (p *process) wait() string {
	err := p.cmd.Wait()
	p.mu.Lock()
	// Children that the process left behind keep its group alive, and with it the group's id. Without any the call
	// finds nothing.
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	p.reaped = true
	p.mu.Unlock()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return "Runtime exited without providing a reason"
	case errors.As(err, &exit):
		return "Runtime exited with error: " + exit.ProcessState.String()
	default:
		return "Runtime exited with error: " + err.Error()
	}
}

// starter starts processes from one operating system thread that lives as long as the host. On Linux a process that is
// to die with its parent is bound to the thread that started it (prctl(2), PR_SET_PDEATHSIG), and the threads on which
// goroutines happen to run may end at any time.
type starter struct {
	requests chan startRequest
}

type startRequest struct {
	cmd    *exec.Cmd
	result chan error
}

func newStarter() *starter {
	s := &starter{requests: make(chan startRequest)}
	go func() {
		// The thread is not unlocked: it ends with the goroutine.
		runtime.LockOSThread()
		for r := range s.requests {
			r.result <- r.cmd.Start()
		}
	}()
	return s
}

func (s *starter) start(cmd *exec.Cmd) (*process, error) {
	cmd.SysProcAttr = processAttributes()
	r := startRequest{cmd: cmd, result: make(chan error, 1)}
	s.requests <- r
	if err := <-r.result; err != nil {
		return nil, err
	}
	return &process{cmd: cmd}, nil
}

// stop ends the thread. All processes must be gone.
func (s *starter) stop() { close(s.requests) }
