package secretsmanager_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/secretsmanager"
)

// start is the time at which the clock of a test begins: 2023-11-14 22:13:20.
var start = time.Unix(1_700_000_000, 0)

// A fakeClock tells the time that the test sets.
type fakeClock struct{ now time.Time }

// newStore makes a store with a secret orders/token, and the clock that it goes by.
func newStore(t testing.TB) (*secretsmanager.Store, *fakeClock) {
	t.Helper()
	clock := &fakeClock{now: start}
	store := secretsmanager.New(secretsmanager.Config{AccountID: "123456789012", Clock: func() time.Time { return clock.now }})
	create(t, store, secretsmanager.Secret{Name: "orders/token", String: "first"})
	return store, clock
}

func create(t testing.TB, store *secretsmanager.Store, secret secretsmanager.Secret) {
	t.Helper()
	if err := store.Create(secret); err != nil {
		t.Fatal(err)
	}
}

func provide(t testing.TB, store *secretsmanager.Store, values map[string]string) {
	t.Helper()
	if err := store.Provide(values); err != nil {
		t.Fatal(err)
	}
}

// call runs an operation that has to succeed and gives back its answer.
func call(t testing.TB, store *secretsmanager.Store, operation, input string) map[string]any {
	t.Helper()
	output, err := store.Call(t.Context(), operation, json.RawMessage(input))
	if err != nil {
		t.Fatalf("%s %s: %v", operation, input, err)
	}
	var fields map[string]any
	if err := json.Unmarshal(output, &fields); err != nil {
		t.Fatalf("%s %s: %v in %s", operation, input, err, output)
	}
	return fields
}

// refused runs an operation that has to fail and gives back the error.
func refused(t testing.TB, store *secretsmanager.Store, operation, input string) *secretsmanager.Error {
	t.Helper()
	output, err := store.Call(t.Context(), operation, json.RawMessage(input))
	var refusal *secretsmanager.Error
	if !errors.As(err, &refusal) {
		t.Fatalf("%s %s: got %s and the error %v, want a refusal", operation, input, output, err)
	}
	return refusal
}

// value is what GetSecretValue gives for an id.
func value(t testing.TB, store *secretsmanager.Store, id string) string {
	t.Helper()
	return call(t, store, "GetSecretValue", fmt.Sprintf(`{"SecretId":%q}`, id))["SecretString"].(string)
}

// token is a ClientRequestToken, told by a character.
func token(character string) string { return strings.Repeat(character, 32) }

// put gives orders/token a value, with further parameters.
func put(t testing.TB, store *secretsmanager.Store, character, text, more string) map[string]any {
	t.Helper()
	return call(t, store, "PutSecretValue", fmt.Sprintf(`{"SecretId":"orders/token","ClientRequestToken":%q,"SecretString":%q%s}`, token(character), text, more))
}

func TestASecretIsFoundByItsNameItsARNAndAPartialARN(t *testing.T) {
	store, _ := newStore(t)
	create(t, store, secretsmanager.Secret{Name: "Orders/_+=.@!-Token", String: "odd"})
	create(t, store, secretsmanager.Secret{Name: "orders-secret", String: "six letters"})
	ours := secretsmanager.ARN("us-east-1", "123456789012", "orders/token")
	for id, want := range map[string]string{
		"orders/token": "first",
		ours:           "first",
		"arn:aws:secretsmanager:us-east-1:123456789012:secret:orders/token":     "first",
		"arn:aws:secretsmanager:eu-west-1:000000000000:secret:orders/token":     "first", // here is one region, and one account
		"arn:aws-cn:secretsmanager:cn-north-1:000000000000:secret:orders/token": "first",
		"Orders/_+=.@!-Token": "odd",
		"arn:aws:secretsmanager:us-east-1:123456789012:secret:Orders/_+=.@!-Token": "odd",
		"orders-secret": "six letters",
		secretsmanager.ARN("us-east-1", "123456789012", "orders-secret"): "six letters",
	} {
		if got := value(t, store, id); got != want {
			t.Errorf("%s is %q, want %q", id, got, want)
		}
	}
	for _, id := range []string{
		"orders", "orders/token2", "Orders/token", "orders/token-AbCdEf",
		"arn:aws:secretsmanager:us-east-1:123456789012:secret:orders",
		"arn:aws:secretsmanager:us-east-1:123456789012:secret:orders/token-AbCdEf",
		// What looks like a complete ARN is taken for one.
		"arn:aws:secretsmanager:us-east-1:123456789012:secret:orders-secret",
		strings.Replace(ours, "us-east-1", "eu-west-1", 1),
	} {
		for _, operation := range []string{"GetSecretValue", "DescribeSecret"} {
			if got := refused(t, store, operation, fmt.Sprintf(`{"SecretId":%q}`, id)); got.Error() != "ResourceNotFoundException: Secrets Manager can't find the specified secret." {
				t.Errorf("%s of %s: got %v", operation, id, got)
			}
		}
	}
}

