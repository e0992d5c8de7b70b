// Package demo is an upstream to try things with: the endpoints of httpbin, which fail now and then, behind a rate limit by
// source address or by key, with outages.
package demo
