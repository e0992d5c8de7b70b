package handler

import "strings"

// crossOriginPrefix starts the names of the fields that say which pages of other origins may read an answer.
const crossOriginPrefix = "access-control-"

// withoutCrossOrigin takes what the upstream says to pages of other origins out of an answer, where the function URL has
// Cors. The URL then adds fields of its own to those that are there, and browsers refuse an answer with two of a kind.
func (g *Gateway) withoutCrossOrigin(headers map[string]string) {
	if !g.crossOrigin {
		return
	}
	for name := range headers {
		if strings.HasPrefix(name, crossOriginPrefix) {
			delete(headers, name)
		}
	}
}
