package execution

import (
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// CallbackTime is how long a callback may take, waits and later attempts included. Its time begins at the deadline of the
// execution that it tells of, however early that ends.
const CallbackTime = 1 * time.Hour

// A Callback is who is told of the end of an execution.
type Callback struct {
	// URL is where.
	URL string `json:"url"`

	// ID is the id of the execution that it tells of, and Origin begins the links to it: scheme and host. Empty leaves them
	// relative.
	ID     string `json:"id"`
	Origin string `json:"origin,omitempty"`

	// HideAttempts says that nothing is told of attempts.
	HideAttempts bool `json:"hideAttempts,omitempty"`

	// Of names the execution that is told of, in the execution which is the callback. Empty in the former.
	Of string `json:"of,omitempty"`
}

// IsCallback says that the execution is itself the callback of another one.
func (x *Execution) IsCallback() bool { return x.Callback != nil && x.Callback.Of != "" }

// CallsBack says that somebody is told of the execution's end.
func (x *Execution) CallsBack() bool { return x.Callback != nil && x.Callback.Of == "" }

// NewCallback makes the execution that tells of the end of this run of x. Whoever asks for executions does not find it: no id
// has its name.
func (x *Execution) NewCallback(now time.Time) *Execution {
	whom := *x.Callback
	whom.Of = x.Name
	return &Execution{
		Name:      Name("callback of " + x.Run()),
		State:     Running,
		Caller:    x.Caller,
		RequestID: x.RequestID,
		Method:    CallbackRequest().Method,
		Created:   now.UnixMilli(),
		Deadline:  x.Deadline + CallbackTime.Milliseconds(),
		Limit:     CallbackTime.Milliseconds(),
		Keyed:     true, // by webhook-id
		Callback:  &whom,
	}
}

// CallbackRequest is what a policy judges a callback by. Proxies make the request itself.
func CallbackRequest() *message.Request { return &message.Request{Method: "POST", Path: "/"} }
