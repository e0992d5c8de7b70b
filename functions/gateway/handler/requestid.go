package handler

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/aws/aws-lambda-go/lambdacontext"
)

// requestIDKey is the key of a request's id in its context.
type requestIDKey struct{}

// withRequestID gives a request its id: that of the gateway's invocation, which the function URL tells the caller in
// X-Amzn-Requestid. It is the name of the execution, stands in every line of the logs of gateway and proxies, and in the
// instance of problems, so that one leads to the other.
func withRequestID(ctx context.Context) context.Context {
	id := ""
	if lc, found := lambdacontext.FromContext(ctx); found {
		id = lc.AwsRequestID
	}
	if id == "" {
		id = newUUID()
	}
	return context.WithValue(ctx, requestIDKey{}, id)
}

// requestID is the id of the request that a context belongs to.
func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// newUUID makes a random UUID, RFC 9562 section 5.4, as Lambda's request ids are.
func newUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
