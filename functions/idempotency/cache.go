package idempotency

import (
	"bytes"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// A cache keeps completed records of this process. It holds bytes of its own, never a caller's value. A nil cache keeps
// nothing.
type cache struct {
	records *lru.Cache[string, Record]

	// mu keeps put and forget apart, and forgotten counts calls of forget.
	mu        sync.Mutex
	forgotten int
}

func newCache(size int) *cache {
	records, err := lru.New[string, Record](size)
	if err != nil {
		panic(err) // only a size below one is an error, and New lets none through
	}
	return &cache{records: records}
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

// age is to be asked before the store is, and handed to put with what the store said.
func (c *cache) age() int {
	if c == nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.forgotten
}

// put keeps a record, unless one was forgotten since age was asked: it may have been this one.
func (c *cache) put(r Record, age int) {
	if c == nil {
		return
	}
	r.Data = bytes.Clone(r.Data)
	r.TakenOver = false
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.forgotten == age {
		c.records.Add(r.ID, r)
	}
}

func (c *cache) forget(id string) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgotten++
	c.records.Remove(id)
}
