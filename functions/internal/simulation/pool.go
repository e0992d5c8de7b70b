package simulation

// A Pool holds idle sandboxes, as Lambda calls the processes in which a function runs. Each makes one attempt, or serves one
// request, at a time.
type Pool[T any] struct{ idle []T }

// Len is how many are idle.
func (p *Pool[T]) Len() int { return len(p.idle) }

// Take takes the one that became idle n others ago: zero is the one that was used last, which Lambda is taken to use next.
func (p *Pool[T]) Take(n int) T {
	last := len(p.idle) - 1
	taken := p.idle[last-n]
	p.idle[last-n] = p.idle[last]
	p.idle = p.idle[:last]
	return taken
}

// Give puts one back, or in.
func (p *Pool[T]) Give(s T) { p.idle = append(p.idle, s) }
