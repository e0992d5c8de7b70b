package console

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/embeddedmetrics"
)

// MaxMetrics is how many metrics are shown: those of six instances with twenty proxies each, some of which each proxy has for
// itself. Of more, those that come later are left out.
const MaxMetrics = 500

// A Metric is what is shown of a metric that functions have measured.
type Metric struct {
	Namespace  string            `json:"namespace"`
	Name       string            `json:"name"`
	Unit       string            `json:"unit,omitempty"`
	Dimensions map[string]string `json:"dimensions,omitempty"`

	// Last is the last value, and Time when it was measured.
	Last float64   `json:"last"`
	Time time.Time `json:"time"`

	// Count is how many values there were, and Sum what they are together.
	Count int     `json:"count"`
	Sum   float64 `json:"sum"`
}

// metrics holds what is shown, by namespace, name and dimensions. The console's lock guards it.
type metrics map[string]*Metric

func (all metrics) take(m embeddedmetrics.Metric) {
	key, err := json.Marshal([]any{m.Namespace, m.Name, m.Dimensions}) // with the dimensions in order
	if err != nil {
		return // strings can be written as JSON
	}
	shown := all[string(key)]
	if shown == nil {
		if len(all) == MaxMetrics {
			return
		}
		shown = &Metric{Namespace: m.Namespace, Name: m.Name, Unit: m.Unit, Dimensions: m.Dimensions}
		all[string(key)] = shown
	}
	shown.Last, shown.Time = m.Values[len(m.Values)-1], m.Time
	for _, value := range m.Values {
		shown.Count++
		shown.Sum += value
	}
}

// sorted copies all metrics, by name.
func (all metrics) sorted() []Metric {
	list := make([]Metric, 0, len(all))
	for _, key := range slices.Sorted(maps.Keys(all)) {
		list = append(list, *all[key])
	}
	return list
}

// Measured takes in the metrics of a line that a function has logged, and says whether it has any. What else the line says is for
// people to read.
func (c *Console) Measured(line string) bool {
	read, ok := embeddedmetrics.Read(line)
	if !ok {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range read {
		c.metrics.take(m)
	}
	c.tell(func(*listener) {})
	return true
}