func TestTheARNOfANameIsTheSameInEveryRun(t *testing.T) {
	const want = "arn:aws:secretsmanager:us-east-1:000000000000:secret:orders/token-YoIZFO"
	if got := secretsmanager.ARN("us-east-1", "000000000000", "orders/token"); got != want {
		t.Errorf("it is %s, want %s", got, want)
	}
	store := secretsmanager.New(secretsmanager.Config{})
	create(t, store, secretsmanager.Secret{Name: "orders/token"})
	if got := call(t, store, "DescribeSecret", `{"SecretId":"orders/token"}`)["ARN"]; got != want {
		t.Errorf("of a secret of the store it is %v, want %s", got, want)
	}
	form := regexp.MustCompile(`^arn:aws:secretsmanager:eu-west-1:123456789012:secret:n[0-9]+-[A-Za-z]{6}$`)
	seen := map[string]bool{}
	for i := range 1000 {
		arn := secretsmanager.ARN("eu-west-1", "123456789012", fmt.Sprint("n", i))
		if !form.MatchString(arn) {
			t.Errorf("%s has another form", arn)
		}
		seen[arn[strings.LastIndex(arn, "-"):]] = true
	}
	if len(seen) != 1000 {
		t.Errorf("1000 names have %d endings", len(seen))
	}
}

