// Package dynamostore keeps idempotency records in a DynamoDB table.
//
// The table needs a partition key of type string, by default `id`, and should have `expiration` as its time-to-live
// attribute. The function needs dynamodb:PutItem, GetItem, UpdateItem and DeleteItem on it. A call that runs costs two
// writes, a replay one write that fails and returns the record, and each look of a waiting call one consistent
// read.
//
// Items have the form of Powertools for AWS Lambda (Python), with an attribute `owner` added, or with [WithFormat] that of
// TypeScript. docs/idempotency.md lists
// all conditions and updates, for other writers.
package dynamostore
