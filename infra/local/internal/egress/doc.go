// Package egress gives each proxy a source address of its own on this machine.
//
// On AWS, functions often leave from different addresses, and an upstream that limits by address sees several callers.
// The handlers know nothing of that. Here, each proxy is given the address of a [Forwarder] in place of the upstream's,
// and the forwarder connects to the upstream from its own loopback address: 127.0.0.2 for one, 127.0.0.3 for the next.
// It passes bytes on and knows nothing of HTTP.
//
// That works for an upstream on a loopback address only, and only where the whole of 127.0.0.0/8 is local, as on Linux.
// The upstream's name stays as it is, its port does not: Host holds the forwarder's, and so do messages about connections
// that fail. When an upstream goes down, the connection that finds it out ends in a reset; those after it are refused.
package egress
