package message

import (
	"strconv"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// DeadLetterVersion is the version of the letters that this code writes.
const DeadLetterVersion = 1

// A DeadLetter tells, in a message of a queue, of an asynchronous request that failed. It refers to what is kept of the
// request, and holds nothing of it: no path, no header field, no body, nor anything that the upstream wrote.
type DeadLetter struct {
	// Version is [DeadLetterVersion].
	Version int `json:"version"`

	// Execution is the name of the execution that failed, by which the state machine and a redrive know it. It is not the id
	// that whoever started the request was told: nobody finds their answer by it.
	Execution string `json:"execution"`

	// Item is the id of the item with what is known of the execution, in the table of the RetryingApiProxy.
	Item string `json:"item"`

	// RequestID is the id of the request that started it, which stands in the logs.
	RequestID string `json:"requestId"`

	// Deadline is until when the request had time, in milliseconds since the Unix epoch, and At is when the letter was
	// written, as RFC 3339 has it.
	Deadline int64  `json:"deadline"`
	At       string `json:"at"`

	// Summary says why it failed.
	Summary Summary `json:"summary"`
}

// A Summary says in short why an asynchronous request failed. It goes through the state machine, whose history is kept for 90
// days, so it has numbers and names of this project's and of RFC 9209 only.
type Summary struct {
	// Reason is why no further attempt was made.
	Reason retry.Reason `json:"reason"`

	// Attempts is how many there were. Missing if no proxy was left to say so.
	Attempts int `json:"attempts,omitempty"`

	// Answers lists what the latest of them, [MaxSummaryAnswers] at most, were answered, oldest first: a status such as 503, or
	// the type of a failure such as connection_timeout.
	Answers []string `json:"answers,omitempty"`

	// MaybeProcessed says that the upstream may have acted on the request.
	MaybeProcessed bool `json:"maybeProcessed"`
}

// MaxSummaryAnswers is how many answers a summary lists.
const MaxSummaryAnswers = 20

// summarise is the summary of the envelope of a failed outcome. It is nil if nobody has to see to the request: it was stopped,
// or another one has its key.
func summarise(e *Envelope) *Summary {
	if e.Outcome != retry.Failed || e.Error == Stopped || e.Error == Superseded {
		return nil
	}
	s := &Summary{Reason: e.Error, Attempts: len(e.Attempts)}
	for _, a := range e.Attempts {
		s.MaybeProcessed = s.MaybeProcessed || a.MaybeProcessed
	}
	for _, a := range e.Attempts[max(0, len(e.Attempts)-MaxSummaryAnswers):] {
		answer := string(a.Error)
		if a.Status != 0 {
			answer = strconv.Itoa(a.Status)
		}
		s.Answers = append(s.Answers, answer)
	}
	return s
}

// SummaryOfLosses is the summary of an execution whose proxies were lost, as the state machine writes it.
func SummaryOfLosses() map[string]any {
	return map[string]any{"reason": string(ProxiesLost), "maybeProcessed": true}
}

// SummaryPath is where the state machine finds the summary of an envelope. Without one there is no letter.
const SummaryPath = "$.summary"

// DeadLetterBody gives the MessageBody of the state that sends the letter.
func DeadLetterBody() map[string]any {
	return map[string]any{
		"version":     DeadLetterVersion,
		"execution.$": "$$.Execution.Name",
		"item.$":      ItemPath,
		"requestId.$": "$$.Execution.Input.call.requestId",
		"deadline.$":  "$$.Execution.Input.call.deadline",
		"at.$":        "$$.State.EnteredTime",
		"summary.$":   SummaryPath,
	}
}
