package retry

import "time"

// A Policy (contract placeholder, replaced by the retry helper).
type Policy struct {
	AttemptTimeout time.Duration
	Deadline       time.Duration
}

func Default() Policy { return Policy{AttemptTimeout: 10 * time.Second, Deadline: 60 * time.Second} }

func (p Policy) WithDefaults() Policy { return Default() }

func (p Policy) Validate() error { return nil }

// Next judges ...
func (p Policy) Next(req Request, history []Attempt, result Result, random func() float64) Decision {
	return Decision{}
}
