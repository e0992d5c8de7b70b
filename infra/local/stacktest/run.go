package stacktest

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/terminal"
)

// A Run is what came of a request: the answer that the caller got, and the execution behind it, if there was one. There is
// none behind the gateway's refusals and behind replays.
type Run struct {
	StatusCode int
	Header     http.Header
	Body       string

	Execution

	request string
}

// shownBody is how much of a body is told, in bytes.
const shownBody = 200

// String tells what was done with the request, one line for each attempt, and what the caller got.
func (r *Run) String() string {
	var b strings.Builder
	b.WriteString(r.Execution.String())
	body := r.Body
	if len(body) > shownBody {
		body = body[:shownBody] + "…"
	}
	fmt.Fprintf(&b, "%s was answered with %d %s %q", terminal.Line(r.request), r.StatusCode, http.StatusText(r.StatusCode), body)
	for _, name := range []string{"Retry-After", "Idempotent-Replayed"} {
		if value := r.Header.Get(name); value != "" {
			fmt.Fprintf(&b, ", %s: %s", name, terminal.Line(value))
		}
	}
	return b.String()
}
