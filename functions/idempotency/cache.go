package idempotency

import (
	"bytes"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// A cache keeps completed records of this process. It holds bytes of its own, never a caller's value. A nil cache keeps
// nothing.
type cache struct{ records *lru.Cache[string, Record] }

func newCache(size int) *cache {
	records, err := lru.New[string, Record](size)
	if err != nil {
		panic(err) // only a size below one is an error, and New lets none through
	}
	return &cache{records}
}

// get returns a copy of a record that has not expired.
func (c *cache) get(id string, now time.Time) (Record, bool) {
	if c == nil {
		return Record{}, false
	}
	r, ok := c.records.Get(id)
	if !ok {
		return Record{}, false
	}
	if !r.Live(now) {
		c.records.Remove(id)
		return Record{}, false
	}
	r.Data = bytes.Clone(r.Data)
	return r, true
}

func (c *cache) put(r Record) {
	if c == nil {
		return
	}
	r.Data = bytes.Clone(r.Data)
	c.records.Add(r.ID, r)
}
