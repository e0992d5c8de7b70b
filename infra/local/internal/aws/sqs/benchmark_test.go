package sqs_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/sqs"
)

// BenchmarkMessage is the life of a message: sent, received and deleted, with a thousand others in the queue.
func BenchmarkMessage(b *testing.B) {
	for _, kind := range []string{"memory", "file"} {
		b.Run(kind, func(b *testing.B) {
			config := sqs.Config{AccountID: "123456789012"}
			if kind == "file" {
				config.File = openFile(b, filepath.Join(b.TempDir(), "data.db"))
			}
			store := sqs.New(config)
			if err := store.Create(queues...); err != nil {
				b.Fatal(err)
			}
			call := func(operation, input string) []byte {
				output, err := store.Call(b.Context(), operation, json.RawMessage(input))
				if err != nil {
					b.Fatal(err)
				}
				return output
			}
			send := `{"QueueUrl":"` + orders + `","MessageBody":"{\"method\":\"POST\",\"path\":\"/orders\",\"body\":\"one\"}"}`
			for range 1000 {
				call("SendMessage", send)
			}
			for b.Loop() {
				call("SendMessage", send)
				var received struct {
					Messages []struct{ ReceiptHandle string }
				}
				if err := json.Unmarshal(call("ReceiveMessage", `{"QueueUrl":"`+orders+`"}`), &received); err != nil {
					b.Fatal(err)
				}
				call("DeleteMessage", fmt.Sprintf(`{"QueueUrl":%q,"ReceiptHandle":%q}`, orders, received.Messages[0].ReceiptHandle))
			}
		})
	}
}
