package gatetest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
)

// Run tests the stores that newStore makes. Each is to be empty, and is used by one test only; two stores may share a
// table, for each test uses ids of its own.
func Run(t *testing.T, newStore func(t *testing.T) gate.Store) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, suite)
	}{
		{"What is not there is the zero item", testNothing},
		{"An update makes the item", testMakes},
		{"A condition that fails changes nothing and brings the item", testConditionFails},
		{"A condition that fails makes no item", testConditionFailsOnNothing},
		{"An attribute that is absent counts as zero in every comparison", testAbsentIsZero},
		{"A clause holds if one of its tests does, and all clauses have to", testClauses},
		{"Setting to zero and adding down to zero are as if the attribute were absent", testZero},
		{"A copy takes the value from before", testCopy},
		{"Every attribute is kept", testAllAttributes},
		{"Of many who add at once none sees the number of another", testManyAdd},
		{"Of many who change one version at once one succeeds", testOneVersion},
		{"Items do not touch each other", testItems},
		{"A context that is over is an error and writes nothing", testContextOver},
		{"Random updates have the results of the model", testModel},
		{"All that a gate does has the results of the store in memory", testGate},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, suite{newStore(t), gate.ItemPrefix + t.Name()}) })
	}
}

// A suite is a store, and the id of one test.
type suite struct {
	store gate.Store
	id    string
}

func (s suite) updates(t *testing.T, u gate.Update) gate.Reply {
	t.Helper()
	reply, err := s.store.Update(context.Background(), s.id, u)
	if err != nil {
		t.Fatalf("Update: %v", err)
	}
	return reply
}

func (s suite) holds(t *testing.T, want gate.Item) {
	t.Helper()
	// A store may be a moment behind; the tests' are not asked before they can be expected to have it.
	reply, err := s.store.Get(context.Background(), s.id)
	if err != nil || reply.Item != want {
		t.Fatalf("Get: %+v, %v\nwant %+v", reply.Item, err, want)
	}
}

func set(a gate.Attribute, value int64) gate.Change {
	return gate.Change{Attribute: a, Kind: gate.Set, Value: value}
}

func add(a gate.Attribute, value int64) gate.Change {
	return gate.Change{Attribute: a, Kind: gate.Add, Value: value}
}

func is(a gate.Attribute, c gate.Comparison, value int64) gate.Clause {
	return gate.Clause{{Attribute: a, Compare: c, Value: value}}
}

func testNothing(t *testing.T, s suite) { s.holds(t, gate.Item{}) }

func testMakes(t *testing.T, s suite) {
	reply := s.updates(t, gate.Update{Operation: "make", Changes: []gate.Change{set("rate", 47500), add("ticket", 1)}})
	want := gate.Item{Rate: 47500, Ticket: 1}
	if !reply.Applied || reply.Item != want {
		t.Fatalf("Update: %+v, want %+v", reply, want)
	}
	s.holds(t, want)
}

func testConditionFails(t *testing.T, s suite) {
	s.updates(t, gate.Update{Operation: "make", Changes: []gate.Change{set("version", 3), set("ticket", 9)}})
	reply := s.updates(t, gate.Update{Operation: "change", If: []gate.Clause{is("version", gate.Equals, 2)}, Changes: []gate.Change{add("ticket", 1)}})
	want := gate.Item{Version: 3, Ticket: 9}
	if reply.Applied || reply.Item != want {
		t.Fatalf("Update: %+v, want %+v, not applied", reply, want)
	}
	s.holds(t, want)
}

func testConditionFailsOnNothing(t *testing.T, s suite) {
	reply := s.updates(t, gate.Update{Operation: "change", If: []gate.Clause{is("version", gate.Equals, 2)}, Changes: []gate.Change{add("ticket", 1)}})
	if reply.Applied || reply.Item != (gate.Item{}) {
		t.Fatalf("Update: %+v, want nothing, not applied", reply)
	}
	s.holds(t, gate.Item{})
}

