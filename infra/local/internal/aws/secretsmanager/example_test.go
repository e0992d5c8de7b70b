package secretsmanager_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/secretsmanager"
)

// A secret is provided and read.
func ExampleStore_Call() {
	store := secretsmanager.New(secretsmanager.Config{})
	if err := store.Provide(map[string]string{"orders/token": "s3cret"}); err != nil {
		log.Fatal(err)
	}
	answer, err := store.Call(context.Background(), "GetSecretValue", json.RawMessage(`{"SecretId": "orders/token"}`))
	if err != nil {
		log.Fatal(err)
	}
	var secret struct{ ARN, SecretString string }
	if err := json.Unmarshal(answer, &secret); err != nil {
		log.Fatal(err)
	}
	fmt.Println(secret.ARN)
	fmt.Println(secret.SecretString)
	// Output:
	// arn:aws:secretsmanager:us-east-1:000000000000:secret:orders/token-YoIZFO
	// s3cret
}
