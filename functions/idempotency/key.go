package idempotency

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/recordformat"
)

// Key works out the ID of a payload's record, and the fingerprint that is stored beside it, from the expressions of the
// configuration.
//
// A [json.RawMessage] or []byte is a JSON document and taken as it is; white space, the order of members and the way in
// which characters are escaped make no difference, and the form of a number does. Any other value is encoded with
// encoding/json, in which 12.0 becomes 12, and a struct has no members but its own. Two kinds of structs are therefore
// refused with a [KeyMalformedError], since they are what an event was decoded into: those of
// github.com/aws/aws-lambda-go/events, and any where [Config.Key] or [Config.Validation] is to select from it.
//
// The fingerprint is empty without [Config.Validation]. A payload that has no key gives a [KeyMissingError], one that
// is not what the expressions need a [KeyMalformedError].
func (m *Manager) Key(payload any) (id, fingerprint string, err error) {
	document, err := m.document(payload)
	if err != nil {
		return "", "", &KeyMalformedError{Expression: m.key.source, Err: err}
	}
	digest, isMissing, err := m.digestOf(m.key, document)
	if err != nil {
		return "", "", &KeyMalformedError{Expression: m.key.source, Err: err}
	}
	if isMissing {
		return "", "", &KeyMissingError{Expression: m.key.source}
	}
	id = m.config.Prefix + "#" + digest
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

// document is the payload as JSON.
func (m *Manager) document(payload any) ([]byte, error) {
	switch p := payload.(type) {
	case json.RawMessage:
		if p != nil {
			return p, nil
		}
	case []byte:
		return p, nil
	}
	if err := m.checkDecoded(reflect.TypeOf(payload)); err != nil {
		return nil, err
	}
	document, err := encodeJSON(payload)
	if err != nil {
		return nil, fmt.Errorf("encoding the payload: %w", err)
	}
	return document, nil
}

// eventsPackage holds the types that Lambda functions in Go have their events decoded into.
const eventsPackage = "github.com/aws/aws-lambda-go/events"

// checkDecoded refuses what an event was decoded into, or a part of one.
func (m *Manager) checkDecoded(t reflect.Type) error {
	for t != nil && (t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Array) {
		t = t.Elem()
	}
	switch {
	case t == nil || t.Kind() != reflect.Struct:
		return nil
	case t.PkgPath() == eventsPackage:
		return fmt.Errorf("the payload is a %v, and what this type does not have of the event would not be in the key: "+
			"wrap the function in Handler, pass the JSON itself as a json.RawMessage, or pass what identifies the work, such as MessageId", t)
	case m.key != wholePayload || m.validation != nil:
		return fmt.Errorf("the payload is a %v, and members that this type does not have could not be selected from it: "+
			"wrap the function in Handler, or pass the JSON itself as a json.RawMessage", t)
	}
	return nil
}

// digestOf is the digest of what an expression selects from a document. It says whether that is no key.
func (m *Manager) digestOf(e *expression, document []byte) (digest string, isMissing bool, err error) {
	if e == wholePayload && m.format == recordformat.Python {
		return digestDocument(document, m.config.Hash())
	}
	var selected any
	if e == wholePayload {
		selected, err = parseForJMESPath(document)
	} else {
		selected, err = e.selectFrom(document)
	}
	if err != nil || missing(selected) {
		return "", true, err
	}
	return m.digest(selected), false, nil
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
