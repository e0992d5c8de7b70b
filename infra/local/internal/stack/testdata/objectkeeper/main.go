// Command objectkeeper is a handler that keeps the content of its event, if there is one, under the event's key in the bucket
// BUCKET, and answers with what is under the key then.
package main

import (
	"context"
	"io"
	"log"
	"os"
	"strings"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

type event struct{ Key, Content string }

func main() {
	settings, err := config.LoadDefaultConfig(context.Background(), config.WithRetryMaxAttempts(1))
	if err != nil {
		log.Fatal(err)
	}
	bucket := aws.String(os.Getenv("BUCKET"))
	client := s3.NewFromConfig(settings, func(o *s3.Options) {
		// Beneath an endpoint that the environment sets there may be no name for each bucket.
		o.UsePathStyle = os.Getenv("AWS_ENDPOINT_URL_S3") != ""
	})
	lambda.Start(func(ctx context.Context, e event) (string, error) {
		if e.Content != "" {
			if _, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: &e.Key, Body: strings.NewReader(e.Content)}); err != nil {
				return "", err
			}
		}
		got, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: &e.Key})
		if err != nil {
			return "", err
		}
		defer got.Body.Close()
		content, err := io.ReadAll(got.Body)
		return string(content), err
	})
}