func testAbsentIsZero(t *testing.T, s suite) {
	for _, c := range []struct {
		compare gate.Comparison
		value   int64
		holds   bool
	}{
		{gate.Equals, 0, true}, {gate.Equals, 1, false},
		{gate.Below, 0, false}, {gate.Below, 1, true},
		{gate.AtMost, 0, true}, {gate.AtMost, 1, true},
		{gate.Above, 0, false}, {gate.Above, 1, false},
		{gate.AtLeast, 0, true}, {gate.AtLeast, 1, false},
	} {
		at := suite{s.store, fmt.Sprint(s.id, c.compare, c.value)}
		reply := at.updates(t, gate.Update{Operation: "test", If: []gate.Clause{is("probe", c.compare, c.value)}, Changes: []gate.Change{add("ticket", 1)}})
		if reply.Applied != c.holds {
			t.Errorf("an absent attribute %s %d: %v, want %v", c.compare, c.value, reply.Applied, c.holds)
		}
	}
	// And one that is there compares by its value.
	s.updates(t, gate.Update{Operation: "make", Changes: []gate.Change{set("probe", 10)}})
	for _, c := range []struct {
		compare gate.Comparison
		value   int64
		holds   bool
	}{
		{gate.Equals, 10, true}, {gate.Equals, 0, false}, {gate.Below, 10, false}, {gate.Below, 11, true}, {gate.AtMost, 10, true},
		{gate.AtMost, 9, false}, {gate.Above, 9, true}, {gate.Above, 10, false}, {gate.AtLeast, 10, true}, {gate.AtLeast, 11, false},
	} {
		reply := s.updates(t, gate.Update{Operation: "test", If: []gate.Clause{is("probe", c.compare, c.value)}, Changes: []gate.Change{add("ticket", 1)}})
		if reply.Applied != c.holds {
			t.Errorf("10 %s %d: %v, want %v", c.compare, c.value, reply.Applied, c.holds)
		}
	}
}

func testClauses(t *testing.T, s suite) {
	s.updates(t, gate.Update{Operation: "make", Changes: []gate.Change{set("version", 3), set("ticket", 9)}})
	either := gate.Clause{{Attribute: "version", Compare: gate.Equals, Value: 2}, {Attribute: "ticket", Compare: gate.Above, Value: 8}}
	if !s.updates(t, gate.Update{Operation: "either", If: []gate.Clause{either}, Changes: []gate.Change{add("shed", 1)}}).Applied {
		t.Error("one of two tests holds, and the clause does not")
	}
	both := []gate.Clause{either, is("version", gate.Equals, 2)}
	if s.updates(t, gate.Update{Operation: "both", If: both, Changes: []gate.Change{add("shed", 1)}}).Applied {
		t.Error("one of two clauses fails, and the condition holds")
	}
	s.holds(t, gate.Item{Version: 3, Ticket: 9, Shed: 1})
}

func testZero(t *testing.T, s suite) {
	s.updates(t, gate.Update{Operation: "make", Changes: []gate.Change{set("probe", 10), set("rejected", 5)}})
	s.updates(t, gate.Update{Operation: "clear", Changes: []gate.Change{set("probe", 0), add("rejected", -5)}})
	s.holds(t, gate.Item{})
	reply := s.updates(t, gate.Update{
		Operation: "test", If: []gate.Clause{is("probe", gate.Equals, 0), is("rejected", gate.Equals, 0)}, Changes: []gate.Change{add("probe", 4)},
	})
	if !reply.Applied {
		t.Fatal("what was cleared does not count as zero")
	}
	s.holds(t, gate.Item{Probe: 4})
}

func testCopy(t *testing.T, s suite) {
	// Of an item that is not there, the copy is zero.
	both := gate.Update{Operation: "copy", Changes: []gate.Change{{Attribute: "served", Kind: gate.Copy, From: "ticket"}, add("ticket", 1)}}
	if reply := s.updates(t, both); reply.Item != (gate.Item{Ticket: 1}) {
		t.Fatalf("Update: %+v, want served to be 0", reply.Item)
	}
	s.updates(t, both)
	s.holds(t, gate.Item{Ticket: 2, Served: 1})
}

func testAllAttributes(t *testing.T, s suite) {
	var u gate.Update
	var want gate.Item
	for n, a := range gate.Attributes() {
		value := int64(1)<<52 - int64(n)
		u.Changes = append(u.Changes, set(a, value))
		*want.Field(a) = value
	}
	s.updates(t, u)
	s.holds(t, want)
}

func testManyAdd(t *testing.T, s suite) {
	const callers, each = 20, 5
	numbers := make([][]int64, callers)
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			for range each {
				reply, err := s.store.Update(context.Background(), s.id, gate.Update{Operation: "take", Changes: []gate.Change{add("ticket", 1)}})
				if err != nil {
					t.Error(err)
					return
				}
				numbers[c] = append(numbers[c], reply.Item.Ticket)
			}
		})
	}
	all.Wait()
	got := slices.Sorted(slices.Values(slices.Concat(numbers...)))
	for n, number := range got {
		if number != int64(n+1) {
			t.Fatalf("numbers are %v, want each from 1 to 100 once", got)
		}
	}
	if len(got) != callers*each {
		t.Fatalf("%d numbers, want 100", len(got))
	}
}

