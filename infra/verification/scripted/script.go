// Package scripted is what the scripted upstream of the verification stack and whoever writes its scripts say to each other.
//
// The upstream is a Lambda function behind a function URL, whose paths begin with a secret that is the stack's. Below it,
// each script has a path of its own, /NAME, and is written at
//
//	PUT  /-/scripts/NAME/SCENE           a [Scene]: what is done with the requests that come to /NAME from now on
//	POST /-/scripts/NAME/SCENE/release   has those requests answered that are held
//	GET  /-/scripts/NAME/SCENE           the [Arrivals]
//
// SCENE is a number that the writer chooses. A scene takes the place of the one before; what came in that one can still be
// read. Scripts are forgotten after [Retention].
//
// A RetryingApiProxy in front of it sends nothing to paths below /-/, so that its callers cannot reach them.
package scripted

import (
	"bytes"
	"time"
)

// ControlPath begins the paths at which scripts are written and read, behind the secret.
const ControlPath = "/-/scripts/"

// Retention is how long scripts and what arrived are kept.
const Retention = time.Hour

// MaxHold is how long a request is held at most, if nobody has it released.
const MaxHold = 25 * time.Second

// Unexpected is the body of the answer to a request for which the scene has no reply.
const Unexpected = "nobody expected this one\r\n"

// A Scene is what is done with requests.
type Scene struct {
	// Replies are for the requests in the order of their arrival. Others are answered with 200 and [Unexpected].
	Replies []Reply `json:"replies,omitempty"`

	// Held has requests answered once the scene is released, or after [MaxHold].
	Held bool `json:"held,omitempty"`
}

// A Reply is an answer.
type Reply struct {
	// Status is from 200 to 599.
	Status int `json:"status"`

	// Fields are its header fields. In their values, {date}, {epoch} and such with a distance, as in {date+4s}, are moments,
	// counted from when the answer is given; see [Moments].
	Fields []Field `json:"fields,omitempty"`

	Body Body `json:"body,omitzero"`

	// DelayMilliseconds is how long it takes.
	DelayMilliseconds int64 `json:"delayMilliseconds,omitempty"`
}

// A Field is a header field.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// A Body is Bytes, Times over.
type Body struct {
	Bytes []byte `json:"bytes,omitempty"`
	Times int    `json:"times,omitempty"` // 0 is once
}

// Whole is the body as it is sent.
func (b Body) Whole() []byte { return bytes.Repeat(b.Bytes, max(1, b.Times)) }

// Arrivals are the requests that came in one scene, in the order in which they took their replies.
type Arrivals struct {
	Arrivals []Arrival `json:"arrivals"`
}

// An Arrival is a request as it came out of the function URL: that names fields in lower case, joins those of one name, and
// adds some of its own.
type Arrival struct {
	Method string  `json:"method"`
	Target string  `json:"target"` // behind the script's path, with the query
	Fields []Field `json:"fields,omitempty"`
	Body   []byte  `json:"body,omitempty"`

	// At is when it came, and Replied when it was answered, by the function's clock. Replied is zero before.
	At      time.Time `json:"at"`
	Replied time.Time `json:"replied,omitzero"`
}
