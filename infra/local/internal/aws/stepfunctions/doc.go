// Package stepfunctions is a small AWS Step Functions for one machine: state machines, their executions and histories,
// in memory, with the service's API as an [http.Handler]. The language is interpreted by package asl.
//
// It differs from AWS in this: executions of Express workflows can be described, listed and stopped and have a history,
// so that one can look at them; names of executions are kept only as long as the executions are, which is until the
// limits [MaxFinished] and [MaxFinishedBytes] push them out, not for 90 days; histories of Express workflows are bounded
// as those of Standard ones are; there is no throttling; and there are no versions, aliases, redrives, tags, activities,
// task tokens and map runs.
package stepfunctions
