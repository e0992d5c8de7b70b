// Package apiproxy puts an HTTPS endpoint in front of an HTTP API that fails, limits or hangs. The endpoint takes the
// same requests as that API and answers with its final answer; in between, attempts go out through N proxy functions,
// with waits as the API asked for them.
//
//	proxy := apiproxy.NewRetryingApiProxy(stack, jsii.String("Orders"), &apiproxy.RetryingApiProxyProps{
//		Upstream: apiproxy.Upstream{BaseURL: "https://api.example.com"},
//	})
//	proxy.GrantInvoke(role)
//
// The handlers are Go programs of this module. They are compiled when the stack is synthesised; nothing but the go
// command is needed.
package apiproxy
