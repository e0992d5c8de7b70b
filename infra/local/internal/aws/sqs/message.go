package sqs

import "time"

// A message is one in a queue, as the file keeps it. A change is in the file before it is made here.
type message struct {
	ID         string
	Body       string
	Attributes map[string]attribute `json:",omitempty"`

	// Sent is when it was sent. A message that moves to a dead letter queue keeps it.
	Sent time.Time

	// Available is when it can be received, or received again.
	Available time.Time

	// Received counts how often it was received, and FirstReceived and LastReceived are when.
	Received                    int       `json:",omitempty"`
	FirstReceived, LastReceived time.Time `json:",omitzero"`

	// Source is the ARN of the queue that it came from, if it is a dead letter.
	Source string `json:",omitempty"`

	number uint64 // the order in which messages came
	index  int    // in the heap
}

// size is what counts towards limits, in bytes.
func size(body string, attributes map[string]attribute) int {
	n := len(body)
	for name, a := range attributes {
		n += len(name) + len(a.DataType) + len(a.BinaryValue)
		if a.StringValue != nil {
			n += len(*a.StringValue)
		}
	}
	return n
}
