// Package idempotency makes a function safe to call twice: the first call with a key runs, and every later one with the
// same key is handed the first one's result, until the record expires.
//
// It is for Lambda functions, whose events are delivered at least once, and for any other program. [Handler] wraps a
// Lambda handler and takes the key from the event's bytes, [Do] a single piece of work, such as one message of a batch. A [Manager] holds the configuration and
// the [Store]: package dynamostore keeps records in DynamoDB, [MemoryStore] in this process.
//
//	manager, err := idempotency.New(dynamostore.New(client, table), idempotency.Config{
//		Key: `powertools_json(body).orderId`,
//	})
//	lambda.Start(idempotency.Handler(manager, pay))
//
// # What is promised
//
// Two runs of one key do not overlap, as long as a run ends before its lease does, and no run starts while the result
// of an earlier one is kept. A caller is only ever handed the result of a run of its own key. A run that ends after its
// lease has ended, and whose key another caller has taken over, cannot overwrite or remove the other's record: it gets
// [ErrOwnershipLost].
//
// What cannot be promised: a process that dies after its side effect and before its result is recorded leaves a record
// in progress; when the lease ends, the next call runs again. Where that matters, make the side effect itself
// conditional on the key, which [RecordFrom] has, or look at what was left behind when that says TakenOver.
//
// # Records
//
// Records have the form of Powertools for AWS Lambda (Python), so that functions in both languages can share a table;
// an attribute `owner` is added. See [Record] and docs/idempotency.md.
package idempotency
