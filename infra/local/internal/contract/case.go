package contract

import "encoding/json"

// A Case is one promise: requests in their order, and what has to come of each. What it does not say is that nothing
// changes: each attempt arrives as the request was sent, and the last thing that the upstream said comes back as it is.
type Case struct {
	// Name is a sentence that says what holds.
	Name string

	// Source says where the promise comes from: a section of a standard, or a finding.
	Source string

	// Policy is the retry policy of the endpoint, where it has to be another one than the default.
	Policy json.RawMessage

	// Down is for an endpoint whose upstream accepts no connections.
	Down bool

	// Pages is an origin whose pages may call the endpoint from a browser, where some have to be able to.
	Pages string

	Requests []Request

	theme  string
	number int // in its theme, from 1
}

// A Request is what a caller sends, what the upstream does with it, and what has to come of it.
type Request struct {
	// Method is GET if it is empty, and Target, path and query, is a slash.
	Method, Target string

	// Fields are header fields as they are sent, such as "Prefer: wait=5". Names may repeat.
	Fields []Text
	Body   Body

	// Raw are the lines of a request that HTTP clients refuse to send. It takes the place of the members above.
	Raw []Text

	// Together is how often the request is sent at the same time, if more than once. One of them is carried out, and all
	// others are answered with its answer.
	Together int

	// Upstream is what the upstream does with each attempt, in the order of their arrival. So many requests have to
	// arrive.
	Upstream []Reply

	// During are requests that are sent while the upstream holds the first attempt at this one. It is answered once they
	// are.
	During []Request

	// Arrives is how each attempt arrives at the upstream, as far as that is not how it was sent.
	Arrives Arrival

	// Answer is what the caller gets, as far as that is not what the upstream said last.
	Answer Answer

	// Attempts are what Proxy-Status tells of each attempt: its status, the type of its error, or both with a blank
	// between. It may be left out if the upstream gave each attempt a whole answer.
	Attempts []string

	// Waits are the least that has to lie between the end of an attempt and the begin of the next one, such as "4s".
	Waits []Duration

	// Recorded says whether the same request, sent again afterwards, is answered from the record, or goes upstream.
	Recorded *bool
}

// A Reply is what the upstream does with an attempt: it answers, or breaks the connection, or both.
type Reply struct {
	// After is how long the upstream takes.
	After Duration

	// Early has it answer before it has read the body of the request.
	Early bool

	// Status, with Reason if it is an odd one, Fields and Body are what it answers. Zero is no answer.
	Status int
	Reason string
	Fields []Text
	Body   Body

	// Raw are the lines of an answer that is written as it stands.
	Raw []Text

	// Then is what becomes of the connection: "close", "reset", or "stall", which is to say nothing more. Behind a Status
	// it cuts off the body. Empty: the answer is whole, and the connection is kept.
	Then string
}

// An Arrival is what arrives at the upstream.
type Arrival struct {
	Method, Target string
	Body           *Body
	Expected
}

// An Answer is what the caller gets.
type Answer struct {
	Status int
	Body   *Body
	Expected

	// Replayed says that the answer comes from the record.
	Replayed bool

	// Problem says that the answer is one of the gateway's own.
	Problem *Problem
}

// A Problem is a problem document, RFC 9457.
type Problem struct {
	// Name ends its type.
	Name string

	// Processed is the member of that name: "no", "unknown", or nothing.
	Processed string

	// MediaType is application/problem+json if it is empty.
	MediaType string
}

// Expected says how header fields have to be: Fields as they stand, Matching with values that match regular expressions,
// such as "Retry-After: [1-9]", and Absent not at all. Repeated fields are compared as lists are, RFC 9110 section 5.3.
type Expected struct {
	Fields, Matching []Text
	Absent           []string
}
