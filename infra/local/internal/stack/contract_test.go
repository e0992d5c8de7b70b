package stack_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/contract"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// What the endpoint promises is in the cases of package contract; docs/contract.md says how to read them.
func TestTheStackKeepsTheContract(t *testing.T) {
	t.Parallel()
	withCDK(t)
	cases, err := contract.Cases()
	if err != nil {
		t.Fatal(err)
	}
	upstream := contract.Listen(listen(t))
	t.Cleanup(upstream.Close)
	runners := map[contract.Setup]*contract.Runner{}
	for _, c := range cases {
		if runners[c.Setup()] == nil {
			runners[c.Setup()] = runnerFor(t, upstream, c.Setup())
		}
	}
	for _, c := range cases {
		t.Run(c.Theme()+"/"+c.Name, func(t *testing.T) {
			t.Parallel()
			for _, wrong := range runners[c.Setup()].Run(t.Context(), c) {
				t.Error(wrong)
			}
		})
	}
}

// runnerFor starts a stack that is set up as cases need it.
func runnerFor(t *testing.T, upstream *contract.Server, setup contract.Setup) *contract.Runner {
	t.Helper()
	url := "http://" + upstream.Address()
	if setup.Down {
		url = closedAddress(t)
	}
	var settings []setting
	if setup.Policy != "" {
		settings = append(settings, policy(setup.Policy))
	}
	if setup.Pages != "" {
		settings = append(settings, allowing(t, setup.Pages))
	}
	s := start(t, url, settings...)
	return &contract.Runner{
		Endpoint: s.URL(), Upstream: upstream, Setup: setup, Speed: speed,
		Waits: func(requestID string) ([]time.Duration, error) { return waitsOf(s, requestID) },
	}
}

// waitsOf are the waits after the attempts of an execution.
func waitsOf(s *stack.Stack, name string) ([]time.Duration, error) {
	executions, err := s.StepFunctions.Executions("", "")
	if err != nil {
		return nil, err
	}
	for _, execution := range executions {
		if execution.Name != name {
			continue
		}
		text := execution.Output
		if text == "" {
			text = execution.Cause
		}
		var envelope struct{ Attempts []attempt }
		if err := json.Unmarshal([]byte(text), &envelope); err != nil {
			return nil, fmt.Errorf("the execution %s ended with %q, which is no envelope: %w", name, text, err)
		}
		waits := make([]time.Duration, len(envelope.Attempts))
		for i, a := range envelope.Attempts {
			waits[i] = time.Duration(a.Wait) * time.Millisecond
		}
		return waits, nil
	}
	return nil, fmt.Errorf("there is no execution %s", name)
}
