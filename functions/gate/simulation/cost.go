package main

import "github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/simulation"

// Prices of DynamoDB on demand, us-east-1, of one write unit and of an eventually consistent read of up to 4 KB.
const (
	priceWrite = 0.625e-6
	priceRead  = 0.125e-6 / 2
)

func (t *table) dollars() float64 {
	return float64(t.writes)*priceWrite + float64(t.reads)*priceRead
}

// dollars is what the engine costs, as in package retry: functions of 256 MB on arm64 and an Express execution for as
// long as the request is held, and an attempt's function for each call.
func dollars(m *simulation.Measures) float64 {
	const gb, attempt = 0.25, 0.1
	held := m.Held.Seconds()
	n, calls := float64(m.Requests), float64(m.Calls)
	return n*(0.2e-6+1e-6) + held*(gb*0.0000133334+0.0625*0.00001667) + calls*(0.2e-6+attempt*gb*0.0000133334)
}
