package message

// FailOn says after which ends an invocation fails whose event is a request, rather than answer: the member failOn of such
// an event. Whoever invokes asynchronously sees no answer, only whether the invocation has failed.
type FailOn string

const (
	// FailNever has every end answered, a problem included. It is the default.
	FailNever FailOn = "never"

	// FailWithoutFinalAnswer has the invocation fail where the upstream gave no final answer: attempts or time ran out,
	// the request could not be sent, or its key is in use. It is the default for the messages of a queue.
	FailWithoutFinalAnswer FailOn = "no-final-answer"

	// FailOnError has it fail after a final answer with a status from 400, too.
	FailOnError FailOn = "error"
)

// FailOns are all values of FailOn.
var FailOns = []FailOn{FailNever, FailWithoutFinalAnswer, FailOnError}