func testOneVersion(t *testing.T, s suite) {
	const callers = 20
	applied := make([]bool, callers)
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			reply, err := s.store.Update(context.Background(), s.id, gate.Update{
				Operation: "open", If: []gate.Clause{is("version", gate.Equals, 0)}, Changes: []gate.Change{add("version", 1), set("born", int64(c+1))},
			})
			if err != nil {
				t.Error(err)
			}
			applied[c] = reply.Applied
			if reply.Item.Version != 1 {
				t.Errorf("a caller is shown %+v, want the item of the one that has made it", reply.Item)
			}
		})
	}
	all.Wait()
	if n := len(slices.DeleteFunc(applied, func(b bool) bool { return !b })); n != 1 {
		t.Fatalf("%d callers have made the item, want 1", n)
	}
}

func testItems(t *testing.T, s suite) {
	s.updates(t, gate.Update{Operation: "make", Changes: []gate.Change{set("rate", 1)}})
	other := suite{s.store, s.id + "#other"}
	other.updates(t, gate.Update{Operation: "make", Changes: []gate.Change{set("rate", 2)}})
	s.holds(t, gate.Item{Rate: 1})
	other.holds(t, gate.Item{Rate: 2})
}

func testContextOver(t *testing.T, s suite) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.store.Update(ctx, s.id, gate.Update{Operation: "make", Changes: []gate.Change{add("ticket", 1)}}); err == nil {
		t.Error("Update: no error; want the context's")
	}
	if _, err := s.store.Get(ctx, s.id); err == nil {
		t.Error("Get: no error; want the context's")
	}
	s.holds(t, gate.Item{})
}

// testModel makes updates of all shapes of a few attributes with small numbers, so that conditions hold about as often as
// not, and compares with a map of numbers, in which what is absent is zero.
func testModel(t *testing.T, s suite) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	names := []gate.Attribute{"version", "ticket", "served", "since", "probe", "expiration"}
	model := map[gate.Attribute]int64{}
	const operations = 300
	for step := range operations {
		u := gate.Update{Operation: "random"}
		want := true
		for range random.IntN(3) {
			var clause gate.Clause
			holds := false
			for range 1 + random.IntN(2) {
				a, value := names[random.IntN(len(names))], random.Int64N(4)
				compare := []gate.Comparison{gate.Equals, gate.Below, gate.AtMost, gate.Above, gate.AtLeast}[random.IntN(5)]
				clause = append(clause, gate.Test{Attribute: a, Compare: compare, Value: value})
				n := model[a]
				holds = holds || map[gate.Comparison]bool{
					gate.Equals: n == value, gate.Below: n < value, gate.AtMost: n <= value, gate.Above: n > value, gate.AtLeast: n >= value,
				}[compare]
			}
			u.If = append(u.If, clause)
			want = want && holds
		}
		after := maps.Clone(model)
		for _, n := range random.Perm(len(names))[:1+random.IntN(3)] {
			c := gate.Change{Attribute: names[n], Kind: gate.Kind(random.IntN(3)), Value: random.Int64N(4), From: names[random.IntN(len(names))]}
			switch c.Kind {
			case gate.Set:
				after[c.Attribute] = c.Value
			case gate.Add:
				after[c.Attribute] += c.Value
			case gate.Copy:
				after[c.Attribute] = model[c.From]
			}
			u.Changes = append(u.Changes, c)
		}
		if want {
			model = after
		}
		var item gate.Item
		for a, value := range model {
			*item.Field(a) = value
		}
		if got := s.updates(t, u); got.Applied != want || got.Item != item {
			t.Fatalf("seed %d, step %d: %+v\n got %+v\nwant %v %+v", seed, step, u, got, want, item)
		}
	}
}

// compared makes everything in two stores, and fails if they differ.
type compared struct {
	t           *testing.T
	one, memory gate.Store
	operations  map[string]int
}

func (c *compared) Get(ctx context.Context, id string) (gate.Reply, error) {
	got, err := c.one.Get(ctx, id)
	want, _ := c.memory.Get(ctx, id)
	return c.same("get", gate.Update{}, got, want, err)
}

func (c *compared) Update(ctx context.Context, id string, u gate.Update) (gate.Reply, error) {
	got, err := c.one.Update(ctx, id, u)
	want, _ := c.memory.Update(ctx, id, u)
	if want.Applied {
		c.operations[u.Operation]++
	}
	return c.same(u.Operation, u, got, want, err)
}

