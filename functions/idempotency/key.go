package idempotency

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/recordformat"
)

// Key works out the ID of a payload's record, and the fingerprint that is stored beside it, from the expressions of the
// configuration. The payload is encoded with encoding/json; a [json.RawMessage] is taken as it is.
//
// The fingerprint is empty without [Config.Validation]. A payload that has no key gives a [KeyMissingError], one that
// is not what the expressions need a [KeyMalformedError].
func (m *Manager) Key(payload any) (id, fingerprint string, err error) {
	document, err := json.Marshal(payload)
	if err != nil {
		return "", "", &KeyMalformedError{Expression: m.key.source, Err: fmt.Errorf("encoding the payload: %w", err)}
	}
	selected, err := m.key.selectFrom(document)
	if err != nil {
		return "", "", &KeyMalformedError{Expression: m.key.source, Err: err}
	}
	if missing(selected) {
		return "", "", &KeyMissingError{Expression: m.key.source}
	}
	id = m.config.Prefix + "#" + m.digest(selected)
	if m.validation == nil {
		return id, "", nil
	}
	// The document is decoded again, because sort_by reorders its argument.
	validated, err := m.validation.selectFrom(document)
	if err != nil {
		return "", "", &KeyMalformedError{Expression: m.validation.source, Err: err}
	}
	return id, m.digest(validated), nil
}

// digest is the hash of a value's canonical form, in lower-case hexadecimal; or as Powertools for TypeScript makes it, if
// that is the format of the store.
func (m *Manager) digest(value any) string {
	h := m.config.Hash()
	if m.format == recordformat.TypeScript {
		h.Write(appendTypeScript(nil, value))
		return base64.StdEncoding.EncodeToString(h.Sum(nil))
	}
	h.Write(appendCanonical(nil, value))
	return hex.EncodeToString(h.Sum(nil))
}

// missing says whether a selected value is no key: null, an empty string, list or object, or a list or object of
// nothing but nulls. 0 and false are keys.
func missing(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		for _, member := range v {
			if member != nil {
				return false
			}
		}
		return true
	case map[string]any:
		for _, member := range v {
			if member != nil {
				return false
			}
		}
		return true
	default:
		return false
	}
}
