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

	// MetricProxyDimension tells the proxies apart, beside the other two, of metrics that say so.
	MetricProxyDimension = "Proxy"

	// MetricRequests counts the requests that the gateway answered, and MetricRequestTime is how long each took, in milliseconds.
	MetricRequests    = "Requests"
	MetricRequestTime = "RequestTime"

	// MetricReplays counts answers from a record, MetricConflicts requests whose key was in use (409) or belonged to another payload
	// (422), and MetricRefused the other requests that were answered with a problem below 500.
	MetricReplays   = "Replays"
	MetricConflicts = "Conflicts"
	MetricRefused   = "Refused"

	// MetricUnavailable counts problems that are ours: engine-unavailable, engine-failed, proxies without room and their like. The
	// upstream has no part in them.
	MetricUnavailable = "Unavailable"

	// MetricUpstreamFailed counts requests that were given up on: the upstream gave no final answer in the attempts or the time that
	// there were. MetricDeadlinesExceeded counts those among them whose time was up, and MetricOutcomesUnknown those, also of
	// MetricUnavailable, that the upstream may have carried out all the same.
	MetricUpstreamFailed    = "UpstreamFailed"
	MetricDeadlinesExceeded = "DeadlinesExceeded"
	MetricOutcomesUnknown   = "OutcomesUnknown"

	// MetricAttempts counts attempts, MetricRetries those that were not the first of their request, and MetricRateLimits those that
	// the upstream refused for a limit. Each also has the dimension MetricProxyDimension. MetricAttemptTime is how long each took, and
	// MetricRetryWait the wait that was decided on after it, both in milliseconds.
	MetricAttempts    = "Attempts"
	MetricRetries     = "Retries"
	MetricRateLimits  = "RateLimits"
	MetricAttemptTime = "AttemptTime"
	MetricRetryWait   = "RetryWait"

	// MetricAddresses is how many addresses the proxies have called from, as far as a gateway has lately seen. There is none unless
	// AddressProbeVariable is set.
	MetricAddresses = "Addresses"
)
