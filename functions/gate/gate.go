package gate

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// A Clock tells the time and passes it.
type Clock interface {
	Now() time.Time

	// Sleep waits for d, or until ctx is done, and returns ctx's error then.
	Sleep(ctx context.Context, d time.Duration) error
}

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A Gate is what one process knows of the items that it shares with others. It is safe for concurrent use.
type Gate struct {
	store    Store
	settings Settings

	prefix  string
	clock   Clock
	random  func() float64
	drawn   func() int64
	beside  func(context.Context, func(context.Context))
	silence time.Duration

	table   tableClock
	pending sync.WaitGroup
	begun   sync.Once

	mu     sync.Mutex
	copies *simplelru.LRU[string, seen]
}

// What was seen of an item, and when.
type seen struct {
	item Item
	at   int64
}

const (
	// MaxScopes is of how many items a process keeps a copy. Those that were used longest ago are forgotten.
	MaxScopes = 1000

	// fresh is for how long a copy is taken for the item, in milliseconds, and freshRefusal the same where somebody would
	// be turned away.
	fresh        = 1 * second
	freshRefusal = second / 4

	// DefaultSilence is how long a store may take to answer. After that it is as if there were no gate.
	DefaultSilence = 50 * time.Millisecond

	// updateTries is how often an update is worked out anew when others were faster.
	updateTries = 4
)

// An Option changes how a Gate works.
type Option func(*Gate)

// WithPrefix tells the items of this gate from those of others in the same store. Default: none.
func WithPrefix(prefix string) Option { return func(g *Gate) { g.prefix = prefix } }

// WithClock passes time in another way. Default: the system's.
func WithClock(c Clock) Option { return func(g *Gate) { g.clock = c } }

// WithRandom draws numbers in [0,1) in another way.
func WithRandom(random func() float64) Option {
	return func(g *Gate) {
		g.random = random
		g.drawn = func() int64 { return 1 + int64(random()*(1<<52)) }
	}
}

// WithBeside says how something is done beside a request, which does not wait for it. Default: in a goroutine, for which
// [Gate.Settle] waits.
func WithBeside(beside func(context.Context, func(context.Context))) Option {
	return func(g *Gate) { g.beside = beside }
}

// WithSilence says how long the store may take to answer before it is as if there were no gate. Default: DefaultSilence.
// Zero: as long as it wants, as for a store that has a timeout of its own.
func WithSilence(d time.Duration) Option { return func(g *Gate) { g.silence = d } }

// New makes a Gate. The error names everything that is wrong with the settings.
func New(store Store, s Settings, options ...Option) (*Gate, error) {
	if store == nil {
		return nil, errors.New("gate: the store given to New is nil; want a MemoryStore, or one of package gatestore")
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	copies, err := simplelru.NewLRU[string, seen](MaxScopes, nil)
	if err != nil {
		return nil, err
	}
	g := &Gate{
		store: store, settings: s.WithDefaults(), clock: systemClock{}, random: mathrand.Float64, drawn: secretNumber,
		silence: DefaultSilence, copies: copies,
	}
	g.beside = func(ctx context.Context, do func(context.Context)) {
		g.pending.Go(func() { do(context.WithoutCancel(ctx)) })
	}
	for _, option := range options {
		option(g)
	}
	return g, nil
}

// secretNumber draws a number of 52 bits, which every store can keep exactly, and which is never zero.
func secretNumber() int64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return 1 + int64(binary.BigEndian.Uint64(b[:])>>12)
}

// Settings returns the settings, with their defaults.
func (g *Gate) Settings() Settings { return g.settings }

// Settle waits for what is done beside requests. A function of Lambda has to call it before it answers: what runs on is
// frozen. Nothing takes longer than DefaultSilence for each of a few calls.
func (g *Gate) Settle() { g.pending.Wait() }

// Now returns the time that the items are kept by: the own clock's, or the store's where the two are proved to differ.
func (g *Gate) Now() time.Time { return g.clock.Now().Add(g.table.offset()) }

