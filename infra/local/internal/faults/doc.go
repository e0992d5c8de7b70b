// Package faults has calls to AWS fail as they do in the world: a share of them is throttled, a share meets an error of the
// service's, a share is carried out and the reply is lost or breaks off, and a share is slow.
//
// [Parse] reads the shares, and an [Injector] stands in front of what answers the calls: of the handlers of the services
// ([Injector.Handler]), of what the Task states of state machines call ([Injector.Lambda], [Injector.DynamoDB], [Injector.SQS]), and of what
// event sources poll and invoke ([Injector.Queues], [Injector.Functions]).
//
// # What can be repeated
//
// What becomes of a call is drawn from a source that the seed determines, and each service has a source of its own, as has
// each integration of the state machines and of the event sources. So the n-th call of a service meets the same fault in every
// run. Calls at the same time may come in another order in another run; which of them is the n-th, the seed does not say.
package faults
