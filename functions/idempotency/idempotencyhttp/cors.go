package idempotencyhttp

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The defaults of CORS.
var (
	DefaultAllowMethods  = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}
	DefaultAllowHeaders  = []string{"Content-Type", "Idempotency-Key", "If-None-Match"}
	DefaultExposeHeaders = []string{"ETag", "Idempotent-Replayed", "Retry-After"}
)

// CORS answers preflight requests and marks responses for browsers, as the Fetch standard has it. Function URLs and
// HTTP APIs can do that by themselves; leave it to one of the two.
type CORS struct {
	// AllowOrigins are the origins that may call, such as https://example.com, or "*" for all. At least one.
	AllowOrigins []string

	// AllowMethods, AllowHeaders and ExposeHeaders. Defaults: DefaultAllowMethods, DefaultAllowHeaders,
	// DefaultExposeHeaders.
	AllowMethods  []string
	AllowHeaders  []string
	ExposeHeaders []string

	// AllowCredentials lets browsers send cookies and the like. Not together with the origin "*". Default: false.
	AllowCredentials bool

	// MaxAge is how long a browser may keep the answer to a preflight request, in seconds. Default: 0, the browser's
	// own default.
	MaxAge time.Duration
}

func (c *CORS) validate() error {
	var problems []error
	if len(c.AllowOrigins) == 0 {
		problems = append(problems, errors.New(`CORS.AllowOrigins is empty: name the origins that may call, or "*"`))
	}
	if c.AllowCredentials && slices.Contains(c.AllowOrigins, "*") {
		problems = append(problems, errors.New(`CORS.AllowCredentials with the origin "*": browsers refuse that, so name the origins`))
	}
	if c.MaxAge < 0 {
		problems = append(problems, fmt.Errorf("CORS.MaxAge is %v: 0 or more", c.MaxAge))
	}
	return errors.Join(problems...)
}

// preflight answers a preflight request. It says false for any other request.
func (c *CORS) preflight(r Request) (Response, bool) {
	if c == nil || r.Method != http.MethodOptions || r.Headers["origin"] == "" || r.Headers["access-control-request-method"] == "" {
		return Response{}, false
	}
	answer := c.decorate(r, Response{StatusCode: http.StatusNoContent})
	delete(answer.Headers, "access-control-expose-headers")
	vary(answer, "Access-Control-Request-Method")
	vary(answer, "Access-Control-Request-Headers")
	if answer.Headers["access-control-allow-origin"] == "" {
		return answer, true
	}
	answer.Headers["access-control-allow-methods"] = list(c.AllowMethods, DefaultAllowMethods)
	answer.Headers["access-control-allow-headers"] = list(c.AllowHeaders, DefaultAllowHeaders)
	if c.MaxAge > 0 {
		answer.Headers["access-control-max-age"] = strconv.FormatInt(int64(c.MaxAge/time.Second), 10)
	}
	return answer, true
}

// decorate adds to a response what lets the request's origin read it.
func (c *CORS) decorate(request Request, r Response) Response {
	if c == nil {
		return r
	}
	r = r.withHeaders()
	origin := request.Headers["origin"]
	switch {
	case slices.Contains(c.AllowOrigins, "*"):
		r.Headers["access-control-allow-origin"] = "*"
	case origin != "" && slices.Contains(c.AllowOrigins, origin):
		vary(r, "Origin")
		r.Headers["access-control-allow-origin"] = origin
	default:
		vary(r, "Origin")
		return r
	}
	r.Headers["access-control-expose-headers"] = list(c.ExposeHeaders, DefaultExposeHeaders)
	if c.AllowCredentials {
		r.Headers["access-control-allow-credentials"] = "true"
	}
	return r
}

func list(names, defaults []string) string {
	if len(names) == 0 {
		names = defaults
	}
	return strings.Join(names, ", ")
}
