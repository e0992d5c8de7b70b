package lambda

import (
	"bytes"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"
)

// output reads what a process writes to its standard output and standard error, which share one pipe so that the order
// of lines is kept.
type output struct {
	pipe *os.File
	line func([]byte)

	// partial is the line whose end has not been read yet.
	partial []byte
	ended   chan struct{}

	drainMu sync.Mutex
	drained chan struct{}
}

// newOutput reads from pipe until all its writers are gone, calling line for each line, without its end.
func newOutput(pipe *os.File, line func([]byte)) *output {
	o := &output{pipe: pipe, line: line, ended: make(chan struct{}), drained: make(chan struct{}, 1)}
	go o.read()
	return o
}

func (o *output) read() {
	defer close(o.ended)
	buf := make([]byte, 32*1024)
	for {
		n, err := o.pipe.Read(buf)
		o.split(buf[:n])
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			o.pipe.SetReadDeadline(time.Time{})
			o.readAvailable(buf)
			o.drained <- struct{}{}
		default: // io.EOF, or the pipe was closed
			if len(o.partial) > 0 {
				o.line(o.partial)
			}
			return
		}
	}
}

// readAvailable reads what is in the pipe without waiting for more.
func (o *output) readAvailable(buf []byte) {
	raw, err := o.pipe.SyscallConn()
	if err != nil {
		return
	}
	raw.Read(func(fd uintptr) bool {
		for {
			n, err := syscall.Read(int(fd), buf)
			if errors.Is(err, syscall.EINTR) {
				continue
			}
			if n <= 0 {
				return true
			}
			o.split(buf[:n])
		}
	})
}

// drain returns when everything that was written before it was called has been handed on. Without it a line could be
// counted to the invocation after its own.
func (o *output) drain() {
	o.drainMu.Lock()
	defer o.drainMu.Unlock()
	// A deadline in the past interrupts the reader, which then drains the pipe.
	if o.pipe.SetReadDeadline(time.Unix(1, 0)) != nil {
		return
	}
	select {
	case <-o.drained:
	case <-o.ended:
	}
}

// end waits until all writers are gone, at most for limit, and closes the pipe.
func (o *output) end(limit time.Duration) {
	select {
	case <-o.ended:
	case <-time.After(limit):
		// Something outside the process group has inherited the pipe.
	}
	o.pipe.Close()
	<-o.ended
}

func (o *output) split(data []byte) {
	for len(data) > 0 {
		end := bytes.IndexByte(data, '\n')
		if end < 0 {
			o.partial = append(o.partial, data...)
			for len(o.partial) >= MaxLogLine {
				o.line(o.partial[:MaxLogLine])
				o.partial = append(o.partial[:0], o.partial[MaxLogLine:]...)
			}
			return
		}
		text := data[:end]
		if len(o.partial) > 0 {
			o.partial = append(o.partial, text...)
			text = o.partial
		}
		text = bytes.TrimSuffix(text, []byte{'\r'})
		for len(text) > MaxLogLine {
			o.line(text[:MaxLogLine])
			text = text[MaxLogLine:]
		}
		o.line(text)
		o.partial = o.partial[:0]
		data = data[end+1:]
	}
}
