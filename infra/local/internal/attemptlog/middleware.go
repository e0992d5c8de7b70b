package attemptlog

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// requestIDField names the invocation of the function behind the URL, which names the execution that it starts.
const requestIDField = "X-Amzn-Requestid"

// replayedField marks an answer from an idempotency record.
const replayedField = "Idempotent-Replayed"

// Middleware wraps the handler of the function URL, to tell of the requests that start no execution: replays, and what the
// gateway answers by itself.
func (p *Printer) Middleware(url http.Handler) http.Handler {
	p.mu.Lock()
	p.wrapping = true
	p.mu.Unlock()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		answer := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		url.ServeHTTP(answer, r)

		p.mu.Lock()
		defer p.mu.Unlock()
		id := w.Header().Get(requestIDField)
		if p.started[id] {
			delete(p.started, id) // its end has been printed
			return
		}
		how := "without an attempt"
		if w.Header().Get(replayedField) != "" {
			how = "from the idempotency record"
		}
		now := time.Now()
		p.line(now, id, fmt.Sprintf("%s %s -> %d %s in %s", r.Method, withoutID(r.URL.EscapedPath()), answer.status, how, milliseconds(now.Sub(began).Milliseconds())))
	})
}

// executionsPath begins the paths of asynchronous requests, whose next segment may be all that a caller has to show.
const executionsPath = "/-/executions/"

// withoutID is a path without the id of an asynchronous request.
func withoutID(path string) string {
	rest, found := strings.CutPrefix(path, executionsPath)
	if !found {
		return path
	}
	_, behind, deeper := strings.Cut(rest, "/")
	if !deeper {
		return executionsPath + "…"
	}
	return executionsPath + "…/" + behind
}

// A statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}
