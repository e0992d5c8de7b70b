package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/internal/simulation"
)

// A table is a DynamoDB table, as far as time, money and failures go: each operation is on one item, takes a while, fails
// now and then, and is throttled if an item is written to more than a thousand times a second.
type table struct {
	items   map[string]gate.Item
	writing map[string]*simulation.Bucket

	random      *rand.Rand
	slow        bool // 5 to 20 ms with a 99th percentile of 100 ms, instead of 5 ms
	failures    float64
	lost        time.Duration // when all items are lost, once
	silentClock bool          // its answers have no Date

	reads, writes, throttled int
	gone                     bool
	perSecond                map[string]map[int64]int // writes of each item in each second
}

const writesPerSecond = 1000

var errTable = errors.New("the table does not answer, or is throttled")

func (t *table) latency() time.Duration {
	if !t.slow {
		return 5 * time.Millisecond
	}
	if t.random.Float64() < 0.98 {
		return 5*time.Millisecond + time.Duration(t.random.Float64()*float64(15*time.Millisecond))
	}
	return 20*time.Millisecond + time.Duration(t.random.Float64()*float64(160*time.Millisecond))
}

// peek is an item as it is.
func (t *table) peek(id string) gate.Item { return t.items[id] }

// pass lets the first half of an operation pass, and returns what remains; what lasts too long is an error.
func (t *table) pass(p *simulation.Process) (rest time.Duration, err error) {
	d := t.latency()
	p.Sleep(min(d/2, gate.DefaultSilence))
	if t.lost > 0 && p.Now() >= t.lost && !t.gone {
		t.items, t.gone = nil, true
	}
	rest = d - d/2
	if d > gate.DefaultSilence {
		return max(0, gate.DefaultSilence-d/2), errTable
	}
	return rest, nil
}

func (t *table) reply(p *simulation.Process, i gate.Item, applied bool) gate.Reply {
	reply := gate.Reply{Item: i, Applied: applied, Time: simulation.Epoch.Add(p.Now()).Truncate(time.Second)}
	if t.silentClock {
		reply.Time = time.Time{}
	}
	return reply
}

// Get implements [gate.Store].
func (t *table) Get(ctx context.Context, id string) (gate.Reply, error) {
	p := processOf(ctx)
	t.reads++
	rest, err := t.pass(p)
	reply := t.reply(p, t.items[id], false)
	p.Sleep(rest)
	if err == nil && t.random.Float64() < t.failures {
		err = errTable
	}
	return reply, err
}

// Update implements [gate.Store].
func (t *table) Update(ctx context.Context, id string, u gate.Update) (gate.Reply, error) {
	p := processOf(ctx)
	t.writes++
	rest, err := t.pass(p)
	if t.items == nil {
		t.items = map[string]gate.Item{}
	}
	if t.writing == nil {
		t.writing, t.perSecond = map[string]*simulation.Bucket{}, map[string]map[int64]int{}
	}
	if t.writing[id] == nil {
		t.writing[id] = simulation.NewBucket(writesPerSecond, writesPerSecond)()
		t.perSecond[id] = map[int64]int{}
	}
	if !t.writing[id].Take(p.Now()) {
		t.throttled++
		p.Sleep(rest)
		return gate.Reply{}, errTable
	}
	t.perSecond[id][int64(p.Now()/time.Second)]++
	if t.random.Float64() < t.failures {
		p.Sleep(rest)
		return gate.Reply{}, errTable
	}
	// An update whose answer is too late is made all the same.
	i, applied := u.Apply(t.items[id])
	if applied {
		t.items[id] = i
	}
	reply := t.reply(p, i, applied)
	p.Sleep(rest)
	return reply, err
}

// busiest is the most writes of one item in one second.
func (t *table) busiest() int {
	most := 0
	for _, seconds := range t.perSecond {
		for _, n := range seconds {
			most = max(most, n)
		}
	}
	return most
}
