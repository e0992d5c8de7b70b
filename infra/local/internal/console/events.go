package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// The pace of events.
const (
	// minInterval is how long changes are gathered after some were told, so that a busy stack is not slowed down.
	minInterval = 50 * time.Millisecond

	// lookInterval is how often one looks at what does not say that it has changed: the records, the gates and the calls of
	// the upstream.
	lookInterval = time.Second

	// writeTimeout is how long a listener may take to read what it is told. For one that does not read, such as a page that
	// the browser has put to sleep, changes would be marked without end. It is left, and comes back to a snapshot.
	writeTimeout = 10 * time.Second
)

// A listener is somebody who is told of changes.
type listener struct {
	executions map[string]struct{} // that have changed, by their ARNs
	requests   map[int64]struct{}  // that have changed, by their ids
	wake       chan struct{}       // holds one signal
}

// tell marks a change for every listener and wakes it. The console's lock must be held.
func (c *Console) tell(mark func(*listener)) {
	for l := range c.listeners {
		mark(l)
		select {
		case l.wake <- struct{}{}:
		default: // it will wake anyway
		}
	}
}

// A snapshot is all that is shown, at one moment.
type snapshot struct {
	Executions []Execution `json:"executions"`
	Requests   []Request   `json:"requests"`
	Records    []Record    `json:"records"`
	Gates      []Gate      `json:"gates"`
	Metrics    []Metric    `json:"metrics"`
	Upstream   Upstream    `json:"upstream"`
}

// A stream writes server-sent events and remembers what it wrote last.
type stream struct {
	rw   http.ResponseWriter
	last map[string][]byte // data by event
	err  error
}

// event writes an event.
func (s *stream) event(name string, value any) {
	data, err := json.Marshal(value)
	if s.err != nil || err != nil {
		return
	}
	_, s.err = fmt.Fprintf(s.rw, "event: %s\ndata: %s\n\n", name, data)
}

// changed writes an event unless its data is what it was before.
func (s *stream) changed(name string, value any) {
	data, err := json.Marshal(value)
	if err != nil || bytes.Equal(s.last[name], data) {
		return
	}
	s.last[name] = data
	s.event(name, value)
}

// getEvents tells a listener everything, in a snapshot event, and then what changes, in the events execution, request,
// records, gates, metrics and upstream, until it goes away. A listener that comes back starts with a snapshot again, so nothing has to be
// remembered for it.
func (c *Console) getEvents(rw http.ResponseWriter, r *http.Request) {
	rw.Header().Set("Content-Type", "text/event-stream")
	l := &listener{executions: map[string]struct{}{}, requests: map[int64]struct{}{}, wake: make(chan struct{}, 1)}
	connection := http.NewResponseController(rw)
	s := &stream{rw: rw, last: map[string][]byte{}}
	// A writer that has no deadlines is a test's.
	_ = connection.SetWriteDeadline(time.Now().Add(writeTimeout))

	c.mu.Lock()
	c.listeners[l] = struct{}{}
	all := snapshot{Executions: c.executions.newestFirst(), Requests: c.requests.newestFirst(), Metrics: c.metrics.sorted(), Upstream: c.upstream()}
	tables := c.tables
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.listeners, l)
		c.mu.Unlock()
	}()
	var err error
	all.Records, s.err = records(tables, c.config.Now())
	if all.Gates, err = gates(tables, c.config.Now()); s.err == nil {
		s.err = err
	}
	s.last["records"], _ = json.Marshal(all.Records)
	s.last["gates"], _ = json.Marshal(all.Gates)
	s.last["metrics"], _ = json.Marshal(all.Metrics)
	s.last["upstream"], _ = json.Marshal(all.Upstream)
	s.event("snapshot", all)

	look := time.NewTicker(lookInterval)
	defer look.Stop()
	for s.err == nil && connection.Flush() == nil {
		select {
		case <-r.Context().Done():
			return
		case <-look.C:
		case <-l.wake:
		}
		_ = connection.SetWriteDeadline(time.Now().Add(writeTimeout))
		c.tellChanges(s, l)
		select {
		case <-r.Context().Done():
			return
		case <-time.After(minInterval):
		}
	}
}

// tellChanges writes what has changed for a listener.
func (c *Console) tellChanges(s *stream, l *listener) {
	c.mu.Lock()
	var executions []Execution
	for _, e := range c.executions.order {
		if _, changed := l.executions[e.arn]; changed {
			executions = append(executions, e.copied())
		}
	}
	var requests []Request
	for _, r := range c.requests.all {
		if _, changed := l.requests[r.ID]; changed {
			requests = append(requests, r.copied())
		}
	}
	clear(l.executions)
	clear(l.requests)
	upstream, measured, tables := c.upstream(), c.metrics.sorted(), c.tables
	c.mu.Unlock()

	// What made the answer comes before the answer, so that it can be shown with it.
	for _, e := range executions {
		s.event("execution", e)
	}
	for _, r := range requests {
		s.event("request", r)
	}
	if list, err := records(tables, c.config.Now()); err == nil {
		s.changed("records", list)
	}
	if list, err := gates(tables, c.config.Now()); err == nil {
		s.changed("gates", list)
	}
	s.changed("metrics", measured)
	s.changed("upstream", upstream)
}
