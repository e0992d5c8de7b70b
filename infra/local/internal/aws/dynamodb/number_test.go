package dynamodb_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestANumberComesBackInNormalForm(t *testing.T) {
	store := newStore(t)
	for given, want := range map[string]string{
		"0": "0", "-0": "0", "0.000": "0", "0e500": "0", "007": "7", "+7": "7", "-7": "-7", "1.50": "1.5", "100": "100", "1e3": "1000", "1E+3": "1000", "1.5e1": "15",
		"25e-1": "2.5", "12e-4": "0.0012", ".5": "0.5", "5.": "5", "0.1e1": "1", "00.0010": "0.001",
		strings.Repeat("9", 38):                       strings.Repeat("9", 38),
		"9.9999999999999999999999999999999999999E125": strings.Repeat("9", 38) + strings.Repeat("0", 88),
		"1e-130":                       "0." + strings.Repeat("0", 129) + "1",
		"1" + strings.Repeat("0", 100): "1" + strings.Repeat("0", 100),
	} {
		call(t, store, "PutItem", fmt.Sprintf(`{"TableName":"records","Item":{"id":{"S":"k"},"n":{"N":%q}}}`, given))
		equalJSON(t, given, call(t, store, "GetItem", `{"TableName":"records","Key":{"id":{"S":"k"}}}`),
			fmt.Sprintf(`{"Item":{"id":{"S":"k"},"n":{"N":%q}}}`, want))
	}
}

func TestWhatIsNoNumberIsRefused(t *testing.T) {
	store := newStore(t)
	const (
		none      = "The parameter cannot be converted to a numeric value"
		digits    = "Attempting to store more than 38 significant digits in a Number"
		overflow  = "Number overflow. Attempting to store a number with magnitude larger than supported range"
		underflow = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
	)
	for given, want := range map[string]string{
		"": none, "x": none + ": x", "1x": none + ": 1x", " 1": none + ":  1", "0x10": none + ": 0x10", "1_000": none + ": 1_000", "NaN": none + ": NaN",
		"Infinity": none + ": Infinity", "--1": none + ": --1", "1e": none + ": 1e", ".": none + ": .", "e5": none + ": e5", "1,5": none + ": 1,5",
		strings.Repeat("1", 39): digits, "0." + strings.Repeat("1", 39): digits,
		"1e126": overflow, "-1e126": overflow, "1e99999999999999999999": overflow,
		"1e-131": underflow, "-1e-131": underflow, "1e-99999999999999999999": underflow,
	} {
		refusal := refused(t, store, "PutItem", fmt.Sprintf(`{"TableName":"records","Item":{"id":{"S":"k"},"n":{"N":%q}}}`, given))
		if refusal.Message != want {
			t.Errorf("%q: got %q, want %q", given, refusal.Message, want)
		}
	}
}

// decimals draws numbers that all fit, sums included: up to 18 digits and small exponents.
var decimals = rapid.Custom(func(t *rapid.T) string {
	return fmt.Sprintf("%de%d", rapid.Int64Range(-1e17, 1e17).Draw(t, "digits"), rapid.IntRange(-9, 9).Draw(t, "exponent"))
})

func rational(t *rapid.T, text string) *big.Rat {
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		t.Fatalf("%q is no number", text)
	}
	return r
}

func TestSumsAndOrderAreExact(t *testing.T) {
	store := newStore(t)
	rapid.Check(t, func(rt *rapid.T) {
		a, b := decimals.Draw(rt, "a"), decimals.Draw(rt, "b")
		call(t, store, "PutItem", fmt.Sprintf(`{"TableName":"records","Item":{"id":{"S":"k"},"a":{"N":%q},"b":{"N":%q}}}`, a, b))
		output := call(t, store, "UpdateItem", `{"TableName":"records","Key":{"id":{"S":"k"}},"UpdateExpression":"SET added = a + b, rest = a - b","ReturnValues":"UPDATED_NEW"}`)
		var got struct{ Attributes map[string]struct{ N string } }
		if err := json.Unmarshal([]byte(output), &got); err != nil {
			rt.Fatal(err)
		}
		left, right := rational(rt, a), rational(rt, b)
		if sum := new(big.Rat).Add(left, right); rational(rt, got.Attributes["added"].N).Cmp(sum) != 0 {
			rt.Errorf("%s + %s = %s", a, b, got.Attributes["added"].N)
		}
		if rest := new(big.Rat).Sub(left, right); rational(rt, got.Attributes["rest"].N).Cmp(rest) != 0 {
			rt.Errorf("%s - %s = %s", a, b, got.Attributes["rest"].N)
		}
		for comparator, want := range map[string]bool{"<": left.Cmp(right) < 0, "<=": left.Cmp(right) <= 0, "=": left.Cmp(right) == 0, "<>": left.Cmp(right) != 0, ">": left.Cmp(right) > 0} {
			_, err := store.Call(t.Context(), "UpdateItem", fmt.Appendf(nil, `{"TableName":"records","Key":{"id":{"S":"k"}},"ConditionExpression":"a %s b"}`, comparator))
			if (err == nil) != want {
				rt.Errorf("%s %s %s: got %v", a, comparator, b, err)
			}
		}
	})
}

func TestAQueryGoesThroughNumbersInTheirOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		store := newStore(t)
		numbers := rapid.SliceOfN(decimals, 1, 20).Draw(rt, "numbers")
		for _, n := range append(numbers, "0", "1e125", "-1e125", "1e-130", "-1e-130") {
			call(t, store, "PutItem", fmt.Sprintf(`{"TableName":"events","Item":{"source":{"S":"a"},"at":{"N":%q}}}`, n))
		}
		output := call(t, store, "Query", `{"TableName":"events","KeyConditionExpression":"#s = :a","ExpressionAttributeNames":{"#s":"source"},"ExpressionAttributeValues":{":a":{"S":"a"}}}`)
		var got struct {
			Items []struct{ At struct{ N string } }
		}
		if err := json.Unmarshal([]byte(output), &got); err != nil {
			rt.Fatal(err)
		}
		for i := range got.Items[1:] {
			before, after := got.Items[i].At.N, got.Items[i+1].At.N
			if rational(rt, before).Cmp(rational(rt, after)) >= 0 {
				rt.Errorf("%s comes before %s", before, after)
			}
		}
	})
}

func TestTheSameNumberIsTheSameKey(t *testing.T) {
	store := newStore(t)
	call(t, store, "PutItem", `{"TableName":"events","Item":{"source":{"S":"a"},"at":{"N":"1.50"}}}`)
	equalJSON(t, "GetItem", call(t, store, "GetItem", `{"TableName":"events","Key":{"source":{"S":"a"},"at":{"N":"15e-1"}}}`),
		`{"Item":{"source":{"S":"a"},"at":{"N":"1.5"}}}`)
	if items, err := store.Items("events"); err != nil || len(items) != 1 {
		t.Errorf("got %d items and %v, want 1", len(items), err)
	}
}
