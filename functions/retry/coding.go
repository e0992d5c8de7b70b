package retry

import (
	"net/http"
	"strings"
)

// RestrictCodings takes out of a request's Accept-Encoding what rules cannot read (RFC 9110 section 12.5.3): an answer in
// such a coding could be a limit that nobody recognises. Without the field servers send no coding, so that it is not added.
// It is for requests of which [Policy.ReadsBodies] holds.
func RestrictCodings(header http.Header) {
	given := header.Values("Accept-Encoding")
	if len(given) == 0 {
		return
	}
	var readable []string
	for element := range strings.SplitSeq(strings.Join(given, ","), ",") {
		element = strings.TrimSpace(element)
		coding, _, _ := strings.Cut(element, ";")
		switch strings.ToLower(strings.TrimSpace(coding)) {
		case "gzip", "x-gzip", "deflate", "identity":
			readable = append(readable, element)
		}
	}
	if len(readable) == 0 {
		readable = []string{"identity"}
	}
	header.Set("Accept-Encoding", strings.Join(readable, ", "))
}
