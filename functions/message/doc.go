// Package message defines what travels between the gateway, the state machine and the proxies, and what the construct
// and the handlers have to agree on: the [Envelope] with the request or the answer in it, the history of attempts, the
// proxies that were lost, the names of the proxies, and the environment variables of the functions. Whoever reads an
// envelope, the local run included, does it by this package. What must not travel is here as well: a [Forwarding] says
// which requests go upstream, which of their fields, and which of an answer's come back.
//
// There is one form, [Envelope]. On its way to a proxy it carries the request; on its way back it carries the answer.
// It never carries both, so that each may fill the 256 KiB that a state can hold.
//
// An envelope has a [Version]. One that is newer than the code that reads it is refused, before anything is sent.
package message
