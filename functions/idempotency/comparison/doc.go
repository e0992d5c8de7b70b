// Package comparison holds no code, but a test that measures package idempotency side by side with Powertools for AWS
// Lambda (TypeScript): `make bench`, or BENCH=1 go test -v ./functions/idempotency/comparison.
package comparison
