package retryhttp

import (
	"context"
	"io"
	"net/http"
	"time"
)

// Of an answer that is not handed on, as much is read, and for as long, to use its connection again. What is more is not
// worth a connection.
const (
	maxDrain  = 64 << 10
	drainTime = 250 * time.Millisecond
)

// drain reads the rest of an answer that nobody needs, and closes it.
func drain(response *http.Response, cancel context.CancelFunc) {
	if response.Body == nil {
		return
	}
	timer := time.AfterFunc(drainTime, cancel)
	defer timer.Stop()
	io.CopyN(io.Discard, response.Body, maxDrain)
	response.Body.Close()
}

func closeAnswer(response *http.Response) {
	if response.Body != nil {
		response.Body.Close()
	}
}

// An answerBody is the body of an answer that was handed on. The context of its attempt ends when it is read or closed.
type answerBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b answerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.cancel()
	}
	return n, err
}

func (b answerBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// A connection is the body of an answer that switches protocols, which can be written to.
type connection struct {
	io.ReadWriteCloser
	cancel context.CancelFunc
}

func (c connection) Close() error {
	defer c.cancel()
	return c.ReadWriteCloser.Close()
}
