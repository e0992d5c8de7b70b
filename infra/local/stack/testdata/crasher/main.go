// Command crasher is a handler whose process ends in the middle of every invocation. With HANG in its environment it
// does not end at all.
package main

import (
	"encoding/json"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	lambda.Start(func(json.RawMessage) {
		if os.Getenv("HANG") != "" {
			select {}
		}
		os.Exit(7)
	})
}
