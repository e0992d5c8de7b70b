package message_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

func TestWhatIsJudgedTwiceIsToldInListsOfTheirOwn(t *testing.T) {
	e := afterLoss(message.ToProxy(newCall("GET"), retry.Policy{}, nil, 0), "proxy-1", "Sandbox.Timedout")
	// A list with room behind its end, as one that was appended to has it.
	e.Attempts = append(make([]retry.Attempt, 0, 8), retry.Attempt{Proxy: "proxy-3", Status: 429, Kind: retry.RateLimit})
	first, _ := e.JudgeLosses(retry.Policy{}, retry.Request{Method: "GET"}, now, none)
	e.Losses.Error = "Runtime.ExitError"
	second, _ := e.JudgeLosses(retry.Policy{}, retry.Request{Method: "GET"}, now, none)
	if diff := cmp.Diff([]string{"", "Sandbox.Timedout"}, detailsOf(first)); diff != "" {
		t.Errorf("the first list was changed by the second (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"", "Runtime.ExitError"}, detailsOf(second)); diff != "" {
		t.Errorf("the second list differs (-want +got):\n%s", diff)
	}
}

func TestLambdasRefusalsProveThatAProxyWasNeverRun(t *testing.T) {
	for _, name := range []string{
		"Lambda.TooManyRequestsException", "Lambda.ResourceNotFoundException", "Lambda.ResourceNotReadyException",
		"Lambda.ResourceConflictException", "Lambda.InvalidParameterValueException", "Lambda.InvalidRequestContentException",
		"Lambda.RequestTooLargeException", "Lambda.UnsupportedMediaTypeException", "Lambda.InvalidRuntimeException",
		"Lambda.InvalidZipFileException", "Lambda.InvalidSecurityGroupIDException", "Lambda.InvalidSubnetIDException",
		"Lambda.SubnetIPAddressLimitReachedException", "Lambda.ENILimitReachedException", "Lambda.EC2AccessDeniedException",
		"Lambda.EC2ThrottledException", "Lambda.EC2UnexpectedException", "Lambda.KMSAccessDeniedException",
		"Lambda.KMSDisabledException", "Lambda.KMSInvalidStateException", "Lambda.KMSNotFoundException",
	} {
		lost := afterLoss(message.ToProxy(newCall("POST"), retry.Policy{}, nil, 0), "proxy-1", name)
		if _, decision := lost.JudgeLosses(retry.Policy{}, retry.Request{Method: "POST"}, now, none); decision.Outcome != retry.Again {
			t.Errorf("after %s a POST ends with %s (%s)", name, decision.Reason, decision.Why)
		}
	}
}
