// Package stack runs a synthesised stack on this machine: its functions in the Lambda host, its state machines in the
// interpreter, its tables in the DynamoDB subset, its buckets in the S3 subset, its secrets in the Secrets Manager subset, its
// queues in the SQS subset, with the event sources that read them, its function URL as an HTTP server, and the AWS endpoints
// that the functions call.
//
// It knows the cloud assembly and nothing else. The functions are the real binaries, and see ordinary AWS endpoints.
package stack
