package gate

import (
	"sync"
	"time"
)

// A tableClock tells how far this process's clock is from the store's, if the store's answers prove that they differ.
//
// An answer says the time in whole seconds, and it was said between the request and the receipt. So each answer gives the
// least and the most that the difference can be. While zero is between them, the own clock is taken as it is. Otherwise the
// difference is taken to be in the middle.
type tableClock struct {
	mu          sync.Mutex
	known       bool
	least, most time.Duration // to be added to the own clock
}

// saw takes in an answer.
func (t *tableClock) saw(said, sent, received time.Time) {
	if said.IsZero() {
		return
	}
	least, most := said.Sub(received), said.Add(time.Second).Sub(sent)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known {
		least, most = max(least, t.least), min(most, t.most)
		if least > most { // one of the clocks was set
			least, most = said.Sub(received), said.Add(time.Second).Sub(sent)
		}
	}
	t.known, t.least, t.most = true, least, most
}

// offset is what to add to the own clock.
func (t *tableClock) offset() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.known || t.least <= 0 && t.most >= 0 {
		return 0
	}
	return (t.least + t.most) / 2
}
