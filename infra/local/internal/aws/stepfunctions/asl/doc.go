// Package asl interprets the Amazon States Language: the part of it, in its JSONPath form, that state machines of Task,
// Choice, Wait, Pass, Succeed and Fail states are made of.
//
// [Parse] reads a definition and refuses, by name, everything that the interpreter does not know, so that nothing in a
// definition is ever ignored. [Machine.Run] executes it and returns what AWS would return: status, output, error, cause
// and the history of events under the names that the service gives them.
//
// Left out are Map and Parallel states, JSONata and variables, activities, callbacks with task tokens, and paths that
// select more than one value. The integrations are lambda:invoke, dynamodb:updateItem,
// sqs:sendMessage and states:startExecution, which does not wait for the execution.
//
// Values are JSON values: numbers come out as they went in, and the members of objects in the order of their names.
//
// Where the published specification (https://states-language.net) and AWS's documentation leave something open, the
// interpreter does what the service is seen to do: a path that leads nowhere is a States.Runtime error, for one, which
// no Retry and no Catch sees.
package asl
