package message

import "github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"

// A Callback has the state machine start another execution at the end of an asynchronous request: one that tells somebody of it.
type Callback struct {
	// Name is what the state machine calls that execution.
	Name string `json:"name"`

	// Input is what it starts with.
	Input *Envelope `json:"input"`
}

// The JSONPaths by which the state machine finds the callback of a request. Without one, nobody is told.
const (
	CallbackPath      = "$$.Execution.Input.callback"
	CallbackNamePath  = "$$.Execution.Input.callback.name"
	CallbackInputPath = "$$.Execution.Input.callback.input"
)

// CallbackRefused is the Error of an envelope whose callback was answered with something other than 2xx, after which it makes no
// sense to come again.
const CallbackRefused retry.Reason = "CallbackRefused"

// CallbackNotStarted is the reason of a dead letter whose callback could not be started.
const CallbackNotStarted retry.Reason = "CallbackNotStarted"

// CallbackLetterBody gives the MessageBody of the state that sends the letter of a callback which could not be started.
func CallbackLetterBody() map[string]any {
	return map[string]any{
		"version":     DeadLetterVersion,
		"execution.$": CallbackNamePath,
		"item.$":      CallbackInputPath + ".item",
		"requestId.$": CallbackInputPath + ".call.requestId",
		"deadline.$":  CallbackInputPath + ".call.deadline",
		"at.$":        "$$.State.EnteredTime",
		"summary":     map[string]any{"reason": string(CallbackNotStarted), "maybeProcessed": false},
	}
}
