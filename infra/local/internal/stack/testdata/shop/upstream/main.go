// Command upstream is a handler of a function URL that says what it was asked for, and what its environment is.
package main

import (
	"os"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	lambda.Start(func(request events.LambdaFunctionURLRequest) (events.LambdaFunctionURLResponse, error) {
		return events.LambdaFunctionURLResponse{
			StatusCode: 200,
			Body:       request.RequestContext.HTTP.Method + " " + request.RawPath + " of " + os.Getenv("TOPIC") + " and " + os.Getenv("BUCKET"),
		}, nil
	})
}
