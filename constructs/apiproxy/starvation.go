package apiproxy

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
)

// starvationID names the warning, for who acknowledges it.
const starvationID = "retrying-api-proxy:starvation"

// starvation says how requests that wait in the gateway may leave no room for the proxies that they wait for, or nothing.
// Each request in the gateway needs one proxy at a time.
func (p RetryingApiProxyProps) starvation() string {
	gateway, proxies := p.ReservedConcurrency.Gateway, p.ReservedConcurrency.EachProxy*p.ProxyCount
	switch {
	case proxies > 0 && gateway == 0:
		return fmt.Sprintf("ReservedConcurrency.EachProxy gives %d slots to %d proxies, and nothing limits the gateway: more requests than that wait for one another. "+
			"Set ReservedConcurrency.Gateway to %d or less.", proxies, p.ProxyCount, proxies)
	case proxies > 0 && gateway > proxies:
		return fmt.Sprintf("ReservedConcurrency lets %d requests into the gateway, and gives %d slots to the %d proxies that they wait for. "+
			"Lower Gateway to %d or raise EachProxy.", gateway, proxies, p.ProxyCount, proxies)
	case gateway == 0 && p.UrlAuthType == awslambda.FunctionUrlAuthType_NONE:
		return "UrlAuthType is NONE, and nothing limits the gateway: whoever knows the URL can hold all the concurrency that the account has, also that of other functions. " +
			"Set ReservedConcurrency.Gateway."
	}
	return ""
}
