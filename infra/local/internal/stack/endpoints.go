package stack

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/secretsmanager"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/sqs"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/localonly"
)

// endpoints answers for the AWS services that the stack uses, told apart by what their protocols put into a request.
type endpoints struct {
	lambda, stepFunctions, dynamoDB, secretsManager, sqs http.Handler
}

// guarded lets in the functions, which come through HTTP_PROXY by names of their own, and programs of this machine.
func (e *endpoints) guarded() http.Handler {
	return localonly.Guard{
		What:  "The AWS endpoints",
		Hosts: []string{awsHost, "sync-" + awsHost},
		Refuse: func(w http.ResponseWriter, status int, detail string) {
			refuse(w, status, "AccessDeniedException", detail)
		},
	}.Handler(e)
}

func (e *endpoints) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	target := r.Header.Get("X-Amz-Target")
	switch {
	case strings.HasPrefix(target, "AWSStepFunctions."):
		e.stepFunctions.ServeHTTP(w, r)
	case strings.HasPrefix(target, "DynamoDB_"):
		e.dynamoDB.ServeHTTP(w, r)
	case strings.HasPrefix(target, secretsmanager.TargetPrefix):
		e.secretsManager.ServeHTTP(w, r)
	case strings.HasPrefix(target, sqs.TargetPrefix):
		e.sqs.ServeHTTP(w, r)
	case strings.HasPrefix(r.URL.Path, "/2015-03-31/functions"):
		e.lambda.ServeHTTP(w, r)
	default:
		refuse(w, http.StatusNotImplemented, "UnknownOperationException",
			fmt.Sprintf("%s %s %s is not an operation of Lambda, Step Functions, DynamoDB, Secrets Manager or SQS (in its JSON protocol), which are what runs here", r.Method, r.URL.Path, target))
	}
}

// refuse answers with an error as the JSON protocols of AWS have it, which their tools print.
func refuse(w http.ResponseWriter, status int, code, message string) {
	body, _ := json.Marshal(map[string]string{"__type": code, "message": message})
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
