package apiproxy

import (
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
)

func TestAGatewayThatMayStarveItsProxiesIsWarnedOf(t *testing.T) {
	for _, c := range []struct {
		name               string
		gateway, eachProxy int
		auth               awslambda.FunctionUrlAuthType
		says               string // in the warning; empty for none
	}{
		{"nothing is reserved", 0, 0, "AWS_IAM", ""},
		{"the gateway is limited", 50, 0, "AWS_IAM", ""},
		{"each request finds a proxy", 30, 10, "NONE", ""},
		{"the proxies are limited, and the gateway is not", 0, 10, "AWS_IAM", "Gateway to 30 or less"},
		{"more requests than proxies", 31, 10, "AWS_IAM", "lets 31 requests into the gateway, and gives 30 slots"},
		{"anybody may hold everything", 0, 0, "NONE", "Set ReservedConcurrency.Gateway"},
		{"anybody may hold so much", 5, 0, "NONE", ""},
	} {
		props := RetryingApiProxyProps{
			ProxyCount: 3, UrlAuthType: c.auth, ReservedConcurrency: ReservedConcurrency{Gateway: c.gateway, EachProxy: c.eachProxy},
		}
		got := props.withDefaults().starvation()
		if (got == "") != (c.says == "") || !strings.Contains(got, c.says) {
			t.Errorf("%s: the warning is %q, want %q in it", c.name, got, c.says)
		}
	}
}
