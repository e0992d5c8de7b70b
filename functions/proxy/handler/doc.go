// Package handler is what a proxy function does: it sends a request upstream once, has the policy judge what came of it,
// and says what comes next. It keeps no state.
package handler
