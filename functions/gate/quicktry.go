package gate

import (
	"context"
	"time"
)

// maxTries is how many quick tries there are in a spell: calls from another address, in spite of a limit that does not say what
// it is by. Each of them is earlier than the upstream asked for.
const maxTries = 3

// mayTry is the operation by which a request makes one of the quick tries of this spell. Nil: there are none left, or it is known
// that they are in vain.
func (i Item) mayTry() *Update {
	if i.Version == 0 || i.Tries >= maxTries || i.Scoping() == KeyScoping {
		return nil
	}
	return update("try").when(version, Above, 0).when(tries, Below, maxTries).add(tries, 1)
}

// tried is the operation by which what came of a quick try counts.
func (i Item) tried(helped bool) *Update {
	a := byKey
	if helped {
		a = byAddress
	}
	return update("tried").when(version, Above, 0).add(a, 1)
}

// Try says, after [Visit.Limited] was true of a limit that does not say what it is by, whether the request may call at once
// from another address, to find that out. Three of a scope may do so in a spell of trouble. The next [Visit.Wait] lets such
// a request through, and what comes of its call is told by [Visit.Tried].
func (v *Visit) Try(ctx context.Context) bool {
	g := v.gate
	_, applied, err := g.change(ctx, v.id(), Item.mayTry)
	if err != nil || !applied {
		return false
	}
	v.leave()
	v.floorAt, v.state.Inside = time.Time{}, true
	return true
}

// Tried tells the others what a quick try brought: whether it was let through. It does so beside the request.
func (v *Visit) Tried(ctx context.Context, helped bool) {
	g, id := v.gate, v.id()
	g.beside(ctx, func(ctx context.Context) {
		g.changeSeen(ctx, id, func(i Item) *Update {
			if i.Version == 0 {
				return nil
			}
			return i.tried(helped)
		})
	})
}
