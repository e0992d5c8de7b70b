package retryhttp

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
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

// look reads the body of an answer for the rules of a policy, and puts it back. It returns nothing of a body that is larger
// than rules look at. Of one that is cut off, what came and the error are put back.
func look(response *http.Response) ([]byte, error) {
	body := response.Body
	if _, switched := body.(io.Writer); switched || body == nil || body == http.NoBody {
		return nil, nil
	}
	content, err := io.ReadAll(io.LimitReader(body, retry.MaxRuleBodyBytes+1))
	switch {
	case err != nil:
		response.Body = joined{io.MultiReader(bytes.NewReader(content), failing{err}), body}
		return nil, err
	case len(content) > retry.MaxRuleBodyBytes:
		response.Body = joined{io.MultiReader(bytes.NewReader(content), body), body}
		return nil, nil
	}
	response.Body = joined{bytes.NewReader(content), body}
	return content, nil
}

// failing is a reader that has nothing but an error.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

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