func TestAValueComesWithItsVersion(t *testing.T) {
	store, clock := newStore(t)
	clock.now = start.Add(1500 * time.Millisecond)
	put(t, store, "2", "second <&> 東京", "")
	got := call(t, store, "GetSecretValue", `{"SecretId":"orders/token"}`)
	want := map[string]any{
		"ARN": secretsmanager.ARN("us-east-1", "123456789012", "orders/token"), "Name": "orders/token",
		"CreatedDate": 1700000001.5, "SecretString": "second <&> 東京", "VersionId": token("2"), "VersionStages": []any{"AWSCURRENT"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestABinaryValueComesBackAsItWasGiven(t *testing.T) {
	store, _ := newStore(t)
	create(t, store, secretsmanager.Secret{Name: "key", Binary: []byte{0, 255, 10}})
	got := call(t, store, "GetSecretValue", `{"SecretId":"key"}`)
	if text, isString := got["SecretString"]; isString || got["SecretBinary"] != "AP8K" {
		t.Errorf("got %v as a string and %v as binary, want AP8K", text, got["SecretBinary"])
	}
	call(t, store, "PutSecretValue", `{"SecretId":"orders/token","ClientRequestToken":"`+token("b")+`","SecretBinary":"AAEC"}`)
	got = call(t, store, "GetSecretValue", `{"SecretId":"orders/token"}`)
	if text, isString := got["SecretString"]; isString || got["SecretBinary"] != "AAEC" {
		t.Errorf("after PutSecretValue got %v as a string and %v as binary, want AAEC", text, got["SecretBinary"])
	}
}

// versions are the labels by the values that GetSecretValue gives for the ids of versions.
func versions(t testing.TB, store *secretsmanager.Store, ids ...string) string {
	t.Helper()
	var all []string
	for _, id := range ids {
		got := call(t, store, "GetSecretValue", fmt.Sprintf(`{"SecretId":"orders/token","VersionId":%q}`, token(id)))
		labels, _ := got["VersionStages"].([]any)
		all = append(all, fmt.Sprint(got["SecretString"], labels))
	}
	return strings.Join(all, " ")
}

func TestTheCurrentVersionBecomesThePreviousOne(t *testing.T) {
	store, _ := newStore(t)
	put(t, store, "2", "second", "")
	put(t, store, "3", "third", "")
	if got := versions(t, store, "2", "3"); got != "second[AWSPREVIOUS] third[AWSCURRENT]" {
		t.Errorf("the versions are %s", got)
	}
	for label, want := range map[string]string{"AWSCURRENT": "third", "AWSPREVIOUS": "second"} {
		if got := call(t, store, "GetSecretValue", `{"SecretId":"orders/token","VersionStage":"`+label+`"}`)["SecretString"]; got != want {
			t.Errorf("%s is %v, want %s", label, got, want)
		}
	}
	both := `{"SecretId":"orders/token","VersionId":"` + token("3") + `","VersionStage":`
	if got := call(t, store, "GetSecretValue", both+`"AWSCURRENT"}`)["SecretString"]; got != "third" {
		t.Errorf("the version 3 that is current is %v", got)
	}
	const want = "InvalidRequestException: You provided a VersionStage that is not associated to the provided VersionId."
	if got := refused(t, store, "GetSecretValue", both+`"AWSPREVIOUS"}`); got.Error() != want {
		t.Errorf("the version 3 that is the previous one is %v, want %s", got, want)
	}
	put(t, store, "4", "fourth", "")
	if got := versions(t, store, "2", "3", "4"); got != "second[] third[AWSPREVIOUS] fourth[AWSCURRENT]" {
		t.Errorf("after another one the versions are %s", got)
	}
}

func TestLabelsGoFromOneVersionToAnother(t *testing.T) {
	store, _ := newStore(t)
	if got := put(t, store, "2", "second", `,"VersionStages":["b","a"]`); !cmp.Equal(got["VersionStages"], []any{"a", "b"}) {
		t.Errorf("the labels are %v, want a and b", got["VersionStages"])
	}
	put(t, store, "3", "third", `,"VersionStages":["b","AWSPENDING"]`)
	if got := versions(t, store, "2", "3"); got != "second[a] third[AWSPENDING b]" || value(t, store, "orders/token") != "first" {
		t.Errorf("the versions are %s, and the current one is %q", got, value(t, store, "orders/token"))
	}
	put(t, store, "4", "fourth", `,"VersionStages":["AWSCURRENT","b"]`)
	put(t, store, "5", "fifth", "")
	if got := versions(t, store, "3", "4", "5"); got != "third[AWSPENDING] fourth[AWSPREVIOUS b] fifth[AWSCURRENT]" {
		t.Errorf("after two more the versions are %s", got)
	}
}

func TestTheFirstVersionIsCurrentWhateverItsLabels(t *testing.T) {
	store, _ := newStore(t)
	create(t, store, secretsmanager.Secret{Name: "empty"})
	const want = "ResourceNotFoundException: Secrets Manager can't find the specified secret value for staging label: AWSCURRENT"
	if got := refused(t, store, "GetSecretValue", `{"SecretId":"empty"}`); got.Error() != want {
		t.Errorf("without a version got %v", got)
	}
	got := call(t, store, "PutSecretValue", `{"SecretId":"empty","ClientRequestToken":"`+token("1")+`","SecretString":"now","VersionStages":["mine"]}`)
	if !cmp.Equal(got["VersionStages"], []any{"AWSCURRENT", "mine"}) || value(t, store, "empty") != "now" {
		t.Errorf("the first version has %v, and the value is %s", got["VersionStages"], value(t, store, "empty"))
	}
}

func TestARepeatedPutChangesNothing(t *testing.T) {
	store, clock := newStore(t)
	put(t, store, "2", "second", "")
	put(t, store, "3", "third", "")
	clock.now = start.Add(time.Hour)
	if got := put(t, store, "2", "second", ""); !cmp.Equal(got["VersionStages"], []any{"AWSPREVIOUS"}) || got["VersionId"] != token("2") {
		t.Errorf("the repeated one answers %v", got)
	}
	if got := call(t, store, "DescribeSecret", `{"SecretId":"orders/token"}`)["LastChangedDate"]; value(t, store, "orders/token") != "third" || got != 1700000000.0 {
		t.Errorf("the value is %s, changed at %v", value(t, store, "orders/token"), got)
	}
	for _, other := range []string{`"SecretString":"other"`, `"SecretBinary":"c2Vjb25k"`} {
		got := refused(t, store, "PutSecretValue", `{"SecretId":"orders/token","ClientRequestToken":"`+token("2")+`",`+other+`}`)
		want := "ResourceExistsException: You can't use ClientRequestToken " + token("2") + " because that value is already in use for a version of secret " +
			secretsmanager.ARN("us-east-1", "123456789012", "orders/token") + "."
		if got.Error() != want {
			t.Errorf("with %s got %v", other, got)
		}
	}
}

func TestOldVersionsWithoutLabelsGo(t *testing.T) {
	store, _ := newStore(t)
	put(t, store, "p", "pending", `,"VersionStages":["AWSPENDING"]`)
	for i := range 200 {
		call(t, store, "PutSecretValue", fmt.Sprintf(`{"SecretId":"orders/token","ClientRequestToken":"%032d","SecretString":"%d"}`, i, i))
	}
	for id, want := range map[string]bool{token("p"): true, fmt.Sprintf("%032d", 101): true, fmt.Sprintf("%032d", 100): false, fmt.Sprintf("%032d", 0): false} {
		_, err := store.Call(t.Context(), "GetSecretValue", fmt.Appendf(nil, `{"SecretId":"orders/token","VersionId":%q}`, id))
		if there := err == nil; there != want {
			t.Errorf("the version %s is there: %v, want %v", id, there, want)
		}
	}
}

func TestADescriptionSaysAllButTheValue(t *testing.T) {
	store, clock := newStore(t)
	create(t, store, secretsmanager.Secret{Name: "card", String: "hidden", Description: "For cards", Tags: map[string]string{"team": "shop", "cost": "7"}})
	input := `{"SecretId":"card"}`
	id := call(t, store, "GetSecretValue", input)["VersionId"].(string)
	clock.now = start.Add(10 * time.Second)
	call(t, store, "PutSecretValue", `{"SecretId":"card","ClientRequestToken":"`+token("2")+`","SecretString":"hidden again"}`)
	want := map[string]any{
		"ARN": secretsmanager.ARN("us-east-1", "123456789012", "card"), "Name": "card", "Description": "For cards",
		"Tags":        []any{map[string]any{"Key": "cost", "Value": "7"}, map[string]any{"Key": "team", "Value": "shop"}},
		"CreatedDate": 1700000000.0, "LastChangedDate": 1700000010.0,
		"LastAccessedDate":   1699920000.0, // the day, in UTC
		"VersionIdsToStages": map[string]any{id: []any{"AWSPREVIOUS"}, token("2"): []any{"AWSCURRENT"}},
	}
	if diff := cmp.Diff(want, call(t, store, "DescribeSecret", input)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got, read := call(t, store, "DescribeSecret", `{"SecretId":"orders/token"}`)["LastAccessedDate"]; read {
		t.Errorf("a secret whose value nobody has read was last read on %v", got)
	}
}

func TestASecretThatCannotBeIsNotCreated(t *testing.T) {
	store, _ := newStore(t)
	for _, c := range []struct {
		secret secretsmanager.Secret
		want   string
	}{
		{secretsmanager.Secret{Name: ""}, `"" is no name of a secret; give 1 to 512 letters, digits and characters of !@.=+_/-`},
		{secretsmanager.Secret{Name: "a b", String: "hidden"}, `"a b" is no name of a secret; give 1 to 512 letters, digits and characters of !@.=+_/-`},
		{secretsmanager.Secret{Name: "größe"}, `"größe" is no name of a secret; give 1 to 512 letters, digits and characters of !@.=+_/-`},
		{secretsmanager.Secret{Name: "a", String: strings.Repeat("h", 65537)}, `the value of the secret "a" has 65537 bytes; give it 1 to 65536`},
		{secretsmanager.Secret{Name: "a", String: "hidden", Binary: []byte("hidden")}, `the secret "a" has a string and a binary value; give it one of them`},
		{secretsmanager.Secret{Name: "a", ARN: "arn:aws:secretsmanager:us-east-1:123456789012:secret:b-AbCdEf"},
			`the ARN of the secret "a" is "arn:aws:secretsmanager:us-east-1:123456789012:secret:b-AbCdEf", which is not that of a secret of this name`},
		{secretsmanager.Secret{Name: "orders/token", String: "hidden"}, `ResourceExistsException: The operation failed because the secret orders/token already exists.`},
	} {
		if err := store.Create(c.secret); err == nil || err.Error() != c.want {
			t.Errorf("%s: got %v, want %s", c.secret.Name, err, c.want)
		}
	}
	create(t, store, secretsmanager.Secret{Name: strings.Repeat("n", 512), String: strings.Repeat("v", 65536)})
}

func names(t testing.TB, store *secretsmanager.Store, input string) []string {
	t.Helper()
	all := []string{}
	for _, listed := range call(t, store, "ListSecrets", input)["SecretList"].([]any) {
		all = append(all, listed.(map[string]any)["Name"].(string))
	}
	return all
}

func TestProvidedSecretsAreMadeChangedAndTakenAway(t *testing.T) {
	store, _ := newStore(t)
	provide(t, store, map[string]string{"orders/token": "from outside", "card": "one", "mail": "two"})
	if got := names(t, store, `{"SortBy":"name"}`); !slices.Equal(got, []string{"card", "mail", "orders/token"}) {
		t.Errorf("the secrets are %v", got)
	}
	if got := value(t, store, "orders/token"); got != "from outside" {
		t.Errorf("the secret that was there is %q", got)
	}
	before := call(t, store, "GetSecretValue", `{"SecretId":"card"}`)["VersionId"]
	provide(t, store, map[string]string{"card": "one", "bank": "three"})
	if got := names(t, store, `{"SortBy":"name"}`); !slices.Equal(got, []string{"bank", "card", "orders/token"}) {
		t.Errorf("without mail and orders/token, which was there before, the secrets are %v", got)
	}
	if after := call(t, store, "GetSecretValue", `{"SecretId":"card"}`)["VersionId"]; after != before {
		t.Errorf("the version of a value that is the same is %v, want %v", after, before)
	}
	provide(t, store, map[string]string{"card": "another"})
	got := call(t, store, "GetSecretValue", `{"SecretId":"card","VersionStage":"AWSPREVIOUS"}`)
	if value(t, store, "card") != "another" || got["SecretString"] != "one" || got["VersionId"] != before {
		t.Errorf("after a change it is %q, and before it was %v", value(t, store, "card"), got)
	}
}

func TestAPutHoldsUntilTheNextValuesAreProvided(t *testing.T) {
	store, _ := newStore(t)
	provide(t, store, map[string]string{"orders/token": "from outside"})
	put(t, store, "2", "put", "")
	if got := value(t, store, "orders/token"); got != "put" {
		t.Errorf("it is %q, want what was put", got)
	}
	provide(t, store, map[string]string{"orders/token": "from outside"})
	if got := value(t, store, "orders/token"); got != "from outside" {
		t.Errorf("it is %q, want what was provided", got)
	}
}

func TestASecretCanBeProvidedByACompleteARN(t *testing.T) {
	store, _ := newStore(t)
	const arn = "arn:aws:secretsmanager:eu-west-1:210987654321:secret:card-a1B2c3"
	provide(t, store, map[string]string{arn: "by its ARN"})
	for _, id := range []string{arn, "card", "arn:aws:secretsmanager:eu-west-1:210987654321:secret:card"} {
		if got := call(t, store, "GetSecretValue", `{"SecretId":"`+id+`"}`); got["SecretString"] != "by its ARN" || got["ARN"] != arn || got["Name"] != "card" {
			t.Errorf("%s is %v", id, got)
		}
	}
	const recreated = "arn:aws:secretsmanager:eu-west-1:210987654321:secret:card-xxxxxx"
	provide(t, store, map[string]string{recreated: "again"})
	refused(t, store, "GetSecretValue", `{"SecretId":"`+arn+`"}`)
	if got := value(t, store, recreated); got != "again" {
		t.Errorf("it is %q", got)
	}
}

func TestAllThatIsWrongWithProvidedSecretsIsSaidAtOnceAndNothingChanges(t *testing.T) {
	store, _ := newStore(t)
	provide(t, store, map[string]string{"card": "one"})
	err := store.Provide(map[string]string{
		"bad name": "hidden-1", "orders/token": "hidden-2", "empty": "",
		"arn:aws:secretsmanager:us-east-1:123456789012:secret:partial":             "hidden-3",
		"arn:aws:secretsmanager:us-east-1:123456789012:secret:orders/token-AbCdEf": "hidden-4",
	})
	want := []string{
		`"arn:aws:secretsmanager:us-east-1:123456789012:secret:partial" is no complete ARN of a secret, with a hyphen and six characters at its end; give that, or the secret's name`,
		`"bad name" is no name of a secret; give 1 to 512 letters, digits and characters of !@.=+_/-`,
		`the value of the secret "empty" has 0 bytes; give it 1 to 65536`,
		`the secret "orders/token" is given as "arn:aws:secretsmanager:us-east-1:123456789012:secret:orders/token-AbCdEf" and as "orders/token"; give it once`,
	}
	if err == nil {
		t.Fatal("there is no error")
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got := names(t, store, `{"SortBy":"name"}`); !slices.Equal(got, []string{"card", "orders/token"}) || value(t, store, "orders/token") != "first" {
		t.Errorf("the secrets are %v now, and orders/token is %q", got, value(t, store, "orders/token"))
	}
}

func TestTheStoreAsksForChangesBeforeEachOperation(t *testing.T) {
	store, _ := newStore(t)
	var asked int
	var next map[string]string
	store.Refresh(func() (map[string]string, bool) {
		asked++
		return next, next != nil
	})
	if got := value(t, store, "orders/token"); got != "first" || asked != 1 {
		t.Errorf("it is %q after %d questions", got, asked)
	}
	next = map[string]string{"orders/token": "changed"}
	if got := value(t, store, "orders/token"); got != "changed" || asked != 2 {
		t.Errorf("it is %q after %d questions", got, asked)
	}
	next = map[string]string{"a b": "hidden"}
	if got := refused(t, store, "GetSecretValue", `{"SecretId":"orders/token"}`); got.Code != "InternalServiceError" || got.StatusCode() != 500 || strings.Contains(got.Error(), "hidden") {
		t.Errorf("with values that cannot be got %v", got)
	}
}

func TestSecretsAreListedPageByPage(t *testing.T) {
	store, clock := newStore(t)
	var want []string
	for i := range 250 {
		clock.now = clock.now.Add(time.Second)
		name := fmt.Sprintf("n%03d", (i*7)%250)
		create(t, store, secretsmanager.Secret{Name: name, String: "hidden"})
		want = append(want, name)
	}
	want = append([]string{"orders/token"}, want...)
	for _, size := range []int{0, 1, 99, 100} {
		parameters := ""
		if size > 0 {
			parameters = fmt.Sprintf(`"MaxResults":%d,`, size)
		} else {
			size = 100
		}
		var got []string
		token := "null"
		for pages := 1; ; pages++ {
			input := `{` + parameters + `"NextToken":` + token + `}`
			page := names(t, store, input)
			if len(page) > size || pages > 251 {
				t.Fatalf("page %d has %d secrets", pages, len(page))
			}
			got = append(got, page...)
			next, more := call(t, store, "ListSecrets", input)["NextToken"].(string)
			if !more {
				break
			}
			token = fmt.Sprintf("%q", next)
		}
		if !slices.Equal(got, want) {
			t.Errorf("with pages of %d the secrets are %d, %v", size, len(got), got)
		}
	}
	listed := call(t, store, "ListSecrets", `{"MaxResults":1}`)["SecretList"].([]any)[0].(map[string]any)
	if keys := slices.Sorted(maps.Keys(listed)); !slices.Equal(keys, []string{"ARN", "CreatedDate", "LastChangedDate", "Name", "SecretVersionsToStages"}) {
		t.Errorf("of a secret it tells %v", keys)
	}
}

func TestSecretsAreSorted(t *testing.T) {
	store, clock := newStore(t)
	for _, name := range []string{"b", "a", "c"} {
		create(t, store, secretsmanager.Secret{Name: name, String: "1"})
	}
	clock.now = start.Add(24 * time.Hour)
	call(t, store, "GetSecretValue", `{"SecretId":"b"}`)
	call(t, store, "PutSecretValue", `{"SecretId":"a","ClientRequestToken":"`+token("2")+`","SecretString":"2"}`)
	for input, want := range map[string]string{
		`{}`:                                           "orders/token b a c",
		`{"SortOrder":"asc"}`:                          "orders/token b a c",
		`{"SortOrder":"desc"}`:                         "c a b orders/token",
		`{"SortBy":"name","SortOrder":"desc"}`:         "orders/token c b a",
		`{"SortBy":"last-changed-date"}`:               "orders/token b c a",
		`{"SortBy":"last-accessed-date"}`:              "orders/token a c b",
		`{"SortBy":"created-date","SortOrder":"asc"}`:  "orders/token b a c",
		`{"IncludePlannedDeletion":true,"Filters":[]}`: "orders/token b a c",
	} {
		if got := strings.Join(names(t, store, input), " "); got != want {
			t.Errorf("%s lists %s, want %s", input, got, want)
		}
	}
}

// The names and descriptions are those of which LocalStack has recorded what the service finds.
func TestFiltersFindWhatTheServiceFinds(t *testing.T) {
	store := secretsmanager.New(secretsmanager.Config{})
	for i, s := range []secretsmanager.Secret{
		{Name: "testing1/one", Description: "a secret", Tags: map[string]string{"team": "shop"}},
		{Name: "/testing2/two", Description: "an secret", Tags: map[string]string{"Team": "Shop", "cost": "7"}},
		{Name: "testing3/three", Description: "asecret"},
		{Name: "/testing4/four", Description: "thesecret"},
	} {
		s.String = fmt.Sprint("hidden", i)
		create(t, store, s)
	}
	create(t, store, secretsmanager.Secret{Name: "undescribed"})
	for filters, want := range map[string]string{
		`{"Key":"name","Values":["/"]}`:                                                "/testing2/two /testing4/four",
		`{"Key":"name","Values":["!/"]}`:                                               "testing1/one testing3/three undescribed",
		`{"Key":"name","Values":["Testing"]}`:                                          "",
		`{"Key":"name","Values":["one"]}`:                                              "",
		`{"Key":"name","Values":["testing1 one"]}`:                                     "",
		`{"Key":"name","Values":["testing1","/testing4"]}`:                             "testing1/one /testing4/four",
		`{"Key":"description","Values":["a"]}`:                                         "testing1/one /testing2/two testing3/three",
		`{"Key":"description","Values":["!a"]}`:                                        "/testing4/four",
		`{"Key":"description","Values":["!c"]}`:                                        "testing1/one /testing2/two testing3/three /testing4/four",
		`{"Key":"description","Values":["A Secret"]}`:                                  "testing1/one /testing2/two",
		`{"Key":"description","Values":["a"]},{"Key":"name","Values":["secret"]}`:      "",
		`{"Key":"description","Values":["a"]},{"Key":"name","Values":["/"]}`:           "/testing2/two",
		`{"Key":"tag-key","Values":["team"]}`:                                          "testing1/one",
		`{"Key":"tag-key","Values":["te","co"]}`:                                       "testing1/one /testing2/two",
		`{"Key":"tag-value","Values":["Sh"]}`:                                          "/testing2/two",
		`{"Key":"tag-key","Values":["cost"]},{"Key":"tag-value","Values":["unheard"]}`: "",
	} {
		if got := strings.Join(names(t, store, `{"Filters":[`+filters+`]}`), " "); got != want {
			t.Errorf("%s finds %q, want %q", filters, got, want)
		}
	}
}

func TestARefusalIsThatOfTheService(t *testing.T) {
	store, _ := newStore(t)
	const (
		invalid  = "ValidationException: 1 validation error detected: Value"
		badName  = "ValidationException: Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!"
		notFound = "ResourceNotFoundException: Secrets Manager can't find the specified secret."
	)
	tooLong := strings.Repeat("h", 65537)
	for _, c := range []struct{ operation, input, want string }{
		{"GetSecretValue", `{}`, invalid + " null at 'secretId' failed to satisfy constraint: Member must not be null"},
		{"GetSecretValue", `{"SecretId":null}`, invalid + " null at 'secretId' failed to satisfy constraint: Member must not be null"},
		{"GetSecretValue", `{"SecretId":""}`, invalid + " '' at 'secretId' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"GetSecretValue", `{"SecretId":"` + strings.Repeat("n", 2049) + `"}`,
			invalid + " '" + strings.Repeat("n", 2049) + "' at 'secretId' failed to satisfy constraint: Member must have length less than or equal to 2048"},
		{"GetSecretValue", `{"SecretId":"Inv Name"}`, badName},
		{"GetSecretValue", `{"SecretId":" Inv *?!]Name\\-"}`, badName},
		{"GetSecretValue", `{"SecretId":"arn:aws:secretsmanager:us-east-1:1:orders/token"}`, badName},
		{"DescribeSecret", `{"SecretId":" Inv Name"}`, badName},
		{"DescribeSecret", `{}`, invalid + " null at 'secretId' failed to satisfy constraint: Member must not be null"},
		{"PutSecretValue", `{"SecretId":" Inv*Name? ","SecretString":"hidden","ClientRequestToken":"` + token("t") + `"}`, badName},
		{"GetSecretValue", `{"SecretId":"orders/token","VersionStage":"AWSPREVIOUS"}`,
			"ResourceNotFoundException: Secrets Manager can't find the specified secret value for staging label: AWSPREVIOUS"},
		{"GetSecretValue", `{"SecretId":"orders/token","VersionId":"` + token("x") + `"}`,
			"ResourceNotFoundException: Secrets Manager can't find the specified secret value for VersionId: " + token("x")},
		{"GetSecretValue", `{"SecretId":"orders/token","VersionId":"` + token("x") + `","VersionStage":"AWSCURRENT"}`,
			"ResourceNotFoundException: Secrets Manager can't find the specified secret value for VersionId: " + token("x")},
		{"GetSecretValue", `{"SecretId":"orders/token","VersionId":"short"}`, invalid + " 'short' at 'versionId' failed to satisfy constraint: Member must have length greater than or equal to 32"},
		{"GetSecretValue", `{"SecretId":"orders/token","VersionStage":""}`, invalid + " '' at 'versionStage' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		// The token is looked for before the secret.
		{"PutSecretValue", `{"SecretId":"absent","SecretString":"hidden"}`, "InvalidRequestException: You must provide a ClientRequestToken value. We recommend a UUID-type value."},
		{"PutSecretValue", `{"SecretId":"absent","SecretString":"hidden","ClientRequestToken":"` + token("t") + `"}`, notFound},
		{"PutSecretValue", `{"SecretId":"orders/token","SecretString":"hidden","ClientRequestToken":"short"}`, "InvalidParameterException: ClientRequestToken must be 32-64 characters long."},
		{"PutSecretValue", `{"SecretId":"orders/token","ClientRequestToken":"` + token("t") + `"}`, "InvalidRequestException: You must provide either SecretString or SecretBinary."},
		{"PutSecretValue", `{"SecretId":"orders/token","SecretString":"hidden","SecretBinary":"aGlkZGVu","ClientRequestToken":"` + token("t") + `"}`,
			"InvalidParameterException: You can't specify both a binary secret value and a string secret value in the same secret."},
		{"PutSecretValue", `{"SecretId":"orders/token","SecretString":"","ClientRequestToken":"` + token("t") + `"}`, invalid + " at 'secretString' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"PutSecretValue", `{"SecretId":"orders/token","SecretString":"` + tooLong + `","ClientRequestToken":"` + token("t") + `"}`,
			invalid + " at 'secretString' failed to satisfy constraint: Member must have length less than or equal to 65536"},
		{"PutSecretValue", `{"SecretId":"orders/token","SecretBinary":"","ClientRequestToken":"` + token("t") + `"}`, invalid + " at 'secretBinary' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"PutSecretValue", `{"SecretId":"orders/token","SecretString":"hidden","VersionStages":[],"ClientRequestToken":"` + token("t") + `"}`,
			invalid + " at 'versionStages' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"PutSecretValue", `{"SecretId":"orders/token","SecretString":"hidden","VersionStages":["a",""],"ClientRequestToken":"` + token("t") + `"}`,
			invalid + " '' at 'versionStages.2.member' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"ListSecrets", `{"MaxResults":0}`, invalid + " '0' at 'maxResults' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{"ListSecrets", `{"MaxResults":101}`, invalid + " '101' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 100"},
		{"ListSecrets", `{"NextToken":"?"}`, "InvalidNextTokenException: Invalid NextToken."},
		{"ListSecrets", `{"NextToken":"LTE="}`, "InvalidNextTokenException: Invalid NextToken."},
		{"ListSecrets", `{"SortOrder":"up"}`, invalid + " 'up' at 'sortOrder' failed to satisfy constraint: Member must satisfy enum value set: [asc, desc]"},
		{"ListSecrets", `{"SortBy":"size"}`, invalid + " 'size' at 'sortBy' failed to satisfy constraint: Member must satisfy enum value set: [created-date, last-accessed-date, last-changed-date, name]"},
		{"ListSecrets", `{"Filters":[{"Values":["a"]}]}`, "InvalidParameterException: Invalid filter key"},
		{"ListSecrets", `{"Filters":[{"Key":"name"}]}`, "InvalidParameterException: Invalid filter values for key: name"},
		{"ListSecrets", `{"Filters":[{"Key":"name","Values":["a"]},{"Key":"size","Values":["a"]}]}`,
			invalid + " 'size' at 'filters.2.member.key' failed to satisfy constraint: Member must satisfy enum value set: [all, description, name, owning-service, primary-region, tag-key, tag-value]"},
		{"ListSecrets", `{"Filters":[{"Key":"all","Values":["a"]}]}`, "ValidationException: The local Secrets Manager does not support the filter key all"},
		{"PutSecretValue", `{"SecretId":"orders/token","SecretString":"hidden","RotationToken":"hidden"}`, "ValidationException: The local Secrets Manager does not support the parameter RotationToken here"},
		{"GetSecretValue", `{"secretId":"orders/token"}`, "ValidationException: The local Secrets Manager does not support the parameter secretId here"},
		{"PutSecretValue", `{"SecretId":"orders/token","SecretString":12345}`, "SerializationException: The parameter SecretString has the wrong type"},
		{"PutSecretValue", `{"SecretId":"orders/token","SecretBinary":"hidden!"}`, "SerializationException: The request is not what the operation takes, as JSON"},
		{"PutSecretValue", `{"SecretId":"orders/token","SecretString":"hidden\x"}`, "SerializationException: The request is not what the operation takes, as JSON"},
		{"GetSecretValue", `[]`, "SerializationException: The request is not what the operation takes, as JSON"},
		{"CreateSecret", `{"Name":"mine","SecretString":"hidden"}`, "UnknownOperationException: The local Secrets Manager does not support the operation CreateSecret"},
	} {
		got := refused(t, store, c.operation, c.input)
		if got.Error() != c.want || got.StatusCode() != 400 {
			t.Errorf("%s %.200s: got %d %.300s, want 400 %s", c.operation, c.input, got.StatusCode(), got, c.want)
		}
		if strings.Contains(got.Error(), "hidden") || strings.Contains(got.Error(), "12345") || strings.Contains(got.Error(), "hhh") {
			t.Errorf("%s: the error holds the value: %.300s", c.operation, got)
		}
	}
	if got := value(t, store, "orders/token"); got != "first" {
		t.Errorf("what was refused has changed the secret to %q", got)
	}
}
