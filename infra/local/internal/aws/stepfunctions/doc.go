// Package stepfunctions is a small AWS Step Functions for one machine: state machines, their executions and histories, in
// memory or in a file, with the service's API as an [http.Handler]. The language is interpreted by package asl.
//
// It differs from AWS in this: executions of Express workflows can be described, listed and stopped and have a history, so
// that one can look at them; executions that have ended are known for 90 days, as in AWS, but only until the limits
// [MaxFinished] and [MaxFinishedBytes] push them out, while the names of Standard ones stay taken; histories of Express
// workflows are bounded as those of Standard ones are; a state machine has one version, which is what it is; and there are no
// quotas, aliases, redrives, tags, activities, task tokens and map runs.
//
// In AWS a Task's call outlives everything. Here it ends with the process; see [asl.Machine.Resume] for what becomes of the
// execution.
package stepfunctions
