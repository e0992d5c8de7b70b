package lambda_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/sdkhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
)

func TestTheAWSSDKInvokesListsAndKnowsTheErrors(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo(), echo(func(f *lambda.Function) { f.Name = "stopped"; f.ReservedConcurrency = reserve(0) }))
	api := apiServer(t, host)
	client := sdk.New(sdk.Options{
		BaseEndpoint: aws.String(api[:len(api)-len("/2015-03-31/functions")]),
		Region:       "us-east-1",
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: lambda.AccessKeyID, SecretAccessKey: lambda.SecretAccessKey}, nil
		}),
		RetryMaxAttempts: 1, HTTPClient: sdkhttp.Client(http.DefaultClient),
	})
	output, err := client.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String(echoARN), Payload: []byte(`{"answer":[1]}`)})
	if err != nil || output.StatusCode != 200 || string(output.Payload) != `[1]` || output.FunctionError != nil || aws.ToString(output.ExecutedVersion) != "$LATEST" {
		t.Errorf("%+v, %v", output, err)
	}
	output, err = client.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("echo"), Payload: []byte(`{"error":"no"}`)})
	if err != nil || aws.ToString(output.FunctionError) != "Unhandled" {
		t.Errorf("%+v, %v", output, err)
	}
	list, err := client.ListFunctions(t.Context(), &sdk.ListFunctionsInput{})
	if err != nil || len(list.Functions) != 2 || list.Functions[0].Runtime != types.RuntimeProvidedal2023 {
		t.Errorf("%+v, %v", list, err)
	}

	invoke := func(name string, payload []byte) error {
		_, err := client.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String(name), Payload: payload})
		return err
	}
	var notFound *types.ResourceNotFoundException
	if err := invoke("none", nil); !errors.As(err, &notFound) {
		t.Errorf("an unknown function: %v", err)
	}
	var throttled *types.TooManyRequestsException
	if err := invoke("stopped", nil); !errors.As(err, &throttled) || throttled.Reason != types.ThrottleReasonReservedFunctionConcurrentInvocationLimitExceeded {
		t.Errorf("a stopped function: %v", err)
	}
	var content *types.InvalidRequestContentException
	if err := invoke("echo", []byte(`{`)); !errors.As(err, &content) {
		t.Errorf("a payload that is not JSON: %v", err)
	}
	var large *types.RequestTooLargeException
	if err := invoke("echo", largePayload(lambda.MaxRequestPayload+1)); !errors.As(err, &large) {
		t.Errorf("a payload that is too large: %v", err)
	}
}
