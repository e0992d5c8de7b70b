package apiproxy_test

import (
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

func TestAllThatIsWrongWithMonitoringIsSaidAtOnce(t *testing.T) {
	type thresholds = map[apiproxy.AlarmName]float64
	for name, c := range map[string]struct {
		change func(*apiproxy.RetryingApiProxyProps)
		want   []string
	}{
		"without metrics": {func(p *apiproxy.RetryingApiProxyProps) {
			p.OmitMetrics, p.Alarms, p.Dashboard = true, &apiproxy.Alarms{}, &apiproxy.Dashboard{}
		}, []string{
			"OmitMetrics is set, and Alarms is too, which would have nothing to look at; leave one of them out",
			"OmitMetrics is set, and Dashboard is too, which would have nothing to show; leave one of them out",
		}},
		"a name with a space": {func(p *apiproxy.RetryingApiProxyProps) { p.Dashboard = &apiproxy.Dashboard{Name: "my orders"} },
			[]string{`Dashboard.Name is "my orders"; give up to 255 letters, digits, - and _, or leave it out for one that is unique`}},
		"a long name": {func(p *apiproxy.RetryingApiProxyProps) {
			p.Dashboard = &apiproxy.Dashboard{Name: strings.Repeat("a", 256)}
		}, []string{"; give up to 255 letters"}},
		"thresholds": {func(p *apiproxy.RetryingApiProxyProps) {
			p.CircuitBreaker.Disabled = true
			p.ReservedConcurrency.Gateway = 100
			p.Alarms = &apiproxy.Alarms{
				Thresholds: thresholds{"Latency": 5, "Slots": 101, "Unavailable": 0, "GatewayErrors": -1, "CircuitOpen": 1, "DeadLetters": 5, "ServerErrors": 5, "ProxyErrors-2": 1},
				Omit:       []apiproxy.AlarmName{"ServerErrors", "Everything"}, AccountConcurrency: 50,
			}
		}, []string{
			`Alarms.Omit has "Everything"; give some of CircuitOpen, ClientErrors, DeadLetterAge, DeadLetters, GatewayErrors, GatewayThrottles, OutcomesUnknown, ` +
				`ProxyErrors, ProxyThrottles, ServerErrors, Slots, StateMachineFailures, TableThrottles, Unavailable, Undelivered, UpstreamFailing`,
			"Alarms.Thresholds has CircuitOpen, and with these props there is no such alarm; leave it out",
			"Alarms.Thresholds has DeadLetters, and with these props there is no such alarm; leave it out",
			"Alarms.Thresholds[GatewayErrors] is -1; give more than 0, or name it in Alarms.Omit",
			`Alarms.Thresholds has "Latency"; give some of CircuitOpen,`,
			`Alarms.Thresholds has "ProxyErrors-2"; give some of CircuitOpen,`,
			"Alarms.Thresholds has ServerErrors, and Alarms.Omit too; leave one of them out",
			"Alarms.Thresholds[Slots] is 101 percent; give more than 0, up to 100",
			"Alarms.Thresholds[Unavailable] is 0; give more than 0, or name it in Alarms.Omit",
			"Alarms.AccountConcurrency is 50, and nothing reads it, because ReservedConcurrency.Gateway is 100; leave it out",
		}},
		"others": {func(p *apiproxy.RetryingApiProxyProps) {
			p.Alarms = &apiproxy.Alarms{Thresholds: thresholds{"CircuitOpen": 2}, AccountConcurrency: -5}
		}, []string{
			"Alarms.Thresholds[CircuitOpen] is 2, which a circuit never is; give more than 0, up to 1",
			"Alarms.AccountConcurrency is -5; give 1 or more, or 0 for the default of 1000",
		}},
		"nothing": {func(p *apiproxy.RetryingApiProxyProps) {
			p.Alarms = &apiproxy.Alarms{Thresholds: thresholds{"CircuitOpen": 0.5, "UpstreamFailing": 100}, Omit: []apiproxy.AlarmName{"DeadLetters", "Slots"}, AccountConcurrency: 10}
			p.Dashboard, p.SavedQueries = &apiproxy.Dashboard{Name: "Orders_of-2026"}, true
		}, nil},
	} {
		err := props(c.change).Validate()
		var got []string
		if err != nil {
			got = strings.Split(err.Error(), "\n")
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: %d problems, want %d:\n%v", name, len(got), len(c.want), err)
			continue
		}
		for i, want := range c.want {
			if !strings.Contains(got[i], want) {
				t.Errorf("%s: it says %q, want %q", name, got[i], want)
			}
		}
	}
}
