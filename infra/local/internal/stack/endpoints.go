package stack

import (
	"fmt"
	"net/http"
	"strings"
)

// endpoints answers for the AWS services that the stack uses, told apart by what their protocols put into a request.
type endpoints struct {
	lambda, stepFunctions, dynamoDB http.Handler
}

func (e *endpoints) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	target := r.Header.Get("X-Amz-Target")
	switch {
	case strings.HasPrefix(target, "AWSStepFunctions."):
		e.stepFunctions.ServeHTTP(w, r)
	case strings.HasPrefix(target, "DynamoDB_"):
		e.dynamoDB.ServeHTTP(w, r)
	case strings.HasPrefix(r.URL.Path, "/2015-03-31/functions"):
		e.lambda.ServeHTTP(w, r)
	default:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotImplemented)
		fmt.Fprintf(w, `{"__type":"UnknownOperationException","message":%q}`,
			fmt.Sprintf("%s %s %s is not an operation of Lambda, Step Functions or DynamoDB, which are what runs here", r.Method, r.URL.Path, target))
	}
}
