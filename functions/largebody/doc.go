// Package largebody says how bodies are kept that do not fit into a state of the state machine: each is an object in a bucket,
// whose name stands in the place of the body. Package bucketstore keeps them in S3.
package largebody
