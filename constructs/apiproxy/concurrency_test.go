//go:build !race

package apiproxy_test

import "testing"

func TestConcurrencyIsReservedForFunctionsAndProvisionedForTheirLiveAliases(t *testing.T) {
	template := variants()["Everything"]
	for _, function := range template.functions() {
		want := [2]float64{50, 5}
		if function == template.gateway() {
			want = [2]float64{200, 20}
		}
		alias := template.aliasOf(t, function)
		got := [2]float64{function.number("ReservedConcurrentExecutions"), alias.number("ProvisionedConcurrencyConfig", "ProvisionedConcurrentExecutions")}
		if got != want {
			t.Errorf("of %s, %v are reserved and provisioned; want %v", function.name(), got, want)
		}
	}
}

func TestNothingThatCostsWhileIdleIsProvisionedByDefault(t *testing.T) {
	template := variants()["Minimal"]
	for _, function := range template.functions() {
		if got := template.aliasOf(t, function).at("ProvisionedConcurrencyConfig"); got != nil {
			t.Errorf("of %s, %v are provisioned", function.name(), got)
		}
		if got := function.at("ReservedConcurrentExecutions"); got != nil {
			t.Errorf("of %s, %v are reserved", function.name(), got)
		}
	}
}
