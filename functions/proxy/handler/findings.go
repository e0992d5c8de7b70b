package handler

import (
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// judged is a call as the policy sees it, with what is known of the upstream's limits: what the sandbox has found out, and
// whether the upstream can count by a credential. A client certificate alone mostly says that a caller may call at all.
func (p *Proxy) judged(call *message.Call, now time.Time) retry.Request {
	request := call.ForPolicy(p.proxies)
	request.Credential = request.Credential || p.auth.Kind != ""
	request.LimitedBy = p.findings.LimitedBy(p.route(call), now)
	return request
}

// learn keeps what the attempts of a call have found out, for the calls after it.
func (p *Proxy) learn(call *message.Call, attempts []retry.Attempt) {
	p.findings.Learn(p.route(call), attempts)
}

// route is what findings are kept by: a part of the upstream with a policy of its own often has a limit of its own.
func (p *Proxy) route(call *message.Call) string {
	route, _ := p.policy.Route(call.Request.Method, call.Request.Path)
	return route.String()
}
