package window

import (
	"net/http"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/demo"
)

// An Upstream is what is shown of the upstream.
type Upstream struct {
	URL string `json:"url"`

	// Calls is how often it was called: as the demo upstream counts, or the attempts that were made.
	Calls int64 `json:"calls"`

	// Settings is how the demo upstream behaves. Nil for another one.
	Settings *demo.Settings `json:"settings,omitempty"`
}

// upstream tells what is known of the upstream now. The window's lock must be held.
func (w *Window) upstream() Upstream {
	u := Upstream{URL: w.config.Upstream, Calls: w.executions.attempts}
	if w.config.Demo != nil {
		settings := w.config.Demo.Settings()
		u.Calls, u.Settings = w.config.Demo.Calls(), &settings
	}
	return u
}

func (w *Window) getUpstream(rw http.ResponseWriter, _ *http.Request) {
	w.mu.Lock()
	u := w.upstream()
	w.mu.Unlock()
	writeJSON(rw, http.StatusOK, u)
}

// putUpstream changes the settings of the demo upstream, all of them.
func (w *Window) putUpstream(rw http.ResponseWriter, r *http.Request) {
	if w.config.Demo == nil {
		writeProblem(rw, http.StatusNotFound, "The upstream is not the demo, so its behaviour cannot be changed here.")
		return
	}
	var settings demo.Settings
	if !readJSON(rw, r, &settings) {
		return
	}
	if err := w.config.Demo.Change(settings); err != nil {
		writeProblem(rw, http.StatusBadRequest, err.Error())
		return
	}
	w.mu.Lock()
	u := w.upstream()
	w.tell(func(*listener) {})
	w.mu.Unlock()
	writeJSON(rw, http.StatusOK, u)
}
