package message

// What the functions tell CloudWatch, in lines of their logs that it reads as metrics (its embedded metric format), and what the
// construct's metrics are of.
const (
	// MetricNamespace is the namespace of all metrics.
	MetricNamespace = "RetryingApiProxy"

	// MetricPrefixDimension is the dimension that says whose metric it is. Its value is what RECORD_PREFIX says.
	MetricPrefixDimension = "RecordPrefix"

	// MetricGateWait is how long a request was held back at the gate, in milliseconds. Requests that were not have no value.
	MetricGateWait = "GateWait"

	// MetricGateRefused counts the requests that the gate turned away.
	MetricGateRefused = "GateRefused"

	// MetricGateRate is how many calls per second the gate of a scope lets through.
	MetricGateRate = "GateRate"

	// MetricCircuitState is the state of the circuit of a scope: CircuitIsClosed, CircuitIsClosing or CircuitIsOpen.
	MetricCircuitState = "CircuitState"
)

// Values of MetricCircuitState.
const (
	CircuitIsClosed  = 0   // calls are made
	CircuitIsClosing = 0.5 // those who waited are let go, little by little
	CircuitIsOpen    = 1   // one caller at a time tries
)
