package apiproxy

import "time"

// CircuitBreaker stops the calls of a FlowControl.Key while nearly all of them fail: with a 5xx, or without any answer. One caller
// at a time then tries, and the others wait for as long as their deadlines and FlowControl.MaxWaiting let them; whoever finds no
// place is answered with 503 and a Retry-After. After a success, those who waited are let go little by little. It is the same
// in every FlowControl.Mode, Off included, and costs what flow control costs: nothing is written while calls succeed.
//
// It trips when at least MinimumFailures calls and FailureRate of them all have failed within two seconds. One sick host among
// many, or calls of which half fail, do not trip it.
type CircuitBreaker struct {
	// Disabled has every request call, whatever has become of the others. Default: false.
	Disabled bool

	// MinimumFailures is how many calls have to fail within two seconds, 1 or more. Default: 10.
	MinimumFailures int

	// FailureRate is the share of calls that has to fail, more than 0 and at most 1. Default: 0.8.
	FailureRate float64

	// ProbeInterval is how often one call is let through to see whether the outage is over, 100 ms or more. Default: 1 second.
	ProbeInterval time.Duration

	// RampUp is at what multiple of the rate at which requests came those that wait are let go after an outage, more than 1 and at
	// most 10. A higher one is a higher peak at an upstream that has just recovered; a lower one has them wait longer. Default: 1.5.
	RampUp float64
}
