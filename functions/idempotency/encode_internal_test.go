package idempotency

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

// tree is a value as a program without types of its own makes it.
func tree(r *rand.Rand, depth int) any {
	kind := r.IntN(14)
	if depth == 0 {
		kind = r.IntN(12)
	}
	switch kind {
	case 0:
		return nil
	case 1:
		return r.IntN(2) == 0
	case 2:
		return r.IntN(2000) - 1000
	case 3:
		return float64(r.IntN(2000) - 1000)
	case 4:
		return math.Float64frombits(r.Uint64()&^(0x7FF<<52) | uint64(1023+r.IntN(160)-80)<<52)
	case 5:
		return []float64{0, math.Copysign(0, -1), 1e-6, 9.99e-7, 1e20, 1e21, 0.1, 5e-324, math.MaxFloat64}[r.IntN(9)]
	case 6:
		return []any{json.Number("1.50"), json.RawMessage(` [1, "<"]`), int64(math.MinInt64), uint8(7), float32(0.1), time.Unix(1, 0).UTC(),
			[]byte("bytes"), []string{"a"}, map[string]int{"b": 1, "a": 2}, struct{ A any }{"<"}, []any(nil), map[string]any(nil)}[r.IntN(12)]
	case 7, 8, 9, 10, 11:
		s := ""
		for range r.IntN(6) {
			s += []string{"a", "Z", " ", "<", "&", ">", `"`, `\`, "\n", "\x00", "\x7f", "é", "\u2028", "😀", "\xff", "\xed\xa0\x80"}[r.IntN(16)]
		}
		return s
	case 12:
		list := make([]any, r.IntN(4))
		for i := range list {
			list[i] = tree(r, depth-1)
		}
		return list
	default:
		object := map[string]any{}
		for range r.IntN(20) {
			object[[]string{"a", "b", "é", "<", "", "\xff", "zz", `"`}[r.IntN(8)]+string(rune('a'+r.IntN(26)))] = tree(r, depth-1)
		}
		return object
	}
}

func TestValuesAreEncodedAsByEncodingJSON(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for range 5_000 {
		value := tree(random, 3)
		want, wantErr := json.Marshal(value)
		got, err := encodeJSON(value)
		if string(got) != string(want) || (err == nil) != (wantErr == nil) {
			t.Fatalf("seed %d: %#v\n got %s, %v\nwant %s, %v", seed, value, got, err, want, wantErr)
		}
	}
	itself := map[string]any{}
	itself["a"] = []any{itself}
	for name, value := range map[string]any{"what holds itself": itself, "a number that is none": []any{math.NaN()}, "a channel": map[string]any{"a": make(chan int)}} {
		_, wantErr := json.Marshal(value)
		if got, err := encodeJSON(value); wantErr == nil || err == nil || got != nil {
			t.Errorf("%s: %s, %v; want an error", name, got, err)
		}
	}
}

func TestDocumentsAreDecodedAsByEncodingJSON(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	documents := []string{
		`"\ud800"`, `{"\udc00\ud800":1}`, `["\ud83d\ude00\ud83d"]`, "[\"\xff\"]", "{\"\xed\xa0\x80\":1}", `[1e999]`, `1e-999`, `-0`, `[-0.0]`, `{"a":1,"a":{}}`,
		``, `{`, `{}x`, `[1,]`, `null`, ` {"a" : [ ] } `, `"a"`, `[true,false]`, "\ufeff{}", `{"a":01}`, `123456789012345678901234567890`,
	}
	for range 5_000 {
		encoded, err := json.Marshal(tree(random, 3))
		if err != nil {
			t.Fatal(err)
		}
		if random.IntN(3) == 0 {
			encoded[random.IntN(len(encoded))] = []byte(`{}[]",:0\u`)[random.IntN(10)]
		}
		documents = append(documents, string(encoded))
	}
	for _, document := range documents {
		sameDecoded[any](t, seed, document)
		sameDecoded[map[string]any](t, seed, document)
		sameDecoded[[]any](t, seed, document)
		sameDecoded[struct{ A any }](t, seed, document)
	}
}

func sameDecoded[T any](t *testing.T, seed uint64, document string) {
	t.Helper()
	var got, want T
	err, wantErr := decodeJSON([]byte(document), &got), json.Unmarshal([]byte(document), &want)
	if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(err, wantErr) {
		t.Fatalf("seed %d: %q into %T\n got %#v, %v\nwant %#v, %v", seed, document, got, got, err, want, wantErr)
	}
}
