package idempotency_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
)

var (
	digits = idempotency.NewFunction("digits", func(card string) (string, error) {
		if card == "none" {
			return "", errors.New("no card has this number")
		}
		return strings.ReplaceAll(card, " ", ""), nil
	})
	fullName = idempotency.NewFunction("full_name", func(names []string) (string, error) { return strings.Join(names, " "), nil })
	cents    = idempotency.NewFunction("cents", func(amount float64) (int, error) { return int(amount*100 + 0.5), nil })
	line     = idempotency.NewFunction("line", func(l struct {
		SKU string
		N   int
	}) (map[string]any, error) {
		return map[string]any{"sku": strings.ToUpper(l.SKU), "n": l.N}, nil
	})
)

func TestAFunctionOfOnesOwnIsPartOfTheKey(t *testing.T) {
	for _, test := range []struct{ expression, payload, sameAs string }{
		{"digits(card)", `{"card":"4111 1111"}`, `"41111111"`},
		{"full_name([first, last])", `{"first":"Ada","last":"King"}`, `"Ada King"`},
		{"cents(amount)", `{"amount":12.5}`, `1250`},
		{"cents(amount)", `{"amount":5.0}`, `500`},
		{"line(@)", `{"sku":"a-1","n":2}`, `{"sku":"A-1","n":2}`},
		{"lines[].line(@)", `{"lines":[{"sku":"a","n":1}]}`, `[{"sku":"A","n":1}]`},
		{"[digits(card), cents(amount) > `1000`]", `{"card":"1 2","amount":12.5}`, `["12",true]`},
	} {
		own := setUp(t, idempotency.Config{Key: test.expression, Functions: []idempotency.Function{digits, fullName, cents, line}})
		got, _, err := own.Key(raw(test.payload))
		want, _, _ := setUp(t, idempotency.Config{}).Key(raw(test.sameAs))
		if got != want || err != nil {
			t.Errorf("%s of %s has the ID %s, %v; want that of %s", test.expression, test.payload, got, err, test.sameAs)
		}
	}
	f := setUp(t, idempotency.Config{Key: "order", Validation: "digits(card)", Functions: []idempotency.Function{digits}})
	_, one, _ := f.Key(raw(`{"order":1,"card":"4 1"}`))
	_, other, err := f.Key(raw(`{"order":1,"card":"41"}`))
	if one != other || one == "" || err != nil {
		t.Errorf("the fingerprints are %s and %s, %v", one, other, err)
	}
}

func TestAFunctionOfOnesOwnThatFailsMakesTheKeyMalformedAndOfNothingThereIsNoKey(t *testing.T) {
	f := setUp(t, idempotency.Config{Key: "digits(card)", Functions: []idempotency.Function{digits}})
	for payload, want := range map[string]string{
		`{"card":"none"}`: "digits: no card has this number",
		`{"card":7}`:      "digits: its argument",
	} {
		if _, _, err := f.Key(raw(payload)); !errors.Is(err, idempotency.ErrKeyMalformed) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want ErrKeyMalformed that says %s", payload, err, want)
		}
	}
	if _, _, err := f.Key(raw(`{"cart":"4111"}`)); !errors.Is(err, idempotency.ErrKeyMissing) {
		t.Errorf("without a card: %v; want ErrKeyMissing", err)
	}
}

func TestFunctionsOfOnesOwnAreCheckedByNew(t *testing.T) {
	named := func(name string) idempotency.Function {
		return idempotency.NewFunction(name, func(string) (string, error) { return "", nil })
	}
	for want, functions := range map[string][]idempotency.Function{
		"Functions[1] is named digits, like another one":   {digits, named("digits")},
		"is named length, which is a function of JMESPath": {named("length")},
		"is named keys, which is a function of JMESPath":   {named("keys")},
		"named powertools_json, which is a function":       {named("powertools_json")},
		`is named "to-digits": letters, digits`:            {named("to-digits")},
		`is named "": letters, digits`:                     {named("")},
		"Functions[0] is empty: make it with NewFunction":  {{}},
	} {
		_, err := idempotency.New(idempotency.NewMemoryStore(), idempotency.Config{Prefix: "f", Functions: functions})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v; want %s", err, want)
		}
	}
	if _, err := idempotency.New(idempotency.NewMemoryStore(), idempotency.Config{Prefix: "f", Key: "digits(card)"}); err == nil {
		t.Error("a function that nobody has given is taken")
	}
}

func TestASelectionTakesFunctionsOfOnesOwnToo(t *testing.T) {
	selection, err := idempotency.NewSelection("digits(card)", digits)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := selection.Canonical([]byte(`{"card":"4 1"}`)); string(got) != `"41"` || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := idempotency.NewSelection("digits(card)", digits, digits); err == nil {
		t.Error("two functions of one name are taken")
	}
}
