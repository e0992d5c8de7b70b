// Command crasher is a handler that writes its event to the log and then ends its process. With HANG in its environment
// it does not end at all.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	lambda.Start(func(event json.RawMessage) {
		fmt.Println(string(event))
		if os.Getenv("HANG") != "" {
			select {}
		}
		os.Exit(7)
	})
}
