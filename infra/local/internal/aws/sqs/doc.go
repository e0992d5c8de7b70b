// Package sqs is the part of Amazon SQS that a local run of the stack needs: standard queues, with visibility timeouts,
// delays, retention, long polling, dead letter queues and the redrive from them. An AWS SDK, the aws command and boto3 use
// it as they use the service, through [Store.ServeHTTP]; a program in the same process can call [Store.Call].
//
// Supported operations: ChangeMessageVisibility, ChangeMessageVisibilityBatch, DeleteMessage, DeleteMessageBatch,
// GetQueueAttributes, GetQueueUrl, ListMessageMoveTasks, ListQueues, PurgeQueue, ReceiveMessage, SendMessage,
// SendMessageBatch, StartMessageMoveTask. What is not supported is refused by name, with the service's error for it, and
// never ignored: FIFO queues with their parameters, message groups, system attributes that a sender sets, and the query
// protocol of older SDKs. Queues come from the program, by [Store.Create]; no operation makes, changes or deletes one.
// Nothing checks permissions or signatures, and nothing is encrypted or throttled.
//
// goaws v0.4.5, the library that could be embedded, does not carry it: it answers the query protocol only, which today's SDKs
// do not send, keeps its queues in variables of the process, which all stacks would share, and in memory, so that messages are
// lost with the process, and goes by time.Now.
//
// # What a standard queue may do, and this one does not
//
// Messages come in the order in which they can be received, each once for a visibility timeout, and as many as are asked
// for and there. The service promises none of that. There is no limit on messages in flight, where the service has one of
// about 120,000, and a task that moves messages ends before its operation answers.
//
// # Receipt handles
//
// A receipt handle is good until its message is received again or gone, also after its visibility timeout: DeleteMessage with
// an older one succeeds and deletes nothing, and ChangeMessageVisibility is refused, as in the service. Handles stay good
// when the store is made again with its file.
//
// # Dead letters
//
// A message that has been received maxReceiveCount times moves when it would be received once more. In the dead letter queue
// it has its message id, its SentTimestamp, from which retention counts, and its ApproximateReceiveCount, which goes on.
// [StartMessageMoveTask] makes new messages of it.
//
// [StartMessageMoveTask]: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html
package sqs
