package message_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

func TestALongPolicyIsPackedAndAShortOneIsPlain(t *testing.T) {
	t.Parallel()
	short := retry.Policy{Scope: retry.PerAccount}
	long := short
	for i := range 60 {
		long.Signals = append(long.Signals, retry.Rule{
			Name: fmt.Sprintf("rule-%d", i), Statuses: []int{200}, When: retry.Condition{Expression: "errors[].extensions.code", Matches: "THROTTLED"}, Verdict: retry.Limited,
		})
	}
	for name, p := range map[string]retry.Policy{"short": short, "long": long} {
		text, err := message.WritePolicy(p)
		if err != nil {
			t.Fatal(err)
		}
		if plain := strings.HasPrefix(text, "{"); plain != (name == "short") || len(text) > 1024 {
			t.Errorf("the %s policy takes %d bytes: %.60s", name, len(text), text)
		}
		read, err := message.ReadPolicy(text)
		if err != nil || !reflect.DeepEqual(read, p) {
			t.Errorf("the %s policy is read as %+v, %v", name, read, err)
		}
	}
}

func TestAPolicyThatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"gzip,", "gzip,AAAA", "gzip,H4sIAAAA", "{", `{"retries": 3}`} {
		if _, err := message.ReadPolicy(text); err == nil {
			t.Errorf("%q is read", text)
		}
	}
}
