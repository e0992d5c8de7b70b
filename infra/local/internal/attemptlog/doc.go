// Package attemptlog tells, one line at a time, what a stack does with its requests: a line for each attempt while it runs,
// one for the end of each execution, and one for each request that was answered without an execution.
package attemptlog
