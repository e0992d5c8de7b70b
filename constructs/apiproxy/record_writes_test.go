//go:build !race

package apiproxy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What DynamoDB says of a write is not for the caller, and an answer that just fits into a state would not fit with it.
func TestWhatAWriteBringsIsDiscarded(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		for _, name := range []string{"Record", "Release"} {
			if got := string(template.definition().States[name].ResultPath); got != "null" {
				t.Errorf("%s puts its result at %q; want null, which discards it", name, got)
			}
		}
	})
}

func TestAWriteIsRepeatedAfterFaultsOfTheTableAndNotIfTheRecordIsAnothers(t *testing.T) {
	want := []retrier{{
		ErrorEquals: []string{
			"DynamoDB.ProvisionedThroughputExceededException", "DynamoDB.RequestLimitExceeded", "DynamoDB.ThrottlingException",
			"DynamoDB.InternalServerError", "DynamoDB.SdkClientException", "States.Timeout",
		},
		IntervalSeconds: 1, MaxAttempts: 3, MaxDelaySeconds: 2, BackoffRate: 2, JitterStrategy: "FULL",
	}}
	definition := variants()["Minimal"].definition()
	for _, name := range []string{"Record", "Release"} {
		if diff := cmp.Diff(want, definition.States[name].Retry); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if got := definition.States[name].TimeoutSeconds; got != 2 {
			t.Errorf("%s may take %v s, want 2", name, got)
		}
	}
}
