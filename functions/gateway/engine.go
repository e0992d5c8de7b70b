package main

import (
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/sdkhttp"
)

// newEngine makes the client of Step Functions. It sends each request once, over a connection of its own.
//
// A repeated StartSyncExecution is a second execution, and so perhaps a second call of the upstream. And a connection that
// was kept may have been closed while the sandbox was frozen, so that a request on it fails although nothing was started;
// nobody could tell then whether it was. An execution takes as long as the upstream; a handshake within the region, some
// milliseconds.
func newEngine(config aws.Config) *sfn.Client {
	client, ok := config.HTTPClient.(*awshttp.BuildableClient)
	if !ok {
		client = awshttp.NewBuildableClient()
	}
	client = client.WithTransportOptions(func(t *http.Transport) {
		t.DisableKeepAlives = true
		// Over HTTP/2 net/http repeats by itself what the service refused.
		t.Protocols = new(http.Protocols)
		t.Protocols.SetHTTP1(true)
	})
	return sfn.NewFromConfig(config, func(o *sfn.Options) {
		o.HTTPClient = sdkhttp.Client(client) // nothing repeats a start whose answer was cut off
		o.RetryMaxAttempts = 1
	})
}
