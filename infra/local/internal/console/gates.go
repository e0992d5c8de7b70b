package console

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/dynamodb"
)

// MaxGates is how many items of gates are shown: those that are active, and those that were last.
const MaxGates = 100

// A Gate is what is shown of an item of package gate: what callers know together of one scope of the upstream, or of one part
// of it if they are spread over several items.
type Gate struct {
	ID string `json:"id"`

	// Prefix, Scope and Shard are what the id is made of. Scope has a digest of the credential, see [gate.Scope].
	Prefix string `json:"prefix"`
	Scope  string `json:"scope"`
	Shard  int    `json:"shard"`

	// Circuit says whether calls are let through.
	Circuit gate.Circuit `json:"circuit"`

	// Active says that callers take tickets. ActiveUntil is until when they do, or did, unless tickets wait then. Zero: they
	// never did.
	Active      bool      `json:"active"`
	ActiveUntil time.Time `json:"activeUntil,omitzero"`

	// HeldUntil is the moment for which everybody waits. Zero if there is none, or it has passed.
	HeldUntil time.Time `json:"heldUntil,omitzero"`

	// PerSecond is the rate at which tickets have their time, per second. Zero: it is not known.
	PerSecond float64 `json:"perSecond,omitempty"`

	// Tickets is how many have been taken, and Waiting how many wait for their time.
	Tickets int64 `json:"tickets"`
	Waiting int   `json:"waiting"`

	// LimitedBy is what the limit was found to be counted by: key or address. Empty as long as it is not known.
	LimitedBy gate.Scoping `json:"limitedBy,omitempty"`
}

// newGate reads an item; ok is false if it is none of a gate.
func newGate(text json.RawMessage, now time.Time) (g Gate, ok bool) {
	var key struct{ ID string }
	if json.Unmarshal(text, &key) != nil {
		return Gate{}, false
	}
	prefix, scope, shard, ok := splitItemID(key.ID)
	var item gate.Item // the names of its members are those of the attributes
	if !ok || json.Unmarshal(text, &item) != nil {
		return Gate{}, false
	}
	g = Gate{
		ID: key.ID, Prefix: prefix, Scope: scope, Shard: shard,
		Circuit: item.Circuit(now), Active: item.Active(now), PerSecond: item.PerSecond(),
		Tickets: item.Ticket, Waiting: item.Waiting(now), LimitedBy: item.Scoping(),
	}
	if item.ActiveUntil > 0 {
		g.ActiveUntil = time.UnixMilli(item.ActiveUntil).UTC()
	}
	if since := time.UnixMilli(item.Since).UTC(); since.After(now) {
		g.HeldUntil = since
	}
	return g, true
}

// splitItemID takes the id of an item apart, which is gate#prefix#scope#shard. A scope has no number sign; a prefix may have
// some.
func splitItemID(id string) (prefix, scope string, shard int, ok bool) {
	rest, ok := strings.CutPrefix(id, gate.ItemPrefix)
	if !ok {
		return "", "", 0, false
	}
	parts := strings.Split(rest, "#")
	if len(parts) < 3 {
		return "", "", 0, false
	}
	shard, err := strconv.Atoi(parts[len(parts)-1])
	return strings.Join(parts[:len(parts)-2], "#"), parts[len(parts)-2], shard, err == nil
}

// gates lists the items of gates in all tables: those that are active first, then those that were last.
func gates(tables *dynamodb.Store, now time.Time) ([]Gate, error) {
	list, err := itemsOf(tables, now, newGate)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(list, func(a, b Gate) int {
		if a.Active != b.Active {
			if a.Active {
				return -1
			}
			return 1
		}
		return cmp.Or(b.ActiveUntil.Compare(a.ActiveUntil), strings.Compare(a.ID, b.ID))
	})
	return list[:min(len(list), MaxGates)], nil
}

func (c *Console) getGates(rw http.ResponseWriter, _ *http.Request) {
	_, tables := c.watched()
	c.mu.Lock()
	measured := c.metrics.sorted()
	c.mu.Unlock()
	list, err := gates(tables, c.config.Now())
	if err != nil {
		writeProblem(rw, http.StatusInternalServerError, err.Error())
		return
	}
	writeJSON(rw, http.StatusOK, map[string]any{"gates": list, "metrics": measured})
}
