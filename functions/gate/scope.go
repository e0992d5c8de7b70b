package gate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
)

// A Key says what the limits of an upstream are counted by, so that callers share an item only if they share a limit.
// A scope that is too narrow costs a few calls; one that is too wide holds back callers who are not limited.
type Key int

// What a limit can be counted by. They are put together by |. None of them: all callers share one scope.
const (
	ByCredential Key = 1 << iota // by who calls, as the upstream knows them
	ByRoute                      // by what is called

	// DefaultKey is that of both.
	DefaultKey = ByCredential | ByRoute
)

// String returns the key as it is typed in settings, such as "credential+route".
func (k Key) String() string {
	switch k {
	case 0:
		return "upstream"
	case ByCredential:
		return "credential"
	case ByRoute:
		return "route"
	case ByCredential | ByRoute:
		return "credential+route"
	}
	return fmt.Sprintf("Key(%d)", int(k))
}

// keys are all that there are, the default one first.
var keys = []Key{DefaultKey, ByCredential, ByRoute, 0}

// ParseKey reads what [Key.String] writes.
func ParseKey(text string) (Key, error) {
	names := make([]string, len(keys))
	for i, k := range keys {
		if names[i] = k.String(); names[i] == text {
			return k, nil
		}
	}
	return 0, fmt.Errorf("gate: Key is %q, want one of %s", text, strings.Join(names, ", "))
}

const (
	// digestBytes is how much of a credential's SHA-256 is in the name of a scope.
	digestBytes = 16

	// maxRouteBytes is the longest route that stands in a scope's name as it is. The partition key of a table has 2,048.
	maxRouteBytes = 200
)

// Scope names the scope of a request: those with the same name share an item. credential is what the upstream knows the
// caller by, such as the value of Authorization; the name has a digest of it, and not the credential. route is the name of a
// route, or see [FirstSegment].
func Scope(k Key, credential, route string) string {
	var parts []string
	if k&ByCredential != 0 {
		part := "anonymous"
		if credential != "" {
			digest := sha256.Sum256([]byte(credential))
			part = hex.EncodeToString(digest[:digestBytes])
		}
		parts = append(parts, part)
	}
	if k&ByRoute != 0 {
		part := url.PathEscape(route) // without the number sign, which parts the id of an item
		if len(part) > maxRouteBytes {
			digest := sha256.Sum256([]byte(route))
			part = hex.EncodeToString(digest[:digestBytes])
		}
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		return "upstream"
	}
	return strings.Join(parts, ".")
}

// FirstSegment returns the first segment of a path: "/orders" for "/orders/7". Where nobody has named the routes of an
// API, it tells them apart well enough.
func FirstSegment(path string) string {
	segment, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return "/" + segment
}

// ItemPrefix begins the id of each item, so that rights can be given by it: in DynamoDB, by the condition
// dynamodb:LeadingKeys.
const ItemPrefix = "gate#"

// itemID is the id of one of the items of a scope.
func itemID(prefix, scope string, shard int) string {
	return fmt.Sprintf("%s%s#%s#%d", ItemPrefix, prefix, scope, shard)
}
