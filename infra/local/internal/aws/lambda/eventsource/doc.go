// Package eventsource has Lambda functions process the messages of SQS queues, as Lambda's event source mappings do.
//
// A [Source] polls a queue, invokes a function with a batch of messages, and deletes what the function has processed. What it
// has not is left to the visibility timeout of the queue, after which it comes again, and to the queue's dead letter queue.
// https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
//
// # What a batch comes to
//
// A batch fails as a whole if the function fails. Otherwise it succeeds as a whole, unless the mapping has
// ReportBatchItemFailures: then the answer may name messages that failed,
//
//	{"batchItemFailures": [{"itemIdentifier": "059f36b4-87a3-44ab-83d2-661975830a7d"}]}
//
// and the others are deleted. An answer that is null or empty, or whose list is, says that all is well. One that is no object,
// or that names what is no message of the batch, says that all has failed, as an identifier does that is empty, null or under
// another key.
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
//
// An invocation that is throttled is tried again while the messages are still hidden for as long as the function may take,
// so that it costs them none of their receives. After that they are left to the visibility timeout, too.
//
// # What differs from Lambda
//
// Up to [DefaultConcurrency] batches are processed at once if the mapping has no MaximumConcurrency, however many messages
// wait; Lambda begins with as many and goes up to 1,250. It polls no less if batches fail. Messages are not filtered.
package eventsource
