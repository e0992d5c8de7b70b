//go:build !race

package apiproxy_test

import "testing"

// What DynamoDB says of a write is not for the caller, and an answer that just fits into a state would not fit with it.
func TestWhatAWriteBringsIsDiscarded(t *testing.T) {
	forEachVariant(t, func(t *testing.T, template template) {
		for _, name := range []string{"Record", "Release"} {
			if got := string(template.definition().States[name].ResultPath); got != "null" {
				t.Errorf("%s puts its result at %s; want null, which discards it", name, got)
			}
		}
	})
}
