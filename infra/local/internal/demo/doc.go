// Package demo is an upstream to try things with: the endpoints of httpbin, behind a rate limit by source address, and
// with failures.
package demo
