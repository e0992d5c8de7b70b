// Command batchreader is a handler that processes the messages of a queue. It prints the body of each, and how often it has
// been received, and fails those whose body is fail. A message whose body is forward goes on, as done, to the queue in the
// variable FORWARD of its environment.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

func main() {
	settings, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	client := sqs.NewFromConfig(settings)
	lambda.Start(func(ctx context.Context, event events.SQSEvent) (response events.SQSEventResponse, err error) {
		for _, m := range event.Records {
			fmt.Println("got", m.Body, m.Attributes["ApproximateReceiveCount"])
			switch m.Body {
			case "fail":
				response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
			case "forward":
				if _, err := client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: aws.String(os.Getenv("FORWARD")), MessageBody: aws.String("done")}); err != nil {
					return response, err
				}
			}
		}
		return response, nil
	})
}
