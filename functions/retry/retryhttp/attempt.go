package retryhttp

import "github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"

// An Attempt is one attempt of a request, and what was decided after it.
type Attempt struct {
	// Attempt is the entry that it has in the history of the request. Its Proxy is empty.
	retry.Attempt

	// Number counts the attempts of the request from 1.
	Number int

	// Decision says what comes next.
	Decision retry.Decision

	// Connections is on how many connections an [http.Transport] began to send the request: 1, unless there was none, or
	// it repeated the request by itself; see the package's documentation. Zero also of a base that does not tell.
	Connections int

	// Err is the error of an attempt without an answer.
	Err error
}
