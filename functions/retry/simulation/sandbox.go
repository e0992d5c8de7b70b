package main

import "github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"

// A sandbox is a process of a proxy, as Lambda runs it: it makes one attempt at a time, and keeps what it has found out.
type sandbox struct{ findings retry.Findings }

// A pool is the sandboxes of a proxy that wait for work. The one that was used last is used next, and if all are busy there
// is a new one.
type pool []*sandbox

func (p *pool) take() *sandbox {
	last := len(*p) - 1
	if last < 0 {
		return new(sandbox)
	}
	s := (*p)[last]
	*p = (*p)[:last]
	return s
}

func (p *pool) put(s *sandbox) { *p = append(*p, s) }
