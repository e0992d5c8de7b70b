package retry

import "time"

// Limits of the engine that runs a policy.
const (
	// ExpressDuration is the longest that an Express execution can take.
	ExpressDuration = 5 * time.Minute

	// EngineMargin is how much of an execution is kept for what is not an attempt: starting, the last transitions, and
	// writing the record.
	EngineMargin = 10 * time.Second
)
