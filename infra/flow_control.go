package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/constructs-go/constructs/v10"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

// flowControlFrom reads what the context says of rates and of the circuit breaker.
func flowControlFrom(node constructs.Node) (control apiproxy.FlowControl, breaker apiproxy.CircuitBreaker, err error) {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }

	switch text := context(node, "flowcontrol", ""); text {
	case "":
	case "off":
		control.Mode = apiproxy.Off
	case "adaptive":
		control.Mode = apiproxy.Adaptive
	case "observe":
		control.Mode = apiproxy.Observe
	default:
		if err := parseRate(text, &control); err != nil {
			problem("context flowcontrol is %q; give off, adaptive, observe, or a rate as fixed:RATE/PERIOD or fixed:RATE/PERIOD:BURST, "+
				"such as fixed:50/1s:80", text)
		}
	}

	switch text := context(node, "flowkey", ""); text {
	case "":
	case "credential+route":
		control.Key = apiproxy.ByCredential | apiproxy.ByRoute
	case "credential":
		control.Key = apiproxy.ByCredential
	case "route":
		control.Key = apiproxy.ByRoute
	case "upstream":
		control.Key = apiproxy.ByUpstream
	default:
		problem("context flowkey is %q; give credential+route, credential, route or upstream", text)
	}

	if text := context(node, "maxwaiting", ""); text != "" {
		count, err := strconv.Atoi(text)
		if err != nil || count < 1 && count != apiproxy.Unbounded {
			problem("context maxwaiting is %q; give a whole number from 1, or %d for no bound", text, apiproxy.Unbounded)
		} else {
			control.MaxWaiting = count
		}
	}

	switch text := context(node, "circuitbreaker", ""); text {
	case "", "on":
	case "off":
		breaker.Disabled = true
	default:
		problem("context circuitbreaker is %q; give on or off", text)
	}
	return control, breaker, errors.Join(problems...)
}

// parseRate reads a rate that is typed in, such as fixed:50/1s:80.
func parseRate(text string, control *apiproxy.FlowControl) (err error) {
	text, isFixed := strings.CutPrefix(text, "fixed:")
	rate, burst, hasBurst := strings.Cut(text, ":")
	calls, period, hasPeriod := strings.Cut(rate, "/")
	if !isFixed || !hasPeriod {
		return strconv.ErrSyntax
	}
	read := apiproxy.FlowControl{Mode: apiproxy.Fixed}
	if read.Rate, err = strconv.Atoi(calls); err != nil {
		return err
	}
	if read.Period, err = time.ParseDuration(period); err != nil {
		return err
	}
	if hasBurst {
		if read.Burst, err = strconv.Atoi(burst); err != nil {
			return err
		}
	}
	*control = read
	return nil
}
