package asl

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"maps"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of the intrinsic functions, as the service documents them.
const (
	maxFunctionText  = 10000 // characters that Base64Encode, Base64Decode and Hash take
	maxFunctionArray = 1000  // elements that ArrayRange makes
)

// A function is an intrinsic function.
type function struct {
	min, max int  // number of arguments; a max below zero means any number
	format   bool // takes its first string with the escapes still in it
	apply    func(s *scope, args []any) (any, error)
}

func (f function) checkCount(name string, n int) error {
	switch {
	case f.max < 0 && n < f.min:
		return fmt.Errorf("%s takes at least %d arguments, not %d", name, f.min, n)
	case f.max >= 0 && (n < f.min || n > f.max):
		want := strconv.Itoa(f.min)
		if f.max != f.min {
			want += " to " + strconv.Itoa(f.max)
		}
		return fmt.Errorf("%s takes %s arguments, not %d", name, want, n)
	}
	return nil
}

var functions map[string]function

func init() { // not an initialiser, which would be a cycle: a call refers to the table that its parser reads
	functions = map[string]function{
		"States.Array":          {min: 0, max: -1, apply: func(_ *scope, args []any) (any, error) { return args, nil }},
		"States.ArrayContains":  {min: 2, max: 2, apply: arrayContains},
		"States.ArrayGetItem":   {min: 2, max: 2, apply: arrayGetItem},
		"States.ArrayLength":    {min: 1, max: 1, apply: arrayLength},
		"States.ArrayPartition": {min: 2, max: 2, apply: arrayPartition},
		"States.ArrayRange":     {min: 3, max: 3, apply: arrayRange},
		"States.ArrayUnique":    {min: 1, max: 1, apply: arrayUnique},
		"States.Base64Decode":   {min: 1, max: 1, apply: base64Decode},
		"States.Base64Encode":   {min: 1, max: 1, apply: base64Encode},
		"States.Format":         {min: 1, max: -1, apply: format, format: true},
		"States.Hash":           {min: 2, max: 2, apply: hashText},
		"States.JsonMerge":      {min: 3, max: 3, apply: jsonMerge},
		"States.JsonToString":   {min: 1, max: 1, apply: jsonToString},
		"States.MathAdd":        {min: 2, max: 2, apply: mathAdd},
		"States.MathRandom":     {min: 2, max: 3, apply: mathRandom},
		"States.StringSplit":    {min: 2, max: 2, apply: stringSplit},
		"States.StringToJson":   {min: 1, max: 1, apply: stringToJSON},
		"States.UUID":           {min: 0, max: 0, apply: randomUUID},
	}
}

// yieldsText holds the functions that ErrorPath and CausePath may call: those whose result is, or can be, a string.
var yieldsText = map[string]bool{
	"States.Format": true, "States.JsonToString": true, "States.ArrayGetItem": true, "States.Base64Encode": true,
	"States.Base64Decode": true, "States.Hash": true, "States.UUID": true,
}

func arrayOf(v any, position string) ([]any, error) {
	array, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("the %s argument must be an array, not %s", position, typeName(v))
	}
	return array, nil
}

func textOf(v any, position string) (string, error) {
	text, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("the %s argument must be a string, not %s", position, typeName(v))
	}
	return text, nil
}

func shortTextOf(v any, position string) (string, error) {
	text, err := textOf(v, position)
	if err == nil && utf8.RuneCountInString(text) > maxFunctionText {
		return "", fmt.Errorf("the %s argument is longer than %d characters", position, maxFunctionText)
	}
	return text, err
}

// integerOf reads a number and rounds it to an integer of 32 bits, which is all that these functions calculate with.
func integerOf(v any, position string) (int, error) {
	n, ok := number(v)
	if !ok {
		return 0, fmt.Errorf("the %s argument must be a number, not %s", position, typeName(v))
	}
	n = math.Floor(n + 0.5)
	if n < math.MinInt32 || n > math.MaxInt32 {
		return 0, fmt.Errorf("the %s argument, %v, is not between %d and %d", position, v, math.MinInt32, math.MaxInt32)
	}
	return int(n), nil
}

func integer(n int) json.Number { return json.Number(strconv.Itoa(n)) }

