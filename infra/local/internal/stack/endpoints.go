package stack

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudwatch"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudwatchlogs"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/secretsmanager"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/sqs"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/localonly"
)

// endpoints answers for the AWS services that the stack uses, told apart by what their protocols put into a request.
type endpoints struct {
	lambda, stepFunctions, dynamoDB, secretsManager, s3, sqs, logs, cloudWatch http.Handler
}

// signedForS3 is in the Authorization of a request to S3: the end of the scope of the credential. Nothing else tells it
// apart where it is sent to the address of all endpoints, such as by the AWS CLI.
const signedForS3 = "/s3/aws4_request"

// guarded lets in the functions, which come through HTTP_PROXY by names of their own, and programs of this machine.
func (e *endpoints) guarded() http.Handler {
	guarded := localonly.Guard{
		What:  "The AWS endpoints",
		Hosts: []string{awsHost, "sync-" + awsHost, s3Host},
		Refuse: func(w http.ResponseWriter, status int, detail string) {
			refuse(w, status, "AccessDeniedException", detail)
		},
	}.Handler(e)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { guarded.ServeHTTP(w, withBucketInPath(r)) })
}

// withBucketInPath is a request to S3 that names the bucket in the host, which SDKs do unless they are told otherwise, as one
// that names it in the path. Others stay as they are.
func withBucketInPath(r *http.Request) *http.Request {
	bucket, named := strings.CutSuffix(r.Host, "."+s3Host)
	if !named {
		return r
	}
	changed := r.Clone(r.Context())
	changed.Host, changed.URL.Path, changed.URL.RawPath = s3Host, "/"+bucket+r.URL.Path, ""
	return changed
}

func (e *endpoints) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	target := r.Header.Get("X-Amz-Target")
	switch {
	case r.Host == s3Host, strings.Contains(r.Header.Get("Authorization"), signedForS3):
		e.s3.ServeHTTP(w, r)
	case strings.HasPrefix(target, "AWSStepFunctions."):
		e.stepFunctions.ServeHTTP(w, r)
	case strings.HasPrefix(target, "DynamoDB_"):
		e.dynamoDB.ServeHTTP(w, r)
	case strings.HasPrefix(target, secretsmanager.TargetPrefix):
		e.secretsManager.ServeHTTP(w, r)
	case strings.HasPrefix(target, sqs.TargetPrefix):
		e.sqs.ServeHTTP(w, r)
	case strings.HasPrefix(target, cloudwatchlogs.TargetPrefix):
		e.logs.ServeHTTP(w, r)
	case strings.HasPrefix(target, cloudwatch.TargetPrefix), strings.HasPrefix(r.URL.Path, cloudwatch.PathPrefix):
		e.cloudWatch.ServeHTTP(w, r)
	case strings.HasPrefix(r.URL.Path, "/2015-03-31/functions"), strings.HasPrefix(r.URL.Path, "/2016-08-19/account-settings"):
		e.lambda.ServeHTTP(w, r)
	default:
		refuse(w, http.StatusNotImplemented, "UnknownOperationException",
			fmt.Sprintf("%s %s %s is not an operation of Lambda, Step Functions, DynamoDB, Secrets Manager, S3, SQS, CloudWatch or CloudWatch Logs, which are what runs here; "+
				"S3 is asked by signed requests, SQS in its JSON protocol, and CloudWatch in its CBOR or JSON protocol", r.Method, r.URL.Path, target))
	}
}

// refuse answers with an error as the JSON protocols of AWS have it, which their tools print.
func refuse(w http.ResponseWriter, status int, code, message string) {
	body, _ := json.Marshal(map[string]string{"__type": code, "message": message})
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
