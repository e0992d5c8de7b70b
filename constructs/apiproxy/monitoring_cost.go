package apiproxy

import (
	"fmt"
	"io"
)

// monitoring is what is paid for by the month, rather than by the request.
type monitoring struct {
	omitted        bool
	calm, all      int // metrics that the functions tell of while all is well, and at most
	alarms, looked int // alarms, and the metrics that they look at
	dashboard      bool
	queries        int
}

// How many of the metrics of functions/message/metric.go have a value while all is well, how many others there are, how many are of
// the gate, and how many of each kind are told of each proxy, too.
const (
	calmMetrics         = 4 // Requests, RequestTime, Attempts and AttemptTime
	calmProxyMetrics    = 1 // Attempts
	troubleMetrics      = 11
	troubleProxyMetrics = 2 // Retries and RateLimits
	gateMetrics         = 4
)

// monitoring counts it. It assumes props that have their defaults.
func (p RetryingApiProxyProps) monitoring() monitoring {
	m := monitoring{omitted: p.OmitMetrics, dashboard: p.Dashboard != nil}
	m.calm = calmMetrics + calmProxyMetrics*p.ProxyCount
	m.all = m.calm + troubleMetrics + troubleProxyMetrics*p.ProxyCount
	if !p.gate().Idle() {
		m.all += gateMetrics
	}
	for _, w := range p.alarmed() {
		m.alarms++
		m.looked += w.metrics
	}
	if p.SavedQueries {
		m.queries = len(savedQueries)
	}
	return m
}

// explain says what it costs.
func (m monitoring) explain(out io.Writer) {
	if !m.omitted {
		fmt.Fprintf(out, "\nThe functions tell of %d metrics while all is well, and of %d at most: $%.2f to $%.2f a month, by the hours in which each\n"+
			"has a value. OmitMetrics leaves them out.\n", m.calm, m.all, float64(m.calm)*priceMetric, float64(m.all)*priceMetric)
	}
	if m.alarms > 0 {
		fmt.Fprintf(out, "%d alarms on %d metrics cost $%.2f a month.\n", m.alarms, m.looked, float64(m.looked)*priceAlarmMetric)
	}
	if m.dashboard {
		fmt.Fprintf(out, "The dashboard costs $%.2f a month, unless it is one of the account's first three.\n", priceDashboard)
	}
	if m.queries > 0 {
		fmt.Fprintf(out, "The %d saved queries cost nothing, and each time that one is run $%.3f for each GB of logs that it reads.\n", m.queries, priceQueryGB)
	}
}
