package apiproxy

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
)

// ProvisionedConcurrency is how many environments of functions are kept ready to run, so that no request waits for one to start. It
// takes as much of the account's concurrency.
//
// It is paid for while nothing runs: at list price $0.012 an hour for each GB, on arm64, and $0.015 on x86_64. One environment of
// 256 MB on arm64 is $2.19 a month; ten of the gateway and ten of each of three proxies are $88. What runs in them costs less than
// elsewhere, $0.0000077778 for each GB and second on arm64. It belongs to the alias live, and each deployment that changes a function
// starts as many anew before requests go to them.
type ProvisionedConcurrency struct {
	// Gateway is for the function behind the URL. Zero provisions nothing.
	Gateway int

	// EachProxy is for every one of the proxies. Zero provisions nothing.
	EachProxy int
}

// validateConcurrency lists what is wrong with what is reserved and provisioned. The one bounds the other.
func (p RetryingApiProxyProps) validateConcurrency() []error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	for _, of := range []struct {
		name                  string
		reserved, provisioned int
	}{
		{"Gateway", p.ReservedConcurrency.Gateway, p.ProvisionedConcurrency.Gateway},
		{"EachProxy", p.ReservedConcurrency.EachProxy, p.ProvisionedConcurrency.EachProxy},
	} {
		if of.reserved < 0 {
			problem("ReservedConcurrency.%s is %d; give 1 or more, or 0 to reserve nothing", of.name, of.reserved)
		}
		if of.provisioned < 0 {
			problem("ProvisionedConcurrency.%s is %d; give 1 or more, or 0 to provision nothing", of.name, of.provisioned)
		}
		if of.reserved > 0 && of.provisioned > of.reserved {
			problem("ProvisionedConcurrency.%s is %d, and ReservedConcurrency.%s is %d; provision as many at most as are reserved, or reserve more",
				of.name, of.provisioned, of.name, of.reserved)
		}
	}
	return problems
}

// newLiveAlias creates the alias of a function that is invoked, with so many environments that are kept ready.
func newLiveAlias(function awslambda.Function, provisioned int) awslambda.Alias {
	name := liveAlias
	if provisioned == 0 {
		return function.AddAlias(&name, nil)
	}
	return function.AddAlias(&name, &awslambda.AliasOptions{ProvisionedConcurrentExecutions: slotsOrNone(provisioned)})
}
