// Package gatetest holds the tests that every gate.Store has to pass.
//
//	func TestStore(t *testing.T) {
//		gatetest.Run(t, func(t *testing.T) gate.Store { return mystore.New(…) })
//	}
package gatetest
