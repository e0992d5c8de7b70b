package stacktest

// Endpoint is where the AWS APIs of the stack are, as its functions see them.
func (b *Bench) Endpoint() string { return b.stack.Endpoint() }
