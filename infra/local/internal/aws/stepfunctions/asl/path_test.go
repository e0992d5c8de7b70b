package asl_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
)

// TestWhatResultPathPutsIsFoundThereAndNothingElseChanges compares ResultPath with a model on random objects and paths.
func TestWhatResultPathPutsIsFoundThereAndNothingElseChanges(t *testing.T) {
	names := rapid.SampledFrom([]string{"a", "b", "c d", "é", "it's", `\`, "$", "x.y", ""})
	var object *rapid.Generator[map[string]any]
	member := rapid.Custom(func(t *rapid.T) any {
		if rapid.Bool().Draw(t, "deeper") {
			return object.Draw(t, "object")
		}
		return rapid.SampledFrom([]any{1.0, "text", true, nil, []any{1.0}}).Draw(t, "leaf")
	})
	object = rapid.Custom(func(t *rapid.T) map[string]any { return rapid.MapOfN(names, member, 0, 3).Draw(t, "members") })

	rapid.Check(t, func(rt *rapid.T) {
		input := object.Draw(rt, "input")
		steps := rapid.SliceOfN(names, 1, 4).Draw(rt, "steps")
		path := pathOf(steps)
		want, fits := put(input, steps, "new")
		text, err := json.Marshal(input)
		if err != nil {
			rt.Fatal(err)
		}
		definition := func(fields string) string {
			return one(fmt.Sprintf(`{"Type":"Pass","Result":"new","ResultPath":%s,%s"End":true}`, quote(path), fields))
		}
		r := run(t, definition(``), string(text), asl.Options{})
		if !fits {
			if r.Error != asl.ResultPathMatchFailure {
				rt.Fatalf("%s does not fit into %s, but the execution %s with %s %s", path, text, r.Status, r.Error, r.Output)
			}
			return
		}
		if got := value(t, r.Output); fmt.Sprint(got) != fmt.Sprint(want) {
			rt.Fatalf("%s into %s: got %v, want %v", path, text, got, want)
		}
		if r := run(t, definition(`"OutputPath":`+quote(path)+`,`), string(text), asl.Options{}); r.Output != `"new"` {
			rt.Fatalf("%s into %s: found was %s (%s)", path, text, r.Output, r.Cause)
		}
	})
}

// pathOf writes the path of a member, with a dot where a name allows it.
func pathOf(steps []string) string {
	path := "$"
	for _, name := range steps {
		if name == "a" || name == "é" {
			path += "." + name
			continue
		}
		path += "['" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(name) + "']"
	}
	return path
}

func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(quoted)
}

// put is the model: the data with a value at a place below objects, which are made where they are missing.
func put(data any, steps []string, value any) (any, bool) {
	if len(steps) == 0 {
		return value, true
	}
	object, ok := data.(map[string]any)
	if !ok {
		return nil, false
	}
	inner, has := object[steps[0]]
	if !has {
		inner = map[string]any{}
	}
	member, ok := put(inner, steps[1:], value)
	changed := map[string]any{steps[0]: member}
	for k, v := range object {
		if k != steps[0] {
			changed[k] = v
		}
	}
	return changed, ok
}
