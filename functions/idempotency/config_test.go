package idempotency_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
)

func TestEveryProblemOfAConfigurationIsInOneError(t *testing.T) {
	t.Setenv("AWS_LAMBDA_FUNCTION_NAME", "")
	t.Setenv(idempotency.DisabledVariable, "maybe")
	_, err := idempotency.New(nil, idempotency.Config{
		Key:           "a.",
		Validation:    "nonsense(a)",
		TTL:           time.Millisecond,
		Lease:         -time.Second,
		LeaseMargin:   -1,
		Wait:          -1,
		CompressAbove: -1,
		CacheSize:     -1,
		LockOnly:      true,
		Policy:        func(context.Context, any, error) idempotency.Action { return 0 },
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"store is nil", "set Prefix", "Key `a.`", "Validation `nonsense(a)`: unknown function nonsense()", "TTL is 1ms: at least 1s",
		"Lease is -1s", "LeaseMargin is -1ns", "Wait is -1ns", "CompressAbove is -1", "CacheSize is -1", "LockOnly", `POWERTOOLS_IDEMPOTENCY_DISABLED is "maybe"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
	_, err = idempotency.New(idempotency.NewMemoryStore(), idempotency.Config{Prefix: "p", Lease: 1, LeaseMargin: 1})
	if err == nil || !strings.Contains(err.Error(), "at least 1ms") || !strings.Contains(err.Error(), "set one of them") {
		t.Errorf("error is %v", err)
	}
}

func TestAWildcardOverAnObjectIsRefusedForItsOrder(t *testing.T) {
	for _, expression := range []string{"*", "a.*", "a[*].*.b", "{k: a.*}", "sort(a.*)", "values(a)[*].*"} {
		_, err := idempotency.New(idempotency.NewMemoryStore(), idempotency.Config{Prefix: "p", Key: expression})
		if err == nil || !strings.Contains(err.Error(), "no defined order") {
			t.Errorf("%s: %v; want an error that says why", expression, err)
		}
	}
}

func TestThePrefixIsTheFunctionsNameByDefault(t *testing.T) {
	name := inLambda(t)
	m, err := idempotency.New(idempotency.NewMemoryStore(), idempotency.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if id, _, err := m.Key("k"); err != nil || !strings.HasPrefix(id, name+"#") || m.Prefix() != name {
		t.Errorf("got %s, %v", id, err)
	}
}

// inLambda gives the process the name of a function that it has not had before: what was taken stays taken, even if the
// test is run again.
func inLambda(t *testing.T) string {
	name := fmt.Sprint("payment-fn-", rand.Uint64())
	t.Setenv("AWS_LAMBDA_FUNCTION_NAME", name)
	return name
}

func TestTwoManagersWithoutPrefixOfOneProcessAreRefusedUnlessTheirOperationsDiffer(t *testing.T) {
	name := inLambda(t)
	memory := idempotency.NewMemoryStore()
	for _, test := range []struct {
		what   string
		store  idempotency.Store
		cfg    idempotency.Config
		prefix string // empty: refused
	}{
		{"the first", memory, idempotency.Config{}, name},
		{"a second one", memory, idempotency.Config{}, ""},
		{"one with another store, which may be the same table", idempotency.NewMemoryStore(), idempotency.Config{}, ""},
		{"one with an operation", memory, idempotency.Config{Operation: "app.refund"}, name + ".app.refund"},
		{"another with this operation", memory, idempotency.Config{Operation: "app.refund"}, ""},
		{"one with another operation", memory, idempotency.Config{Operation: "app.charge"}, name + ".app.charge"},
		{"one whose prefix is set", memory, idempotency.Config{Prefix: name}, name},
		{"another whose prefix is set", memory, idempotency.Config{Prefix: name}, name},
		{"one with both", memory, idempotency.Config{Prefix: "shop", Operation: "refund"}, "shop.refund"},
		{"another with both", memory, idempotency.Config{Prefix: "shop", Operation: "refund"}, "shop.refund"},
	} {
		m, err := idempotency.New(test.store, test.cfg)
		if test.prefix == "" {
			if err == nil || !strings.Contains(err.Error(), "prefix "+name) || !strings.Contains(err.Error(), "Operation") || !strings.Contains(err.Error(), "set Prefix") {
				t.Errorf("%s: %v; want an error that names the prefix and the ways out", test.what, err)
			}
			continue
		}
		if err != nil || m.Prefix() != test.prefix {
			t.Errorf("%s: %v; want a manager with the prefix %s", test.what, err, test.prefix)
		}
	}
}

func TestAConfigurationThatIsRefusedTakesNoPrefix(t *testing.T) {
	inLambda(t)
	if _, err := idempotency.New(idempotency.NewMemoryStore(), idempotency.Config{Wait: -1}); err == nil {
		t.Fatal("no error")
	}
	t.Setenv(idempotency.DisabledVariable, "true")
	for range 2 { // such as in tests: without records, none can be shared
		if _, err := idempotency.New(idempotency.NewMemoryStore(), idempotency.Config{}); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv(idempotency.DisabledVariable, "false")
	if _, err := idempotency.New(idempotency.NewMemoryStore(), idempotency.Config{}); err != nil {
		t.Fatal(err)
	}
}

func TestTheEnvironmentDisablesIdempotency(t *testing.T) {
	for value, disabled := range map[string]bool{
		"": false, "0": false, "false": false, "No": false, "off": false, "f": false, "n": false,
		"1": true, "true": true, "TRUE": true, "yes": true, "on": true, "t": true, "Y": true,
	} {
		t.Setenv(idempotency.DisabledVariable, value)
		f := setUp(t, idempotency.Config{RequireKey: true})
		if f.Enabled() == disabled {
			t.Errorf("%q: Enabled is %v", value, f.Enabled())
		}
		runs := 0
		for range 2 {
			if _, err := idempotency.Do(context.Background(), f.Manager, "k", returns(&runs, 1, nil)); err != nil {
				t.Fatal(err)
			}
		}
		if wantRuns, wantCalls := 1, 3; disabled {
			if runs != 2 || f.store.total() != 0 {
				t.Errorf("%q: %d runs, %d store calls; want 2 and none", value, runs, f.store.total())
			}
		} else if runs != wantRuns || f.store.total() != wantCalls {
			t.Errorf("%q: %d runs, %d store calls; want %d and %d", value, runs, f.store.total(), wantRuns, wantCalls)
		}
	}

	t.Setenv(idempotency.DisabledVariable, "true")
	f := setUp(t, idempotency.Config{})
	a, err := f.Acquire(context.Background(), idempotency.Claim{ID: "id"})
	if err != nil || a.Replay || a.Record.ID != "" {
		t.Errorf("Acquire: %+v, %v", a, err)
	}
	if err := f.Complete(context.Background(), a.Record, raw(`1`)); err != nil {
		t.Errorf("Complete: %v", err)
	}
	if err := f.Release(context.Background(), a.Record); err != nil {
		t.Errorf("Release: %v", err)
	}
	if f.store.total() != 0 {
		t.Errorf("%d store calls; want none", f.store.total())
	}
}
