// Command upstream is a handler of a function URL that says what it was asked for, and what its environment is. It counts its
// calls in a metric.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	lambda.Start(func(request events.LambdaFunctionURLRequest) (events.LambdaFunctionURLResponse, error) {
		method := request.RequestContext.HTTP.Method
		fmt.Printf(`{"_aws":{"Timestamp":%d,"CloudWatchMetrics":[{"Namespace":"Echo","Dimensions":[["Method"]],"Metrics":[{"Name":"Calls","Unit":"Count"}]}]},"Method":%q,"Calls":1}`+"\n",
			time.Now().UnixMilli(), method)
		return events.LambdaFunctionURLResponse{
			StatusCode: 200,
			Body:       method + " " + request.RawPath + " of " + os.Getenv("TOPIC") + " and " + os.Getenv("BUCKET"),
		}, nil
	})
}