// number is the value of a JSON number.
func number(v any) (float64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	f, err := n.Float64()
	if err != nil && !errors.Is(err, strconv.ErrRange) { // a number out of range compares as infinite
		return 0, false
	}
	return f, true
}

func typeName(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case json.Number:
		return "a number"
	case string:
		return "a string"
	case []any:
		return "an array"
	}
	return "an object"
}

// same compares two values as JSON. Numbers are the same if their values are.
func same(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		x, _ := number(a)
		y, ok := number(b)
		return ok && x == y
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !same(a[i], b[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k, v := range a {
			if w, has := b[k]; !has || !same(v, w) {
				return false
			}
		}
		return true
	}
	switch b.(type) {
	case []any, map[string]any:
		return false
	}
	return a == b
}

func arrayContains(_ *scope, args []any) (any, error) {
	array, err := arrayOf(args[0], "first")
	if err != nil {
		return nil, err
	}
	for _, v := range array {
		if same(v, args[1]) {
			return true, nil
		}
	}
	return false, nil
}

func arrayGetItem(_ *scope, args []any) (any, error) {
	array, err := arrayOf(args[0], "first")
	if err != nil {
		return nil, err
	}
	i, err := integerOf(args[1], "second")
	if err != nil {
		return nil, err
	}
	if i < 0 || i >= len(array) {
		return nil, fmt.Errorf("the index %d is outside the array of %d elements", i, len(array))
	}
	return array[i], nil
}

func arrayLength(_ *scope, args []any) (any, error) {
	array, err := arrayOf(args[0], "only")
	if err != nil {
		return nil, err
	}
	return integer(len(array)), nil
}

func arrayPartition(_ *scope, args []any) (any, error) {
	array, err := arrayOf(args[0], "first")
	if err != nil {
		return nil, err
	}
	size, err := integerOf(args[1], "second")
	if err != nil {
		return nil, err
	}
	if size < 1 {
		return nil, fmt.Errorf("the size of a part, %d, must be at least 1", size)
	}
	parts := []any{}
	for len(array) > 0 {
		n := min(size, len(array))
		parts = append(parts, array[:n:n])
		array = array[n:]
	}
	return parts, nil
}

func arrayRange(_ *scope, args []any) (any, error) {
	var bounds [3]int
	for i, position := range []string{"first", "second", "third"} {
		n, err := integerOf(args[i], position)
		if err != nil {
			return nil, err
		}
		bounds[i] = n
	}
	first, last, step := bounds[0], bounds[1], bounds[2]
	if step == 0 {
		return nil, errors.New("the step must not be zero")
	}
	array := []any{}
	for n := first; (step > 0 && n <= last) || (step < 0 && n >= last); n += step {
		if len(array) == maxFunctionArray {
			return nil, fmt.Errorf("the array would have more than %d elements", maxFunctionArray)
		}
		array = append(array, integer(n))
	}
	return array, nil
}

func arrayUnique(_ *scope, args []any) (any, error) {
	array, err := arrayOf(args[0], "only")
	if err != nil {
		return nil, err
	}
	unique := []any{}
next:
	for _, v := range array {
		for _, u := range unique {
			if same(v, u) {
				continue next
			}
		}
		unique = append(unique, v)
	}
	return unique, nil
}

func base64Encode(_ *scope, args []any) (any, error) {
	text, err := shortTextOf(args[0], "only")
	if err != nil {
		return nil, err
	}
	return base64.StdEncoding.EncodeToString([]byte(text)), nil
}

func base64Decode(_ *scope, args []any) (any, error) {
	text, err := shortTextOf(args[0], "only")
	if err != nil {
		return nil, err
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("the argument is not base64")
	}
	return strings.ToValidUTF8(string(data), "\uFFFD"), nil
}

// format puts the arguments in the places of {} in the first. Values that are not strings are written as the service
// writes them: an object as {a=1, b=[x, y]}, everything else as JSON.
func format(_ *scope, args []any) (any, error) {
	text, err := textOf(args[0], "first")
	if err != nil {
		return nil, err
	}
	values := args[1:]
	var b strings.Builder
	places := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		case strings.HasPrefix(text[i:], "{}"):
			if places < len(values) {
				writeValue(&b, values[places])
			}
			places++
			i++
		case c == '{' || c == '}' || c == '\\':
			return nil, fmt.Errorf(`the %c at position %d needs a \ before it`, c, i)
		default:
			b.WriteByte(c)
		}
	}
	if places != len(values) {
		return nil, fmt.Errorf("there are %d places for values and %d values", places, len(values))
	}
	return b.String(), nil
}

