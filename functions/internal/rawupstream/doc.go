// Package rawupstream is an upstream for tests that says what it likes on its connections: half an answer, a reset, or
// nothing at all.
package rawupstream
