package gate

import (
	"context"
	"time"
)

// A Store keeps items. It is safe for concurrent use, and each of its methods is atomic. Package gatetest holds the tests
// that every Store has to pass.
type Store interface {
	// Get reads an item: the zero Item if there is none. It may be a moment old.
	Get(ctx context.Context, id string) (Reply, error)

	// Update makes an update of an item, if its condition holds. An item that is not there has zero in all attributes, and
	// an update whose condition holds for that makes it. The reply has the item as it is afterwards.
	Update(ctx context.Context, id string, u Update) (Reply, error)
}

// A Reply is the answer of a store.
type Reply struct {
	Item Item

	// Applied says whether the condition of an update held.
	Applied bool

	// Time is what the store's clock said, rounded down to a whole second, as in the Date of an HTTP answer. Zero: the
	// store does not say.
	Time time.Time
}
