// Package dynamodb is the part of Amazon DynamoDB that a local run of the stack needs: tables with a simple or a
// composite primary key, the operations on single items with their expressions, Scan and Query on the key, and time to
// live. An AWS SDK, the aws command and boto3 use it as they use the service, through [Store.ServeHTTP]; a program in the
// same process can call [Store.Call].
//
// What is not supported is refused by name, with the service's error for it, and never ignored. Reads are always
// consistent. Nothing checks permissions or signatures, and nothing is throttled.
//
// Supported operations: DeleteItem, DescribeTable, DescribeTimeToLive, GetItem, ListTables, PutItem, Query, Scan,
// UpdateItem, UpdateTimeToLive. Tables come from the program, by [Store.CreateTable]; there are no indexes, and the
// parameters that expressions have replaced (Expected, AttributeUpdates, KeyConditions …) are not supported.
package dynamodb
