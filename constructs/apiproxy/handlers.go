//go:build handlers

// The tag is never set. This file makes go mod tidy and go mod vendor in an importer's module see the handlers, so that
// what they need is in its go.sum and its vendor directory when the construct compiles them.

package apiproxy

import (
	_ "github.com/retrying-api-proxy/retrying-api-proxy/functions/gateway"
	_ "github.com/retrying-api-proxy/retrying-api-proxy/functions/proxy"
	_ "github.com/retrying-api-proxy/retrying-api-proxy/functions/proxy/withsdk"
)
