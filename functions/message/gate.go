package message

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// A Gate says how the gate is set, as the functions read it from their environment. Zero fields have the defaults of package
// gate.
type Gate struct {
	FlowControl    GateFlowControl `json:"flowControl,omitzero"`
	CircuitBreaker GateBreaker     `json:"circuitBreaker,omitzero"`
}

// GateFlowControl is what a gate does about rates.
type GateFlowControl struct {
	Mode       gate.Mode    `json:"mode,omitempty"`
	Rate       int          `json:"rate,omitempty"`
	Period     TextDuration `json:"period,omitzero"`
	Burst      int          `json:"burst,omitempty"`
	Key        string       `json:"key,omitempty"`
	MaxWaiting int          `json:"maxWaiting,omitempty"`
}

// GateBreaker is when a gate stops calls altogether.
type GateBreaker struct {
	Disabled        bool         `json:"disabled,omitempty"`
	MinimumFailures int          `json:"minimumFailures,omitempty"`
	FailureRate     float64      `json:"failureRate,omitempty"`
	ProbeInterval   TextDuration `json:"probeInterval,omitzero"`
	RampUp          float64      `json:"rampUp,omitempty"`
}

// A TextDuration is a duration that is a text in JSON, such as "1m30s".
type TextDuration time.Duration

// MarshalText writes a duration as time.Duration has it.
func (d TextDuration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration reads.
func (d *TextDuration) UnmarshalText(text []byte) error {
	read, err := time.ParseDuration(string(text))
	*d = TextDuration(read)
	return err
}

// Idle says that the gate has nothing to do: there are no rates to keep to, and no breaker.
func (g Gate) Idle() bool {
	return (g.FlowControl.Mode == "" || g.FlowControl.Mode == gate.Off) && g.CircuitBreaker.Disabled
}

// Settings returns the settings of the gate, under a policy, and what its scopes are by.
func (g Gate) Settings(policy retry.Policy) (gate.Settings, gate.Key, error) {
	f, b := g.FlowControl, g.CircuitBreaker
	s := gate.Settings{
		Mode: f.Mode, Rate: f.Rate, Period: time.Duration(f.Period), Burst: f.Burst, MaxWaiting: f.MaxWaiting,
		Breaker: gate.Breaker{
			Disabled: b.Disabled, MinimumFailures: b.MinimumFailures, FailureRate: b.FailureRate,
			ProbeInterval: time.Duration(b.ProbeInterval), RampUp: b.RampUp,
		},
	}
	s.Patience = time.Second // the least that there is
	for _, p := range policy.WithDefaults().Each() {
		s.Patience = max(s.Patience, p.Deadline)
	}
	if f.Key == "" {
		return s, gate.DefaultKey, s.Validate()
	}
	key, err := gate.ParseKey(f.Key)
	if err != nil {
		return s, 0, errors.Join(err, s.Validate())
	}
	return s, key, s.Validate()
}

// WriteGate writes a gate for the functions' environment.
func WriteGate(g Gate) (string, error) {
	text, err := json.Marshal(g)
	return string(text), err
}

// A GateSetup is a gate as a function has read it.
type GateSetup struct {
	Settings gate.Settings
	Key      gate.Key // what its scopes are by
}

// GateFrom reads the gate from the environment, under a policy: nil if there is none.
func GateFrom(getenv func(string) string, policy retry.Policy) (*GateSetup, error) {
	text := getenv(GateVariable)
	if text == "" {
		return nil, nil
	}
	var g Gate
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(&g)
	if err == nil && d.More() {
		err = errors.New("there is more behind it")
	}
	if err != nil {
		return nil, fmt.Errorf("%s must be a JSON object with flowControl and circuitBreaker: %w", GateVariable, err)
	}
	if getenv(TableVariable) == "" || getenv(RecordPrefixVariable) == "" {
		return nil, fmt.Errorf("%s needs %s and %s: what callers know together is in the table", GateVariable, TableVariable, RecordPrefixVariable)
	}
	settings, key, err := g.Settings(policy)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", GateVariable, err)
	}
	return &GateSetup{settings, key}, nil
}

// A GatePass is what a request carries of its visit at the gate, from one function to the next.
type GatePass struct {
	// Scope names who shares the gate with it, see [gate.Scope].
	Scope string `json:"scope"`

	// State is where its visit stands.
	State gate.State `json:"state,omitzero"`

	// Waited is how long it has been held back so far, in milliseconds, and Ticket the number of its last ticket.
	Waited int64 `json:"waited,omitempty"`
	Ticket int64 `json:"ticket,omitempty"`

	// Refusals is how often an asynchronous request was turned away, and came again.
	Refusals int `json:"refusals,omitempty"`

	// Tried says that the attempt to come is a quick try, from another address in spite of a limit.
	Tried bool `json:"tried,omitempty"`
}

// A GateReport is what comes back of a visit with the answer.
type GateReport struct {
	// Waited is how long the request was held back, in milliseconds, and Ticket the number of its last ticket.
	Waited int64 `json:"waited,omitempty"`
	Ticket int64 `json:"ticket,omitempty"`

	// Refused says why there was no place for the request, if it was turned away before its first attempt. Empty if it was not.
	Refused gate.Reason `json:"refused,omitempty"`

	// Shard and Item are what the last proxy saw of the scope's items, for the gateway to know. Nil: it saw none.
	Shard int        `json:"shard,omitempty"`
	Item  *gate.Item `json:"item,omitempty"`
}

// gateReserve is what lies between the end of a wait at the gate and the attempt: the start of an execution, or the next state and
// its proxy.
const gateReserve = 100 * time.Millisecond

// LatestAtGate is the last moment at which the gate may let a call through that has a deadline, under the policy of its route.
// There is time left to come to the upstream then: whoever is let through to see whether an outage is over, and does not come there,
// has all others wait for the next one.
func LatestAtGate(deadline time.Time, p retry.Policy) time.Time {
	return deadline.Add(-LeastAttemptTime(p) - min(gateReserve, p.Deadline/4))
}

// LeastAttemptTime is the least time that an attempt is begun with, under the policy of its route. A policy with a very short
// deadline gets its attempt too.
func LeastAttemptTime(p retry.Policy) time.Duration {
	return max(1, min(retry.MinimumAttemptTime, p.AttemptTimeout, p.Deadline/2))
}

// GateScope names the scope of a request at a gate. replaced names what the stack's own credential takes the place of, see
// [UpstreamAuth.Replaces]; what callers send there tells nobody apart.
func GateScope(key gate.Key, policy retry.Policy, r *Request, replaced []string) string {
	route := gate.FirstSegment(r.Path)
	if named, found := policy.Route(r.Method, r.Path); found {
		route = named.String()
	}
	return gate.Scope(key, r.credential(replaced), route)
}
