package dynamostore

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
)

// What DynamoDB keeps as an attribute of its own types (Amazon DynamoDB Developer Guide, "Supported data types and naming
// rules"). A result beyond that is refused with [idempotency.ErrTooLarge], and so becomes text.
const (
	maxNestingLevels = 31 // the guide says 32, and counts the attribute itself
	maxNumberDigits  = 38
	maxNumber        = 1e126 // which is too large itself
	minNumber        = 1e-130
)

// nativeOf is a JSON document as an attribute of DynamoDB's own types: objects are maps, numbers numbers.
func nativeOf(document json.RawMessage) (types.AttributeValue, error) {
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("the result is no JSON: %w", err)
	}
	native, err := nativeValue(value, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", idempotency.ErrTooLarge, err)
	}
	return native, nil
}

func nativeValue(value any, level int) (types.AttributeValue, error) {
	if level > maxNestingLevels {
		return nil, fmt.Errorf("it is nested deeper than %d levels", maxNestingLevels)
	}
	switch v := value.(type) {
	case bool:
		return &types.AttributeValueMemberBOOL{Value: v}, nil
	case string:
		return text(v), nil
	case json.Number:
		return nativeNumber(string(v))
	case []any:
		list := make([]types.AttributeValue, len(v))
		for i, member := range v {
			native, err := nativeValue(member, level+1)
			if err != nil {
				return nil, err
			}
			list[i] = native
		}
		return &types.AttributeValueMemberL{Value: list}, nil
	case map[string]any:
		members := make(map[string]types.AttributeValue, len(v))
		for name, member := range v {
			if name == "" {
				return nil, errors.New("an object in it has a member without a name")
			}
			native, err := nativeValue(member, level+1)
			if err != nil {
				return nil, err
			}
			members[name] = native
		}
		return &types.AttributeValueMemberM{Value: members}, nil
	default:
		return &types.AttributeValueMemberNULL{Value: true}, nil
	}
}

func nativeNumber(token string) (types.AttributeValue, error) {
	mantissa, _, _ := strings.Cut(strings.ToLower(strings.TrimPrefix(token, "-")), "e")
	digits := strings.Trim(strings.Replace(mantissa, ".", "", 1), "0")
	if digits == "" {
		return &types.AttributeValueMemberN{Value: "0"}, nil
	}
	f, err := strconv.ParseFloat(token, 64)
	if abs := math.Abs(f); err != nil || abs >= maxNumber || abs < minNumber || len(digits) > maxNumberDigits {
		return nil, fmt.Errorf("the number %.60s is not one that DynamoDB keeps: up to %d digits, from 1e-130 to 9.99…e125", token, maxNumberDigits)
	}
	return &types.AttributeValueMemberN{Value: token}, nil
}

// jsonOf is an attribute of DynamoDB's own types as JSON. Sets are lists, and binary values strings in base64.
func jsonOf(value types.AttributeValue) (json.RawMessage, error) {
	decoded, err := jsonValue(value)
	if err != nil {
		return nil, err
	}
	var document bytes.Buffer
	encoder := json.NewEncoder(&document)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(decoded); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(document.Bytes(), []byte("\n")), nil
}

func jsonValue(value types.AttributeValue) (any, error) {
	switch v := value.(type) {
	case *types.AttributeValueMemberNULL:
		return nil, nil
	case *types.AttributeValueMemberBOOL:
		return v.Value, nil
	case *types.AttributeValueMemberS:
		return v.Value, nil
	case *types.AttributeValueMemberN:
		return jsonNumber(v.Value)
	case *types.AttributeValueMemberB:
		return base64.StdEncoding.EncodeToString(v.Value), nil
	case *types.AttributeValueMemberSS:
		return v.Value, nil
	case *types.AttributeValueMemberNS:
		return jsonList(v.Value, func(token string) (any, error) { return jsonNumber(token) })
	case *types.AttributeValueMemberBS:
		return v.Value, nil // encoding/json writes bytes in base64
	case *types.AttributeValueMemberL:
		return jsonList(v.Value, jsonValue)
	case *types.AttributeValueMemberM:
		members := make(map[string]any, len(v.Value))
		for name, member := range v.Value {
			decoded, err := jsonValue(member)
			if err != nil {
				return nil, err
			}
			members[name] = decoded
		}
		return members, nil
	default:
		return nil, fmt.Errorf("a value of type %T is not known", value)
	}
}

func jsonList[T any](values []T, decode func(T) (any, error)) (any, error) {
	list := make([]any, len(values))
	for i, value := range values {
		decoded, err := decode(value)
		if err != nil {
			return nil, err
		}
		list[i] = decoded
	}
	return list, nil
}

func jsonNumber(token string) (json.Number, error) {
	if token == "" || strings.Trim(token, "-+.0123456789eE") != "" || !json.Valid([]byte(token)) {
		return "", fmt.Errorf("%q is no number of JSON", token)
	}
	return json.Number(token), nil
}
