// Command secretreader is a handler that answers with the value of a secret. Its event is the secret's id; in the place of
// $NAME it has the variable NAME of its environment.
package main

import (
	"context"
	"log"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

func main() {
	settings, err := config.LoadDefaultConfig(context.Background(), config.WithRetryMaxAttempts(1))
	if err != nil {
		log.Fatal(err)
	}
	client := secretsmanager.NewFromConfig(settings)
	lambda.Start(func(ctx context.Context, event string) (string, error) {
		out, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(os.ExpandEnv(event))})
		if err != nil {
			return "", err
		}
		return aws.ToString(out.SecretString), nil
	})
}
