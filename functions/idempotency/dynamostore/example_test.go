package dynamostore_test

import (
	"context"
	"fmt"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/dynamostore"
)

// A Lambda function that pays each order once. The stack names the table in TABLE.
func Example() {
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	store := dynamostore.New(dynamodb.NewFromConfig(cfg), os.Getenv("TABLE"))
	manager, err := idempotency.New(store, idempotency.Config{Key: "order", RequireKey: true})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	type payment struct {
		Order  string `json:"order"`
		Amount int    `json:"amount"`
	}
	lambda.Start(idempotency.Handler(manager, func(_ context.Context, p payment) (string, error) {
		return "paid " + p.Order, nil
	}))
}
