// Package sdkhttp carries requests of the AWS SDK so that each answer can be read to its end.
package sdkhttp

import (
	"io"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// A Doer sends requests, as *http.Client and the clients of the SDK do.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// Client makes a Doer for the SDK of another one, such as the HTTPClient of a loaded aws.Config, in whose place it is put. Nil, which
// that is as a rule, stands for the SDK's own. With it, an answer is read to its end whichever goroutine is late.
//
// The SDK closes the body of a request as soon as the header section of the answer is there. net/http, once it has written the
// body, looks whether there is more of it, and does so by io.WriterTo if the body has that. The body of the SDK says io.EOF
// there if it was closed in between, which net/http takes for a failure, so that it closes the connection while the answer is
// read: "use of closed network connection". By io.Reader, io.EOF is no failure.
func Client(next Doer) Doer {
	if next == nil {
		next = awshttp.NewBuildableClient()
	}
	return client{next}
}

type client struct{ next Doer }

func (c client) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = reader{r.Body} // the request is the SDK's own copy for this attempt
	}
	return c.next.Do(r)
}

// A reader is a body that can be read and closed, and nothing else.
type reader struct{ io.ReadCloser }
