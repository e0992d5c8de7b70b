// Package gate lets callers of an upstream that know nothing of each other behave as one: they share one small item of what
// the upstream has told any of them, and queue by it.
//
// Without a gate, each caller that is limited or refused tries again by itself. A limit then costs several calls per
// success, and the end of an outage sees a multiple of the usual load. With a gate, callers take numbered tickets from the
// item while there is trouble, and each ticket has its time: callers come one after the other, as fast as the upstream has
// been seen to let them through. While there is no trouble, nobody writes the item and nobody waits.
//
//	g, err := gate.New(store, gate.Settings{Mode: gate.Adaptive})
//	…
//	v := g.Visit(gate.Scope(gate.ByCredential|gate.ByRoute, token, "/orders"), deadline)
//	for {
//		if err := v.Wait(ctx); err != nil {
//			return err // a *gate.Refusal says when to come again; nothing was sent
//		}
//		response, err := call()
//		switch {
//		case response.StatusCode == http.StatusTooManyRequests:
//			if !v.Limited(ctx, gate.Limit{RetryAfter: told}) {
//				… // the item cannot be used: back off as if there were no gate
//			}
//		…
//		}
//	}
//
// # What it does
//
//   - A queue. A ticket is a number, taken by adding one to a counter. Ticket n may call at a moment that is worked out from
//     the number and the rate, so all who wait move together when the rate changes.
//   - A rate. It is typed in ([Fixed]), or learned from what the upstream lets through ([Adaptive]).
//   - A breaker. If nearly every call fails, the queue stops. One caller at a time tries, by a lease that ends by itself.
//     When a try succeeds, those who wait are let go at one and a half times the rate at which they came, and not at once.
//
// # What it never does
//
//   - It never lets a request call before the moment that its own answers named.
//   - It never holds anybody back because of the store: an error, a refusal or 50 ms without an answer is as if there were
//     no gate, and so is an item that was lost.
//   - It never holds a request beyond the moment that it gave; if its time would come later, it is refused at once.
//
// The arithmetic has no clock and no network but what it is given. Stores are [MemoryStore], for one process, and
// package gatestore, for DynamoDB. Package gatetest has the tests that every Store has to pass.
package gate
