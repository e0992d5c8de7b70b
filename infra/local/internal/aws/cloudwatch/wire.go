package cloudwatch

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"
)

// inSeconds has moments in an output be seconds since 1970.
func inSeconds(value any) any {
	switch v := value.(type) {
	case time.Time:
		return v.Unix()
	case []any:
		list := make([]any, len(v))
		for i, element := range v {
			list[i] = inSeconds(element)
		}
		return list
	case map[string]any:
		members := make(map[string]any, len(v))
		for name, member := range v {
			members[name] = inSeconds(member)
		}
		return members
	}
	return value
}

// toCBOR writes an output.
func toCBOR(output any) []byte { return cbor.Encode(cborOf(output)) }

// epochTag marks a number of seconds since 1970, RFC 8949 section 3.4.2.
const epochTag = 1

func cborOf(value any) cbor.Value {
	switch v := value.(type) {
	case string:
		return cbor.String(v)
	case float64:
		return cbor.Float64(v)
	case time.Time:
		return &cbor.Tag{ID: epochTag, Value: cbor.Float64(v.Unix())}
	case []any:
		list := make(cbor.List, len(v))
		for i, element := range v {
			list[i] = cborOf(element)
		}
		return list
	case map[string]any:
		members := cbor.Map{}
		for name, member := range v {
			members[name] = cborOf(member)
		}
		return members
	}
	return &cbor.Nil{} // outputs have nothing else
}

// cborToJSON reads parameters. An empty body has none.
func cborToJSON(body []byte) ([]byte, error) {
	if len(body) == 0 {
		return []byte(`{}`), nil
	}
	value, err := cbor.Decode(body)
	if err != nil {
		return nil, err
	}
	plain, err := plainOf(value)
	if err != nil {
		return nil, err
	}
	return json.Marshal(plain)
}

func plainOf(value cbor.Value) (any, error) {
	switch v := value.(type) {
	case cbor.Uint:
		return uint64(v), nil
	case cbor.NegInt:
		return -float64(v), nil
	case cbor.Float32:
		return float64(v), nil
	case cbor.Float64:
		return float64(v), nil
	case cbor.String:
		return string(v), nil
	case cbor.Bool:
		return bool(v), nil
	case *cbor.Nil, *cbor.Undefined:
		return nil, nil
	case *cbor.Tag: // of a moment, which is given in seconds
		return plainOf(v.Value)
	case cbor.List:
		list := make([]any, len(v))
		for i, element := range v {
			var err error
			if list[i], err = plainOf(element); err != nil {
				return nil, err
			}
		}
		return list, nil
	case cbor.Map:
		members := make(map[string]any, len(v))
		for name, member := range v {
			var err error
			if members[name], err = plainOf(member); err != nil {
				return nil, err
			}
		}
		return members, nil
	}
	return nil, fmt.Errorf("no operation here takes a %T", value)
}
