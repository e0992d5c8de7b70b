package console

import (
	"net/http"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/demo"
)

// An Upstream is what is shown of the upstream.
type Upstream struct {
	URL string `json:"url"`

	// Calls is how often it was called: as the demo upstream counts, or the attempts that were made.
	Calls int64 `json:"calls"`

	// Settings is how the demo upstream behaves. Nil for another one.
	Settings *demo.Settings `json:"settings,omitempty"`
}

// upstream tells what is known of the upstream now. The console's lock must be held.
func (c *Console) upstream() Upstream {
	u := Upstream{URL: c.config.Upstream, Calls: c.executions.attempts}
	if c.config.Demo != nil {
		settings := c.config.Demo.Settings()
		u.Calls, u.Settings = c.config.Demo.Calls(), &settings
	}
	return u
}

func (c *Console) getUpstream(rw http.ResponseWriter, _ *http.Request) {
	c.mu.Lock()
	u := c.upstream()
	c.mu.Unlock()
	writeJSON(rw, http.StatusOK, u)
}

// putUpstream changes the settings of the demo upstream, all of them.
func (c *Console) putUpstream(rw http.ResponseWriter, r *http.Request) {
	if c.config.Demo == nil {
		writeProblem(rw, http.StatusNotFound, "The upstream is not the demo, so its behaviour cannot be changed here.")
		return
	}
	var settings demo.Settings
	if !readJSON(rw, r, &settings) {
		return
	}
	if err := c.config.Demo.Change(settings); err != nil {
		writeProblem(rw, http.StatusBadRequest, err.Error())
		return
	}
	c.mu.Lock()
	u := c.upstream()
	c.tell(func(*listener) {})
	c.mu.Unlock()
	writeJSON(rw, http.StatusOK, u)
}
