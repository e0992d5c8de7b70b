package contract

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"strings"
	"time"
)

// An Upstream is what an endpoint calls, and does what cases say: a [Server] on this machine, or a [Remote] one in AWS. Each
// case has a path of its own there, so that cases can run at the same time.
type Upstream interface {
	// unfit says why it cannot play a case, or nothing.
	unfit(c *Case) string

	// begin begins the script of a case.
	begin(name string) script
}

// A script is what an upstream does with the requests of one case.
type script interface {
	// path is that of the case, below which its targets lie.
	path() string

	// expect says what is done with the requests that come from now on, in their order. If they are held, they are answered
	// once the scene is released.
	expect(ctx context.Context, replies []Reply, held bool) (scene, error)

	// end has the upstream forget the case.
	end()
}

// A scene is what was expected at one time, and what came of it.
type scene interface {
	// begins returns once the first request has come.
	begins(ctx context.Context) error

	// release has those answered that are held. It is called once.
	release(ctx context.Context) error

	// arrivals are the requests that have come, in their order: those that were expected, and behind them those that were not.
	arrivals(ctx context.Context) ([]arrival, error)
}

// An arrival is a request that has come to the upstream.
type arrival struct {
	received
	upstream string    // the URL of the case there
	replied  time.Time // when the reply began to be given; zero before
}

// received is a request as it arrived.
type received struct {
	method, target string
	fields         []field
	body           []byte
	unread         bool // the body
	at             time.Time
}

// value is that of the first field with a name.
func (r received) value(name string) string {
	for _, f := range r.fields {
		if strings.EqualFold(f.name, name) {
			return f.value
		}
	}
	return ""
}

// runName begins the paths of the cases of a run, so that no other run has the same.
func runName() string {
	name := make([]byte, 4)
	_, _ = rand.Read(name) // never fails
	return hex.EncodeToString(name)
}
