package gate

import (
	"fmt"
	"slices"
)

// An Attribute is a field of an [Item], by the name that it has in stores.
type Attribute string

// The attributes. The partition key of an item is no attribute.
const (
	version       Attribute = "version"
	born          Attribute = "born"
	ticket        Attribute = "ticket"
	served        Attribute = "served"
	since         Attribute = "since"
	rate          Attribute = "rate"
	opened        Attribute = "opened"
	activeUntil   Attribute = "activeUntil"
	best          Attribute = "best"
	sure          Attribute = "sure"
	still         Attribute = "still"
	most          Attribute = "most"
	roundStart    Attribute = "roundStart"
	roundServed   Attribute = "roundServed"
	roundWaiting  Attribute = "roundWaiting"
	rejected      Attribute = "rejected"
	outage        Attribute = "outage"
	probe         Attribute = "probe"
	prober        Attribute = "prober"
	failures      Attribute = "failures"
	successes     Attribute = "successes"
	failuresSince Attribute = "failuresSince"
	shed          Attribute = "shed"
	tries         Attribute = "tries"
	byKey         Attribute = "byKey"
	byAddress     Attribute = "byAddress"
	shards        Attribute = "shards"

	// Expiration is the time-to-live attribute, in seconds. Stores may give it the name that their table has for it.
	Expiration Attribute = "expiration"
)

// Attributes lists all attributes.
func Attributes() []Attribute { return slices.Clone(attributes) }

var attributes = []Attribute{
	version, born, ticket, served, since, rate, opened, activeUntil, best, sure, still, most, roundStart, roundServed,
	roundWaiting, rejected, outage, probe, prober, failures, successes, failuresSince, shed, tries, byKey,
	byAddress, shards, Expiration,
}

// Field returns where an Item keeps an attribute, for stores to read and write. It is nil for an attribute that there is
// none of, such as one of a later version of this package.
func (i *Item) Field(a Attribute) *int64 {
	switch a {
	case version:
		return &i.Version
	case born:
		return &i.Born
	case ticket:
		return &i.Ticket
	case served:
		return &i.Served
	case since:
		return &i.Since
	case rate:
		return &i.Rate
	case opened:
		return &i.Opened
	case activeUntil:
		return &i.ActiveUntil
	case best:
		return &i.Best
	case sure:
		return &i.Sure
	case still:
		return &i.Still
	case most:
		return &i.Most
	case roundStart:
		return &i.RoundStart
	case roundServed:
		return &i.RoundServed
	case roundWaiting:
		return &i.RoundWaiting
	case rejected:
		return &i.Rejected
	case outage:
		return &i.Outage
	case probe:
		return &i.Probe
	case prober:
		return &i.Prober
	case failures:
		return &i.Failures
	case successes:
		return &i.Successes
	case failuresSince:
		return &i.FailuresSince
	case shed:
		return &i.Shed
	case tries:
		return &i.Tries
	case byKey:
		return &i.ByKey
	case byAddress:
		return &i.ByAddress
	case shards:
		return &i.Shards
	case Expiration:
		return &i.Expiration
	}
	return nil
}

// An Update is one change of one item: if its condition holds, all of its changes are made, at once.
//
// It says no more than a DynamoDB UpdateItem can: conditions compare attributes with numbers, and changes set, add to and
// copy them. An attribute that is absent counts as zero.
type Update struct {
	// Operation names the update, in logs and tests.
	Operation string

	// If is the condition: every clause has to hold, and a clause holds if any of its tests does. None: no condition.
	If []Clause

	// Changes are made together: copies take the values from before.
	Changes []Change
}

// A Clause holds if any of its tests does.
type Clause []Test

// A Test compares an attribute with a number that is not negative.
type Test struct {
	Attribute Attribute
	Compare   Comparison
	Value     int64
}

// A Comparison says how an attribute has to compare with a number.
type Comparison string

// The comparisons, as they are written in an expression of DynamoDB.
const (
	Equals  Comparison = "="
	Below   Comparison = "<"
	AtMost  Comparison = "<="
	Above   Comparison = ">"
	AtLeast Comparison = ">="
)

// A Change changes one attribute. No two changes of an update change the same one.
type Change struct {
	Attribute Attribute
	Kind      Kind
	Value     int64     // what it is set to, or what is added to it
	From      Attribute // what it is copied from
}

// A Kind says how an attribute changes.
type Kind int

// The kinds of changes.
const (
	Set  Kind = iota // to Value
	Add              // Value, which may be negative
	Copy             // the value that From has before the update
)

// Holds says whether the condition holds for an item.
func (u Update) Holds(i Item) bool {
	return !slices.ContainsFunc(u.If, func(c Clause) bool {
		return !slices.ContainsFunc(c, func(t Test) bool { return t.holds(i) })
	})
}

func (t Test) holds(i Item) bool {
	is := *i.Field(t.Attribute)
	switch t.Compare {
	case Equals:
		return is == t.Value
	case Below:
		return is < t.Value
	case AtMost:
		return is <= t.Value
	case Above:
		return is > t.Value
	case AtLeast:
		return is >= t.Value
	}
	panic(fmt.Sprintf("gate: a test compares by %q", t.Compare))
}

// Apply returns the item after the update, and whether its condition held: if not, the item is as before. It is for
// stores that compare and swap whole items.
func (u Update) Apply(i Item) (Item, bool) {
	if !u.Holds(i) {
		return i, false
	}
	before := i
	for _, c := range u.Changes {
		field := i.Field(c.Attribute)
		switch c.Kind {
		case Set:
			*field = c.Value
		case Add:
			*field += c.Value
		case Copy:
			*field = *before.Field(c.From)
		}
	}
	return i, true
}

// The parts that operations are put together from.

func update(operation string) *Update { return &Update{Operation: operation} }

func (u *Update) when(a Attribute, c Comparison, value int64) *Update {
	u.If = append(u.If, Clause{{a, c, value}})
	return u
}

func (u *Update) whenAny(tests ...Test) *Update {
	u.If = append(u.If, tests)
	return u
}

func (u *Update) set(a Attribute, value int64) *Update {
	u.Changes = append(u.Changes, Change{Attribute: a, Kind: Set, Value: value})
	return u
}

func (u *Update) add(a Attribute, value int64) *Update {
	if value != 0 {
		u.Changes = append(u.Changes, Change{Attribute: a, Kind: Add, Value: value})
	}
	return u
}

func (u *Update) copy(a, from Attribute) *Update {
	u.Changes = append(u.Changes, Change{Attribute: a, Kind: Copy, From: from})
	return u
}

// as makes the update one of an item as it was seen: of the same version, and not of one that has taken the place of an item
// that was lost.
func (u *Update) as(i Item) *Update {
	return u.when(version, Equals, i.Version).when(born, Equals, i.Born)
}

// next makes the update one of what the version guards: only on the version that it was worked out from.
func (u *Update) next(i Item) *Update { return u.as(i).add(version, 1) }
