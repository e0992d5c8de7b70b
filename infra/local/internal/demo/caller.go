package demo

import (
	"crypto/sha256"
	"net"
	"net/http"
)

// A caller is who makes a request, as limits tell callers apart.
type caller struct {
	address string

	// field holds the credential, of which key is the digest. Both are empty if there is none.
	field, key string
}

func callerOf(r *http.Request) caller {
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		address = r.RemoteAddr
	}
	for _, field := range []string{"Authorization", "X-Api-Key"} {
		if credential := r.Header.Get(field); credential != "" {
			digest := sha256.Sum256([]byte(field + credential))
			return caller{address, field, string(digest[:])}
		}
	}
	return caller{address: address}
}

// identity is the one by which the caller is counted.
func (c caller) identity(by Partition) string {
	if by == ByKey {
		return c.key
	}
	return c.address
}

// complaint says that the caller is over the limit.
func (c caller) complaint(by Partition) string {
	switch {
	case by == ByAddress:
		return "The address " + c.address + " is over its limit."
	case c.field == "":
		return "Requests without a key are over the limit that they share."
	}
	return "The key in " + c.field + " is over its limit."
}
