package terminal

import (
	"errors"
	"io"
	"sync"
	"syscall"
)

// A Writer writes whole lines, made printable as [Lines] does. It is safe for concurrent use.
//
// Whoever puts the text of somebody else into a line calls [Line] first, since the end of a line within it is taken for
// a real one here.
type Writer struct {
	out    io.Writer
	broken func()

	mu   sync.Mutex
	gone bool
}

// NewWriter makes a writer that writes to out, and calls broken, once, when it finds that nobody can read that any more:
// the other end of a pipe was closed (local | head), or the terminal is gone. What is written afterwards is dropped.
//
// For standard output and standard error the program has to take SIGPIPE, with [os/signal.Notify]: it would end there
// and then otherwise.
func NewWriter(out io.Writer, broken func()) *Writer { return &Writer{out: out, broken: broken} }

func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone {
		return len(p), nil
	}
	if _, err := io.WriteString(w.out, Lines(string(p))); err != nil {
		if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.EIO) {
			w.gone = true
			w.broken()
		}
		return 0, err
	}
	return len(p), nil
}