func (g *Gate) now() int64 { return g.Now().UnixMilli() }

// Begin looks at the item of a scope before the first request of a process, and does nothing before all others. A process
// that has just started knows nothing, and would be one of many that call in spite of what all others know.
func (g *Gate) Begin(ctx context.Context, scope string) {
	g.begun.Do(func() { g.Look(ctx, scope) })
}

// Look reads the item of a scope, unless it was seen less than a second ago. [Visit.Wait] looks by itself, but beside the request.
func (g *Gate) Look(ctx context.Context, scope string) {
	if g.settings.idle() {
		return
	}
	if c, known := g.copy(g.id(scope, 0)); !known || g.now()-c.at > fresh {
		g.look(ctx, g.id(scope, 0))
	}
}

// Seen returns what was last seen of a scope's first item, and whether it was seen at all: for metrics, and for telling
// others by [Gate.Tell].
func (g *Gate) Seen(scope string) (Item, bool) {
	c, known := g.copy(g.id(scope, 0))
	return c.item, known
}

// Tell brings in what another process has seen just now of one of the items of a scope, such as [Visit.Item] of one that
// answered.
func (g *Gate) Tell(scope string, shard int, i Item) { g.remember(g.id(scope, shard), i) }

func (g *Gate) id(scope string, shard int) string { return itemID(g.prefix, scope, shard) }

func (g *Gate) copy(id string) (seen, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.copies.Get(id)
}

// remember keeps what was seen of an item. Answers can come in another order than they were given; what is older is not
// kept.
func (g *Gate) remember(id string, i Item) Item {
	now := g.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if c, known := g.copies.Get(id); known && c.item.Born == i.Born && c.item.Born != 0 &&
		(i.Version < c.item.Version || i.Version == c.item.Version && i.Ticket < c.item.Ticket) {
		i = c.item
	}
	g.copies.Add(id, seen{i, now})
	return i
}

// look reads an item. It is false if nobody knows anything.
func (g *Gate) look(ctx context.Context, id string) (Item, bool) {
	ctx, done := g.patience(ctx)
	defer done()
	sent := g.clock.Now()
	reply, err := g.store.Get(ctx, id)
	if err != nil {
		return Item{}, false
	}
	g.table.saw(reply.Time, sent, g.clock.Now())
	return g.remember(id, reply.Item), true
}

func (g *Gate) patience(ctx context.Context) (context.Context, context.CancelFunc) {
	if g.silence <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, g.silence)
}

var errContended = fmt.Errorf("gate: the item has changed %d times before the update could be made", updateTries)

// change makes an update of an item that is worked out from the copy, and anew from the item if others were faster. decide
// returns nil if there is nothing to change. The error says that nobody knows anything, or is errContended, with the item as it was
// last.
func (g *Gate) change(ctx context.Context, id string, decide func(Item) *Update) (i Item, applied bool, err error) {
	c, _ := g.copy(id)
	i = c.item
	for range updateTries {
		u := decide(i)
		if u == nil {
			return i, false, nil
		}
		reply, err := g.update(ctx, id, *u)
		if err != nil {
			return Item{}, false, err
		}
		g.remember(id, reply.Item)
		if i = reply.Item; reply.Applied {
			return i, true, nil
		}
	}
	return i, false, errContended
}

// changeSeen is change for a process that may not have seen the item, since the visit was begun in another one: where the copy
// says that there is nothing to change, the item is looked at.
func (g *Gate) changeSeen(ctx context.Context, id string, decide func(Item) *Update) {
	if c, _ := g.copy(id); decide(c.item) == nil {
		g.look(ctx, id)
	}
	g.change(ctx, id, decide)
}

func (g *Gate) update(ctx context.Context, id string, u Update) (Reply, error) {
	ctx, done := g.patience(ctx)
	defer done()
	sent := g.clock.Now()
	reply, err := g.store.Update(ctx, id, u)
	if err != nil {
		return Reply{}, err
	}
	g.table.saw(reply.Time, sent, g.clock.Now())
	return reply, nil
}
