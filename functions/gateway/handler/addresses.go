package handler

import (
	"sync"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// addressAge is how long ago a proxy may have called from an address for that to count. It is longer than the time after which
// proxies look for their addresses again.
const addressAge = 2 * time.Hour

// addresses are those that the proxies have called from, as far as this process has seen. The zero value knows of none. It is safe
// for concurrent use.
type addresses struct {
	mu     sync.Mutex
	latest map[int]sighting // by the number of the proxy
}

type sighting struct {
	address string
	at      time.Time
}

// see takes in the attempts of a request, and says how many addresses so many proxies have now, of each the latest: none if these
// attempts tell of none.
func (a *addresses) see(attempts []retry.Attempt, proxies int, now time.Time) int {
	told := false
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, attempt := range attempts {
		number := message.ProxyNumber(attempt.Proxy)
		if attempt.Address == "" || number < 1 || number > proxies {
			continue
		}
		if a.latest == nil {
			a.latest = map[int]sighting{}
		}
		a.latest[number] = sighting{attempt.Address, now}
		told = true
	}
	if !told {
		return 0
	}
	distinct := map[string]bool{}
	for number, s := range a.latest {
		if now.Sub(s.at) > addressAge {
			delete(a.latest, number)
			continue
		}
		distinct[s.address] = true
	}
	return len(distinct)
}
