// Package retryhttp repeats the requests of any Go program by a policy of package
// [github.com/retrying-api-proxy/retrying-api-proxy/functions/retry].
//
// A [Transport] is an [http.RoundTripper], so that everything which uses an [http.Client] goes on as before:
//
//	client := retryhttp.NewClient(retry.Policy{})
//	response, err := client.Get("https://api.example.com/things")
//
// # What is repeated
//
// The policy decides, as [retry.Policy.Next] says. In short: a rate limit, a server error and a failure of the network are
// followed by another attempt, no attempt starts before the moment that the upstream named, and what the upstream may have
// acted on is sent again only if its method is idempotent, or if the request carries an Idempotency-Key. As in net/http,
// that is a header with an entry Idempotency-Key or X-Idempotency-Key, and an entry without a value says that the request
// may be repeated without anything being sent.
//
// Requests leave from one address, so there are no quick tries from another one.
//
// # What comes back
//
// An answer, if the last attempt brought one: the final one, or the 429 or 503 after which the policy gave up, as if there
// were no policy. Nothing of its body has been read. Otherwise an [*Error] that wraps the error of the last attempt.
//
// # How long it takes
//
// The deadline of the request's context holds over all attempts and the waits between them; [http.Client.Timeout] is such a
// deadline. Without one, the policy's Deadline takes its place: 60 s, if the policy does not say otherwise. A context may
// give more time than that, and more than MaxDeadline, which is about callers from afar. If a wait would not end in time,
// the request ends before it.
//
// An attempt may take as long as [retry.Policy.Timeouts] says, until its answer begins. When the answer is handed on,
// nothing of it can be repeated any more, so only the context limits how long its body is read for: downloads and streams
// are not cut off. If a context is cancelled, attempts and waits end at once.
//
// # Bodies of requests
//
// A body is sent again if the request has GetBody, which [http.NewRequest] sets for a [bytes.Buffer], a [bytes.Reader] and
// a [strings.Reader]. Any other body can be read once. Such a request is repeated only if nothing of its body was read,
// as when no connection came about. Transport.BufferBody has such bodies read into memory.
//
// # What net/http repeats by itself
//
// An attempt is one call of Transport.Base. An [http.Transport] repeats some requests within that call: on a connection
// that was used before, and that turns out to be closed, any request of which nothing was written, and GET, HEAD, OPTIONS,
// TRACE and requests with an Idempotency-Key also after they were written; over HTTP/2, what the other side says it did
// not process. The policy neither counts nor delays these. [Attempt].Connections tells of them. Without connections that are
// used again (DisableKeepAlives) and without HTTP/2, an attempt is one request at the most.
//
// How far a request came is known from [net/http/httptrace]. Of a base that does not call its hooks, everything that failed
// may have been processed.
package retryhttp