func (c *compared) same(operation string, u gate.Update, got, want gate.Reply, err error) (gate.Reply, error) {
	c.t.Helper()
	if got.Time = want.Time; err != nil || got != want {
		c.t.Fatalf("%s %+v\n got %+v, %v\nwant %+v", operation, u, got, err, want)
	}
	return want, nil
}

// steppedClock goes on when somebody sleeps.
type steppedClock struct{ now time.Time }

func (c *steppedClock) Now() time.Time { return c.now }
func (c *steppedClock) Sleep(_ context.Context, d time.Duration) error {
	c.now = c.now.Add(d)
	return nil
}

// testGate leads a gate through all of its operations, in each of its modes.
func testGate(t *testing.T, s suite) {
	ctx := context.Background()
	both := &compared{t, s.store, &gate.MemoryStore{}, map[string]int{}}
	clock := &steppedClock{time.UnixMilli(1_790_000_000_000)}
	random := rand.New(rand.NewPCG(1, 2))
	open := func(prefix string, settings gate.Settings) *gate.Gate {
		g, err := gate.New(both, settings, gate.WithPrefix(s.id+prefix), gate.WithClock(clock), gate.WithRandom(random.Float64), gate.WithSilence(0),
			gate.WithBeside(func(ctx context.Context, do func(context.Context)) { do(ctx) }))
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	visit := func(g *gate.Gate) *gate.Visit { return g.Visit("upstream", clock.now.Add(time.Minute)) }
	limits := func(g *gate.Gate) {
		for n := range 120 {
			v := visit(g)
			if v.Wait(ctx) != nil {
				continue
			}
			switch {
			case n == 60:
				v.Limited(ctx, gate.Limit{RetryAfter: 10 * time.Second})
			case n%4 == 0:
				v.Limited(ctx, gate.Limit{RetryAfter: time.Second})
			}
			clock.now = clock.now.Add(90 * time.Millisecond)
		}
		unsure := visit(g)
		if unsure.Limited(ctx, gate.Limit{}) && unsure.Try(ctx) {
			unsure.Tried(ctx, true)
		}
		clock.now = clock.now.Add(10 * time.Minute)
		visit(g).Limited(ctx, gate.Limit{})
	}
	limits(open("adaptive", gate.Settings{Mode: gate.Adaptive}))
	limits(open("observe", gate.Settings{Mode: gate.Observe}))
	limits(open("fixed", gate.Settings{Mode: gate.Fixed, Rate: 20, Burst: 5}))
	limits(open("fixed", gate.Settings{Mode: gate.Fixed, Rate: 10, Burst: 5}))

	for _, told := range []time.Duration{0, 5 * time.Second} {
		g := open(fmt.Sprint("breaker", told), gate.Settings{Mode: gate.Adaptive, MaxWaiting: 5})
		for range 30 {
			v := visit(g)
			v.Failed(ctx, gate.Failure{RetryAfter: told})
			clock.now = clock.now.Add(60 * time.Millisecond)
		}
		for range 20 {
			v := visit(g)
			if _, err := v.Next(ctx); err == nil {
				v.Succeeded(ctx)
			}
			clock.now = clock.now.Add(200 * time.Millisecond)
		}
	}
	g := open("doubt", gate.Settings{Mode: gate.Adaptive})
	visit(g).Failed(ctx, gate.Failure{})
	for range 40 {
		visit(g).Succeeded(ctx)
	}
	g = open("fast", gate.Settings{Mode: gate.Adaptive, MaxWaiting: gate.Unbounded})
	// Items that one is not enough for, or that do not know yet of how many they are.
	for shard, rate := range []int64{500_000, 100_000} {
		now := clock.now.UnixMilli()
		if _, err := both.Update(ctx, fmt.Sprintf("%s%sfast#upstream#%d", gate.ItemPrefix, s.id, shard), gate.Update{Operation: "prepare", Changes: []gate.Change{
			set("version", 1), set("born", 1), set("since", now), set("opened", now), set("roundStart", now), set("rate", rate),
			set("activeUntil", now+60_000),
		}}); err != nil {
			t.Fatal(err)
		}
	}
	for range 150 {
		if _, err := visit(g).Next(ctx); err != nil {
			t.Fatal(err)
		}
		clock.now = clock.now.Add(2 * time.Millisecond)
	}
	for _, operation := range []string{
		"take", "take afresh", "begin", "open", "reject", "park", "adapt", "type in", "fail", "succeed", "trip", "lease", "close",
		"turn away", "try", "tried", "spread", "respread",
	} {
		if both.operations[operation] == 0 {
			t.Errorf("the operation %q was not made", operation)
		}
	}
}
