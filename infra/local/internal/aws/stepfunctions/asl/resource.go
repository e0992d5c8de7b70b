package asl

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A resource is what a Task calls.
type resource struct {
	arn             string
	service, action string // as events name them
	integration     integration
}

// An integration calls a service for a Task.
type integration interface {
	// check looks at the parameters in the definition.
	check(f *fields, parameters map[string]any)

	// call makes the call. Its result has the form that Step Functions gives it.
	call(ctx context.Context, e *execution, parameters map[string]any) (any, error)

	// errorNames says how errors of the service are named.
	errorNames() serviceErrors
}

// serviceErrors says how the errors of a service are named.
type serviceErrors struct {
	prefix  string          // of all of them
	service string          // as causes name it
	known   map[string]bool // the codes that become part of a name
	other   string          // stands for the other codes
}

// integrations holds what the interpreter can call, by the end of its ARN.
var integrations = map[string]integration{
	"lambda:invoke":       lambdaInvoke{},
	"dynamodb:updateItem": dynamodbUpdateItem{},
	"sqs:sendMessage":     sqsSendMessage{},
}

var integrationARN = regexp.MustCompile(`^arn:aws[a-z-]*:states:::([a-z0-9-]+):([A-Za-z0-9:.]+)$`)

func parseResource(arn string) (resource, error) {
	r := resource{arn: arn}
	supported := "supported are arn:<partition>:states:::" + strings.Join(sortedNames(integrations), " and arn:<partition>:states:::")
	if strings.Contains(arn, ":lambda:") && strings.Contains(arn, ":function:") {
		return r, fmt.Errorf("the bare ARN of a function, %q, is not supported: call it through arn:aws:states:::lambda:invoke", arn)
	}
	if strings.Contains(arn, ":activity:") {
		return r, fmt.Errorf("activities are not supported; %s", supported)
	}
	m := integrationARN.FindStringSubmatch(arn)
	if m == nil {
		return r, fmt.Errorf("%q is not the ARN of a service integration; %s", arn, supported)
	}
	r.service = m[1]
	action, pattern, hasPattern := strings.Cut(m[2], ".")
	r.action = action
	var known bool
	if r.integration, known = integrations[r.service+":"+action]; !known {
		return r, fmt.Errorf("the integration %s:%s is not supported; %s", r.service, m[2], supported)
	}
	if hasPattern {
		return r, fmt.Errorf("the pattern .%s is not supported; leave it off", pattern)
	}
	return r, nil
}

func (r resource) details() TaskDetails {
	return TaskDetails{ResourceType: r.service, Resource: r.action}
}

// checkNames reports parameters that an integration does not take, and those that it misses. A parameter may be given
// by its name or, with .$ behind it, by an expression.
func checkNames(f *fields, given map[string]any, required []string, optional ...string) {
	allowed := map[string]bool{}
	for _, name := range append(optional, required...) {
		allowed[name] = true
	}
	for _, field := range sortedNames(given) {
		if name := strings.TrimSuffix(field, ".$"); !allowed[name] {
			f.problem("Parameters."+field, "there is no such parameter; supported are %s", strings.Join(sortedNames(allowed), ", "))
		}
	}
	for _, name := range required {
		if _, fixed := given[name]; fixed {
			continue
		}
		if _, dynamic := given[name+".$"]; !dynamic {
			f.problem("Parameters."+name, "is missing")
		}
	}
}

// A ServiceError is the answer of a service that refuses a call. The error that the state reports is named after its
// code, such as Lambda.TooManyRequestsException. Codes that Step Functions has no name for are reported as
// Lambda.AWSLambdaException, DynamoDB.AmazonDynamoDBException and SQS.AmazonSQSException.
type ServiceError struct {
	// Code is the service's own name of the error, such as TooManyRequestsException.
	Code string

	// Message says what was wrong.
	Message string

	// StatusCode is the HTTP status of the answer, and RequestID its request id. They appear in the cause. If RequestID
	// is empty, one is made up.
	StatusCode int
	RequestID  string
}

func (e *ServiceError) Error() string { return e.Code + ": " + e.Message }

// callFailure turns the error of a call into what the state reports.
func (e *execution) callFailure(i integration, err error) *Failure {
	var f *Failure
	if errors.As(err, &f) {
		return f
	}
	names := i.errorNames()
	var refused *ServiceError
	if !errors.As(err, &refused) {
		return failure(names.prefix+".SdkClientException", "Unable to execute HTTP request: %v", err)
	}
	name := refused.Code
	if !names.known[name] {
		name = names.other
	}
	requestID := refused.RequestID
	if requestID == "" {
		requestID = UUID(e.options.Random)
	}
	return failure(names.prefix+"."+name, "%s (Service: %s; Status Code: %d; Error Code: %s; Request ID: %s; Proxy: null)",
		refused.Message, names.service, refused.StatusCode, refused.Code, requestID)
}

func invalidParameters(parameters any, problem string) error {
	return failure(Runtime, "The Parameters '%s' could not be used to start the Task: [%s]", encode(parameters), problem)
}

// addMetadata adds to a result what Step Functions adds to the result of every call through an AWS SDK. It counts
// towards the limit on payloads.
func addMetadata(result map[string]any, now time.Time, requestID, contentType string, length int, header map[string]string) {
	all := map[string]any{}
	single := map[string]any{}
	add := func(name, value string) {
		all[name] = []any{value}
		single[name] = value
	}
	add("Connection", "keep-alive")
	add("Content-Length", strconv.Itoa(length))
	add("Content-Type", contentType)
	add("Date", now.UTC().Format(http.TimeFormat))
	add("x-amzn-RequestId", requestID)
	for name, value := range header {
		add(name, value)
	}
	result["SdkHttpMetadata"] = map[string]any{"AllHttpHeaders": all, "HttpHeaders": single, "HttpStatusCode": integer(http.StatusOK)}
	result["SdkResponseMetadata"] = map[string]any{"RequestId": requestID}
}