func writeValue(b *strings.Builder, v any) {
	switch v := v.(type) {
	case string:
		b.WriteString(v)
	case []any:
		b.WriteByte('[')
		for i, element := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			writeValue(b, element)
		}
		b.WriteByte(']')
	case map[string]any:
		b.WriteByte('{')
		for i, name := range sortedNames(v) {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(name + "=")
			writeValue(b, v[name])
		}
		b.WriteByte('}')
	default:
		b.WriteString(encode(v))
	}
}

func hashText(_ *scope, args []any) (any, error) {
	text, err := shortTextOf(args[0], "first")
	if err != nil {
		return nil, err
	}
	algorithms := map[string]func() hash.Hash{
		"MD5": md5.New, "SHA-1": sha1.New, "SHA-256": sha256.New, "SHA-384": sha512.New384, "SHA-512": sha512.New,
	}
	name, err := textOf(args[1], "second")
	if err != nil {
		return nil, err
	}
	algorithm, ok := algorithms[name]
	if !ok {
		return nil, fmt.Errorf("there is no algorithm %q; there are %s", name, strings.Join(sortedNames(algorithms), ", "))
	}
	h := algorithm()
	h.Write([]byte(text))
	return hex.EncodeToString(h.Sum(nil)), nil
}

func jsonMerge(_ *scope, args []any) (any, error) {
	first, ok1 := args[0].(map[string]any)
	second, ok2 := args[1].(map[string]any)
	if !ok1 || !ok2 {
		return nil, errors.New("the first two arguments must be objects")
	}
	if args[2] != any(false) {
		return nil, errors.New("the third argument must be false: objects are merged at the top only")
	}
	merged := maps.Clone(first)
	maps.Copy(merged, second)
	return merged, nil
}

func jsonToString(_ *scope, args []any) (any, error) { return encode(args[0]), nil }

func stringToJSON(_ *scope, args []any) (any, error) {
	text, err := textOf(args[0], "only")
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(text) == "" {
		return nil, nil // null, as the service has it
	}
	v, err := decode([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("the argument is not JSON: %w", err)
	}
	return v, nil
}

func mathAdd(_ *scope, args []any) (any, error) {
	a, err := integerOf(args[0], "first")
	if err != nil {
		return nil, err
	}
	b, err := integerOf(args[1], "second")
	if err != nil {
		return nil, err
	}
	if sum := a + b; sum >= math.MinInt32 && sum <= math.MaxInt32 {
		return integer(sum), nil
	}
	return nil, fmt.Errorf("the sum of %d and %d is not between %d and %d", a, b, math.MinInt32, math.MaxInt32)
}

// mathRandom yields an integer from the first argument up to, but not including, the second.
func mathRandom(s *scope, args []any) (any, error) {
	start, err := integerOf(args[0], "first")
	if err != nil {
		return nil, err
	}
	end, err := integerOf(args[1], "second")
	if err != nil {
		return nil, err
	}
	if end <= start {
		return nil, fmt.Errorf("the end, %d, must be above the start, %d", end, start)
	}
	random := s.run.options.Random
	if len(args) == 3 {
		seed, err := integerOf(args[2], "third")
		if err != nil {
			return nil, err
		}
		random = rand.New(rand.NewPCG(uint64(seed), 0)).Float64
	}
	return integer(start + int(random()*float64(end-start))), nil
}

// stringSplit cuts the first argument at every character of the second, and drops what is empty.
func stringSplit(_ *scope, args []any) (any, error) {
	text, err := textOf(args[0], "first")
	if err != nil {
		return nil, err
	}
	cuts, err := textOf(args[1], "second")
	if err != nil {
		return nil, err
	}
	parts := []any{}
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(cuts, r) }) {
		parts = append(parts, part)
	}
	return parts, nil
}

// randomUUID yields a random UUID.
func randomUUID(s *scope, _ []any) (any, error) { return UUID(s.run.options.Random), nil }
