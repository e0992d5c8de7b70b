package attemptlog

// Remembered is how many executions the Middleware knows of.
func (p *Printer) Remembered() int { return len(p.started) + len(p.order) + len(p.running) }
