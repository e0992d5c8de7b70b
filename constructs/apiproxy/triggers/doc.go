// Package triggers has things other than HTTP callers send requests through a RetryingApiProxy: the messages of a queue, a
// schedule, events of EventBridge, and a state machine. Each invokes the gateway with a request as its event; no URL and no
// credentials are involved, and each is granted what it needs and nothing else.
//
// The package is apart from package apiproxy because the parts of the CDK that it needs take long to compile.
package triggers
