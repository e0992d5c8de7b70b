// Package storetest holds the tests that every idempotency.Store has to pass.
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) idempotency.Store { return mystore.New(…) })
//	}
package storetest
