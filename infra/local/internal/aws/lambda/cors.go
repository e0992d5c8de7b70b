package lambda

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// CORS says which pages of other origins may call a function URL from a browser: the Cors of its configuration.
//
// Documented by AWS: the URL adds its fields to all answers. A preflight gets those of the URL only. Any other answer has
// those of the URL and those of the function, even if a field is there twice then, which browsers refuse.
//
// Observed by users of function URLs: a preflight does not reach the function. Access-Control-Allow-Origin repeats the
// Origin of the request if that is allowed, also if all are, and comes with Vary: Origin. Without an Origin it is left
// out. (An example of AWS's has a * there instead.)
//
// Assumed, because it is neither: a preflight is OPTIONS with Origin and Access-Control-Request-Method, as in the Fetch
// standard, and other OPTIONS requests reach the function. A preflight is answered with 200 and no body, from any origin
// and for any method, so that it is the browser that compares. It needs no signature, which browsers could not give.
// What only a preflight asks for is on no other answer. Vary is on all answers. A * that is not in AllowOrigins is sent as
// it is, which means nothing to browsers where credentials are allowed.
type CORS struct {
	// AllowCredentials lets pages send cookies and the like.
	AllowCredentials bool

	// AllowHeaders, AllowMethods and AllowOrigins are what a request may have, and whose pages may send it. A * allows all.
	AllowHeaders, AllowMethods, AllowOrigins []string

	// ExposeHeaders are the fields of answers that pages may read.
	ExposeHeaders []string

	// MaxAge is for how many seconds a browser may keep the answer to a preflight. Nil says nothing, so that browsers take
	// 5; AWS documents 5 as the default in one place, and 0 in another.
	MaxAge *int
}

// isPreflight says whether a browser asks whether a page may send another request.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// addTo adds the fields of all answers.
func (c *CORS) addTo(answer http.Header, r *http.Request) {
	answer.Set("Vary", "Origin")
	if !c.allows(r) {
		return
	}
	answer.Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
	if c.AllowCredentials {
		answer.Set("Access-Control-Allow-Credentials", "true")
	}
	setList(answer, "Access-Control-Expose-Headers", c.ExposeHeaders)
}

// allows says whether the pages of a request's origin may call.
func (c *CORS) allows(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	return origin != "" && (slices.Contains(c.AllowOrigins, "*") || slices.Contains(c.AllowOrigins, origin))
}

// answer answers a preflight, in addition to the fields of all answers.
func (c *CORS) answer(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	if c.allows(r) {
		setList(header, "Access-Control-Allow-Methods", c.AllowMethods)
		setList(header, "Access-Control-Allow-Headers", c.AllowHeaders)
		if c.MaxAge != nil {
			header.Set("Access-Control-Max-Age", strconv.Itoa(*c.MaxAge))
		}
	}
	header.Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
}

func setList(header http.Header, name string, list []string) {
	if len(list) > 0 {
		header.Set(name, strings.Join(list, ","))
	}
}

// besideURL says whether a field of the function's stands in an answer beside the URL's field of the same name.
func besideURL(name string) bool {
	return name == "Vary" || strings.HasPrefix(name, "Access-Control-")
}
