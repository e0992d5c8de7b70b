package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/localonly"
)

// contentSecurityPolicy lets the page load what is embedded here and talk to this address, and nothing else.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// guarded lets in who may see and change things here: see package localonly. A link on another site may open the page.
func guarded(next http.Handler) http.Handler {
	next = localonly.Guard{What: "The console's pages", Page: Path, Refuse: writeProblem}.Handler(next)
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		header := rw.Header()
		header.Set("Content-Security-Policy", contentSecurityPolicy)
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Cache-Control", "no-store")
		next.ServeHTTP(rw, r)
	})
}

// writeProblem answers with a problem document (RFC 9457).
func writeProblem(rw http.ResponseWriter, status int, detail string) {
	body, _ := json.Marshal(map[string]any{"title": http.StatusText(status), "status": status, "detail": detail})
	rw.Header().Set("Content-Type", "application/problem+json")
	rw.WriteHeader(status)
	_, _ = rw.Write(body)
}

// maxBody is how long what is sent to the console may be, in bytes: a function URL takes 6 MB, in base64 or escaped.
const maxBody = 16 << 20

// readJSON reads the body of a request that changes something, and answers with a problem if it is not what it has to
// be. A browser lets other sites send JSON only after it has asked, which is another reason to insist on the type.
func readJSON(rw http.ResponseWriter, r *http.Request, into any) bool {
	mediaType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if !strings.EqualFold(strings.TrimSpace(mediaType), "application/json") {
		writeProblem(rw, http.StatusUnsupportedMediaType, fmt.Sprintf("The Content-Type is %q; send application/json.", r.Header.Get("Content-Type")))
		return false
	}
	decoder := json.NewDecoder(http.MaxBytesReader(rw, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		writeProblem(rw, http.StatusBadRequest, err.Error())
		return false
	}
	return true
}
