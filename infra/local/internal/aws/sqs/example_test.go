package sqs_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/sqs"
)

func ExampleStore_Call() {
	store := sqs.New(sqs.Config{BaseURL: "http://127.0.0.1:8788"})
	if err := store.Create(sqs.Queue{Name: "orders"}); err != nil {
		fmt.Println(err)
		return
	}
	const queue = `"QueueUrl":"http://127.0.0.1:8788/000000000000/orders"`
	if _, err := store.Call(context.Background(), "SendMessage", json.RawMessage(`{`+queue+`,"MessageBody":"{\"method\":\"GET\",\"path\":\"/\"}"}`)); err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		output, err := store.Call(context.Background(), "ReceiveMessage", json.RawMessage(`{`+queue+`}`))
		var received struct{ Messages []struct{ Body string } }
		if err = json.Unmarshal(output, &received); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(received.Messages)
	}
	// Output:
	// [{{"method":"GET","path":"/"}}]
	// []
}
