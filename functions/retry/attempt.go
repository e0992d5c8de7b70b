package retry

import "slices"

// An Attempt is one try at the upstream and what came of it. It travels in the envelope from proxy to proxy, and is
// told to the caller in Proxy-Status and in problem documents, but for its Address, see [Told].
type Attempt struct {
	// Proxy is the name of the proxy that made the attempt, such as proxy-2.
	Proxy string `json:"proxy"`

	// Address is the address that the proxy calls from, if it knows: an IP address, as another host sees it. Callers are not told.
	Address string `json:"address,omitempty"`

	// Start is when the attempt began, in milliseconds since the Unix epoch. Zero if it is not known, because the
	// proxy was lost.
	Start int64 `json:"start,omitempty"`

	// Duration is how long it took, in milliseconds.
	Duration int64 `json:"duration,omitempty"`

	// Status is the upstream's HTTP status, or zero if there was none.
	Status int `json:"status,omitempty"`

	// Error is the RFC 9209 type of the failure, if there was one.
	Error ErrorType `json:"error,omitempty"`

	// Details is a short text for people that says more about the failure, or about a limit that does not say when it ends. It
	// holds no payload.
	Details string `json:"details,omitempty"`

	// MaybeProcessed says that the upstream may have acted on the request, although the attempt brought no final answer.
	// Where it is false, what came of the attempt is proof that nothing was done.
	MaybeProcessed bool `json:"maybeProcessed,omitempty"`

	// Kind is the budget that the attempt was charged to. It is empty if that is none: of the final answer, and of an attempt
	// that the same proxy repeated at once, with another credential.
	Kind Kind `json:"kind,omitempty"`

	// Wait is the delay that was decided on after the attempt, in milliseconds.
	Wait int64 `json:"wait,omitempty"`

	// NotBefore is the moment before which the upstream wanted no further request, in milliseconds since the Unix
	// epoch, if it said so. Later decisions respect it.
	NotBefore int64 `json:"notBefore,omitempty"`

	// Why says in a few words what was decided after the attempt, and by which rule.
	Why string `json:"why,omitempty"`
}

// Told is what callers are told of attempts: all but the addresses, which are for whoever runs the proxies to know.
func Told(attempts []Attempt) []Attempt {
	told := slices.Clone(attempts)
	for i := range told {
		told[i].Address = ""
	}
	return told
}
