package message

// The metrics that the functions write to their logs, in CloudWatch's embedded metric format, and which CloudWatch takes from
// there.
const (
	// MetricNamespace is where they are found. Their dimensions are the name of the table and the RecordPrefix, which together tell
	// one RetryingApiProxy from another.
	MetricNamespace       = "RetryingApiProxy"
	MetricTableDimension  = "TableName"
	MetricPrefixDimension = "RecordPrefix"

	// MetricGateWait is how long a request was held back at the gate, in milliseconds. Requests that were not are not counted.
	MetricGateWait = "GateWait"

	// MetricGateRefused counts requests that were turned away at the gate.
	MetricGateRefused = "GateRefused"

	// MetricGateRate is the rate that the gate lets through, in requests per second, if it is known.
	MetricGateRate = "GateRate"

	// MetricCircuitState is 0 while the circuit is closed, 1 while it is open, and 0.5 while those who waited are let go. It is
	// written with each request that came to the gate in a time of trouble.
	MetricCircuitState = "CircuitState"
)
