//go:build !race

package apiproxy_test

import (
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/apiproxy"
)

func TestLogsAreKeptWithTheTableIfThePropsSaySo(t *testing.T) {
	app := newApp(nothingBundled)
	props := minimal()
	props.ProxyCount, props.RemovalPolicy = 1, awscdk.RemovalPolicy_RETAIN
	apiproxy.NewRetryingApiProxy(awscdk.NewStack(app, jsii.String("Kept"), nil), jsii.String("Orders"), props)
	template := synthesise(app)["Kept"]
	groups := template.ofType("AWS::Logs::LogGroup")
	if len(groups) != 3 {
		t.Errorf("%d log groups; want those of the proxy, the gateway and the state machine", len(groups))
	}
	for _, kept := range append(groups, template.the(tableType)) {
		if kept.DeletionPolicy != "Retain" {
			t.Errorf("%s has the deletion policy %s; want Retain", kept.id, kept.DeletionPolicy)
		}
	}
}
