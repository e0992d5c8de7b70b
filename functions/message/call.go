package message

import (
	"strconv"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// A Call is what is asked of a proxy: the request, and how long somebody waits for its answer.
type Call struct {
	Request Request `json:"request,omitzero"`

	// Execution names the execution of an asynchronous request, see package execution, where the request and the attempts are
	// kept. Empty for a request whose caller waits.
	Execution string `json:"execution,omitempty"`

	// Made is how many attempts there were when the state machine was last answered, if they are kept there.
	Made int `json:"made,omitempty"`

	// Redrive is the number of the redrive that started the execution, if one did: it is the first, the second, and so on.
	Redrive int `json:"redrive,omitempty"`

	// RequestID is the id of the request: that of the gateway's invocation, and the name of the execution.
	RequestID string `json:"requestId,omitempty"`

	// Deadline is when the caller stops waiting, in milliseconds since the Unix epoch.
	Deadline int64 `json:"deadline"`

	// MaxAttempts is the caller's own limit on attempts. Zero means the policy's alone.
	MaxAttempts int `json:"maxAttempts,omitempty"`

	// Keyed says that the request carries a key that makes it safe to repeat, in whatever field.
	Keyed bool `json:"keyed,omitempty"`

	// Recorded says that the answer goes into an idempotency record.
	Recorded bool `json:"recorded,omitempty"`

	// Gate is what the request carries of its visit at the gate. Nil where there is none.
	Gate *GatePass `json:"gate,omitempty"`
}

// RunName is what the state machine calls an execution of an asynchronous request that was started again so many times: its name,
// and after redrives a hyphen and how many there were. A name can be used only once.
func RunName(execution string, redrives int) string {
	if redrives == 0 {
		return execution
	}
	return execution + "-" + strconv.Itoa(redrives)
}

// run is what the state machine calls the execution of an asynchronous request. Empty if the request is none.
func (c *Call) run() string { return RunName(c.Execution, c.Redrive) }

// DeadlineTime is the call's deadline as a time.
func (c *Call) DeadlineTime() time.Time { return time.UnixMilli(c.Deadline) }

// ForPolicy tells a policy what it has to know of the call, where attempts can go out through so many proxies. A credential is
// known of if it is the caller's.
func (c *Call) ForPolicy(proxies int) retry.Request {
	_, given := c.Request.Headers["idempotency-key"]
	return retry.Request{
		Method:         c.Request.Method,
		Path:           c.Request.Path,
		IdempotencyKey: c.Keyed || given,
		Credential:     c.Request.carriesCredential(),
		Proxies:        proxies,
		Deadline:       c.DeadlineTime(),
		MaxAttempts:    c.MaxAttempts,
		Unattended:     c.Execution != "",
	}
}
