// Package handler is what a proxy function does: it sends a request upstream once, has the policy judge what came of it,
// and says what comes next. All that it keeps between requests is what it has found out about the upstream's limits, and
// nothing depends on that but how many calls are made.
package handler
