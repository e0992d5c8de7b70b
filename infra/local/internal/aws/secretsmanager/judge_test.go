package secretsmanager_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/secretsmanager"
)

// motoStartTimeout is how long moto_server has to answer for the first time.
const motoStartTimeout = 60 * time.Second

// A moto is the Secrets Manager of moto, an independent implementation in Python that judges this one.
type moto struct{ url string }

// startMoto runs moto_server until the test ends, or skips the test where it is not installed.
func startMoto(t *testing.T) *moto {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: moto_server is not asked")
	}
	path, err := exec.LookPath("moto_server")
	if err != nil {
		t.Skip("moto_server is not installed (pip install 'moto[server]'), so there is no judge to compare with")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	listener.Close()
	// The shell ends the server when its input ends, so that nothing is left behind even if this process is killed.
	process := exec.Command("sh", "-c", `"$@" & read -r _; kill $!`, "sh", path, "-H", "127.0.0.1", "-p", port)
	lifeline, err := process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = lifeline.Close()
		_ = process.Wait()
	})
	m := &moto{url: "http://" + address + "/"}
	ctx, cancel := context.WithTimeout(t.Context(), motoStartTimeout)
	defer cancel()
	for {
		if _, err := m.send(ctx, "ListSecrets", `{}`); err == nil {
			return m
		} else if ctx.Err() != nil {
			t.Fatalf("moto_server does not answer: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (m *moto) send(ctx context.Context, operation, input string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url, strings.NewReader(input))
	if err != nil {
		return nil, err
	}
	request.Header.Set("X-Amz-Target", secretsmanager.TargetPrefix+operation)
	request.Header.Set("Content-Type", "application/x-amz-json-1.1")
	// Moto finds the service by the scope in the signature, and verifies nothing else in it.
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=local/20231114/us-east-1/secretsmanager/aws4_request, SignedHeaders=host, Signature=0")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return io.ReadAll(response.Body)
}

// A judge runs operations in moto and in a store of its own, and compares what they come to.
type judge struct {
	t        *testing.T
	moto     *moto
	store    *secretsmanager.Store
	compared int
	faults   map[string]bool // by reason, whether moto differed at least once
	differed int
}

func newJudge(t *testing.T) *judge {
	t.Helper()
	return &judge{t: t, moto: startMoto(t), store: secretsmanager.New(secretsmanager.Config{AccountID: "123456789012"}), faults: map[string]bool{}}
}

// create makes a secret without a value in both.
func (j *judge) create(secret secretsmanager.Secret) {
	j.t.Helper()
	create(j.t, j.store, secret)
	tags := []map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(secret.Tags)) {
		tags = append(tags, map[string]string{"Key": key, "Value": secret.Tags[key]})
	}
	input, err := json.Marshal(map[string]any{"Name": secret.Name, "Description": secret.Description, "Tags": tags, "ClientRequestToken": token("c")})
	if err != nil {
		j.t.Fatal(err)
	}
	if answer, err := j.moto.send(j.t.Context(), "CreateSecret", string(input)); err != nil || strings.Contains(string(answer), "__type") {
		j.t.Fatalf("create %s in moto: %s %v", secret.Name, answer, err)
	}
}

// theirARN is the ARN that moto has made for a secret.
func (j *judge) theirARN(name string) string {
	j.t.Helper()
	answer, err := j.moto.send(j.t.Context(), "DescribeSecret", fmt.Sprintf(`{"SecretId":%q}`, name))
	var described struct{ ARN string }
	if err != nil || json.Unmarshal(answer, &described) != nil || described.ARN == "" {
		j.t.Fatalf("describe %s in moto: %s %v", name, answer, err)
	}
	return described.ARN
}

// compare runs an operation whose outcome has to be the same in both. A fault is the reason why it may not be, where moto
// is wrong; it has to show at least once in a test, so that the list of faults stays true.
func (j *judge) compare(fault, operation, input string) {
	j.t.Helper()
	body, err := j.moto.send(j.t.Context(), operation, input)
	if err != nil {
		j.t.Fatal(err)
	}
	j.judge(fault, operation, input, input, body)
}

// judge compares what moto says to one input with what the store says to another.
func (j *judge) judge(fault, operation, theirInput, ourInput string, theirs []byte) {
	j.t.Helper()
	ours, err := j.store.Call(j.t.Context(), operation, json.RawMessage(ourInput))
	if err != nil {
		if ours, err = json.Marshal(err); err != nil {
			j.t.Fatal(err)
		}
	}
	different := cmp.Diff(comparable(j.t, theirs), comparable(j.t, ours))
	j.compared++
	switch {
	case fault != "":
		j.faults[fault] = j.faults[fault] || different != ""
		if different != "" {
			j.differed++
		}
	case different != "":
		j.t.Errorf("%s %s: -moto +store\n%s", operation, theirInput, different)
	}
}

// ending is the end of an ARN, which each implementation makes up for itself.
var ending = regexp.MustCompile(`(:secret:[A-Za-z0-9/_+=.@!-]+)-[A-Za-z]{6}`)

// comparable is an answer in a form in which two can be compared.
func comparable(t *testing.T, body []byte) any {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal(ending.ReplaceAll(body, []byte("$1-......")), &fields); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	if kind, failed := fields["__type"].(string); failed {
		message, _ := fields["message"].(string)
		if message == "" {
			message, _ = fields["Message"].(string)
		}
		return kind + ": " + message
	}
	normalise(fields)
	if list, ok := fields["SecretList"].([]any); ok {
		for _, listed := range list {
			normalise(listed.(map[string]any))
			delete(listed.(map[string]any), "VersionIdsToStages") // moto has both names in both answers
		}
		delete(fields, "NextToken")
	} else {
		delete(fields, "SecretVersionsToStages")
	}
	return fields
}

func normalise(fields map[string]any) {
	for name, value := range fields {
		switch {
		case value == nil:
			delete(fields, name)
		case strings.HasSuffix(name, "Date"):
			fields[name] = "a date"
		}
	}
	delete(fields, "LastAccessedDate") // moto does not note it
	if labels, ok := fields["VersionStages"].([]any); ok {
		if fields["VersionStages"] = sorted(labels); len(labels) == 0 { // which the model of the API rules out
			delete(fields, "VersionStages")
		}
	}
	for _, name := range []string{"VersionIdsToStages", "SecretVersionsToStages"} {
		stages, _ := fields[name].(map[string]any)
		for id, labels := range stages {
			// Moto tells of versions that have no label.
			if stages[id] = sorted(labels.([]any)); len(labels.([]any)) == 0 {
				delete(stages, id)
			}
		}
	}
}

// sorted puts labels in order, in which moto leaves them as they came.
func sorted(labels []any) []any {
	slices.SortFunc(labels, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return labels
}

// report says how much was compared, and refuses faults that moto does not have.
func (j *judge) report(what string) {
	j.t.Helper()
	for fault, shown := range j.faults {
		if !shown {
			j.t.Errorf("moto agrees wherever it is said that %s", fault)
		}
	}
	j.t.Logf("%s: %d operations compared with moto, which agrees on %d, and is wrong about %d for one of %d listed reasons",
		what, j.compared, j.compared-j.differed, j.differed, len(j.faults))
}

func TestSecretsAgreeWithTheJudge(t *testing.T) {
	t.Parallel()
	j := newJudge(t)
	for _, secret := range []secretsmanager.Secret{
		{Name: "orders/token", Description: "For orders", Tags: map[string]string{"team": "shop", "cost": "7"}},
		{Name: "Valid/_+=.@-Name", Description: "a secret"}, {Name: "/first", Description: "asecret"}, {Name: "orders-secret"}, {Name: "never"},
	} {
		j.create(secret)
	}
	const (
		allLabels = "the version that was current keeps none of its other labels, which the documentation does not say"
		noName    = "a name that cannot be is just one that is not there; LocalStack has recorded what the service says"
		noToken   = "a token is made up where a request has none; LocalStack has recorded that the service refuses it"
		noStage   = "the error for a label that is not there is that for a secret; LocalStack has recorded the other"
		sixOdd    = "a partial ARN may end in a hyphen and six letters; LocalStack has recorded that it finds nothing"
		twoValues = "a secret can have a string and a binary value; the service refuses it: github.com/aws/aws-sdk-java/issues/1556"
		limits    = "lengths and numbers are not checked, for which the model of the API has limits"
	)
	at := func(name, more string) string { return fmt.Sprintf(`{"SecretId":%q%s}`, name, more) }
	put := func(name, character, value, more string) string {
		return fmt.Sprintf(`{"SecretId":%q,"ClientRequestToken":%q,%s%s}`, name, token(character), value, more)
	}
	for _, c := range []struct{ fault, operation, input string }{
		{"", "DescribeSecret", at("orders/token", "")},
		{"", "GetSecretValue", at("orders/token", "")}, // no version yet
		{"", "GetSecretValue", at("orders/token", `,"VersionId":"`+token("x")+`"`)},
		{"", "PutSecretValue", put("orders/token", "1", `"SecretString":"one"`, "")},
		{"", "GetSecretValue", at("orders/token", "")},
		{"", "PutSecretValue", put("orders/token", "2", `"SecretString":"{\"a\": 1}"`, "")},
		{"", "DescribeSecret", at("orders/token", "")},
		{"", "PutSecretValue", put("orders/token", "3", `"SecretBinary":"AAH/"`, "")},
		{"", "GetSecretValue", at("orders/token", "")},
		{"", "GetSecretValue", at("orders/token", `,"VersionStage":"AWSPREVIOUS"`)},
		{"", "GetSecretValue", at("orders/token", `,"VersionId":"`+token("2")+`"`)},
		{"", "GetSecretValue", at("orders/token", `,"VersionId":"`+token("2")+`","VersionStage":"AWSPREVIOUS"`)},
		{"", "GetSecretValue", at("orders/token", `,"VersionId":"`+token("2")+`","VersionStage":"AWSCURRENT"`)},
		{"", "GetSecretValue", at("orders/token", `,"VersionId":"`+token("9")+`"`)},
		{"", "GetSecretValue", at("orders/token", `,"VersionId":"`+token("9")+`","VersionStage":"AWSCURRENT"`)},
		{"", "PutSecretValue", put("orders/token", "3", `"SecretBinary":"AAH/"`, "")}, // again
		{"", "PutSecretValue", put("orders/token", "2", `"SecretString":"{\"a\": 1}"`, "")},
		{"", "PutSecretValue", put("orders/token", "2", `"SecretString":"other"`, "")},
		{"", "PutSecretValue", put("orders/token", "3", `"SecretString":"AAH/"`, "")},
		{"", "PutSecretValue", put("orders/token", "4", `"SecretString":"four"`, `,"VersionStages":["AWSPENDING"]`)},
		{"", "GetSecretValue", at("orders/token", `,"VersionStage":"AWSPENDING"`)},
		{"", "PutSecretValue", put("orders/token", "5", `"SecretString":"five"`, `,"VersionStages":["AWSPENDING","b","a"]`)},
		{"", "PutSecretValue", put("orders/token", "6", `"SecretString":"six"`, `,"VersionStages":["b"]`)},
		{"", "DescribeSecret", at("orders/token", "")},
		{"", "PutSecretValue", at("orders/token", `,"SecretString":"x","ClientRequestToken":"short"`)},
		{"", "PutSecretValue", put("orders/token", "7", `"SecretString":null`, "")},
		{"", "PutSecretValue", put("absent", "7", `"SecretString":"x"`, "")},
		{"", "GetSecretValue", at("absent", "")},
		{"", "DescribeSecret", at("absent", "")},
		{"", "DescribeSecret", at("orders/Token", "")},
		{"", "DescribeSecret", at("Valid/_+=.@-Name", "")},
		{"", "DescribeSecret", at("arn:aws:secretsmanager:us-east-1:123456789012:secret:never", "")},
		{"", "DescribeSecret", at("arn:aws:secretsmanager:us-east-1:123456789012:secret:Valid/_+=.@-Name", "")},
		{"", "DescribeSecret", at("arn:aws:secretsmanager:us-east-1:123456789012:secret:absent", "")},
		{"", "DescribeSecret", at("arn:aws:secretsmanager:us-east-1:123456789012:secret:orders/token-AbCdEf", "")},
		{"", "ListSecrets", `{}`},
		{"", "ListSecrets", `{"Filters":[{"Key":"name","Values":["orders"]}]}`},
		{"", "ListSecrets", `{"Filters":[{"Key":"name","Values":["!orders"]}]}`},
		{"", "ListSecrets", `{"Filters":[{"Key":"name","Values":["/","V"]}]}`},
		{"", "ListSecrets", `{"Filters":[{"Key":"description","Values":["A"]}]}`},
		{"", "ListSecrets", `{"Filters":[{"Key":"description","Values":["!a"]}]}`},
		{"", "ListSecrets", `{"Filters":[{"Key":"tag-key","Values":["te"]}]}`},
		{"", "ListSecrets", `{"Filters":[{"Key":"tag-key","Values":["!te"]}]}`},
		{"", "ListSecrets", `{"Filters":[{"Key":"tag-value","Values":["7"]},{"Key":"name","Values":["orders"]}]}`},
		{"", "ListSecrets", `{"Filters":[{"Key":"tag-value","Values":["8"]}]}`},
		{"", "ListSecrets", `{"Filters":[{"Values":["8"]}]}`},
		{"", "ListSecrets", `{"Filters":[{"Key":"name"}]}`},
		{"", "PutSecretValue", put("never", "1", `"SecretString":"x"`, `,"VersionStages":["mine"]`)},
		{"", "GetSecretValue", at("never", "")},

		{allLabels, "PutSecretValue", put("never", "2", `"SecretString":"y"`, "")},
		{allLabels, "DescribeSecret", at("never", "")},
		{noStage, "GetSecretValue", at("orders/token", `,"VersionStage":"nowhere"`)},
		{noName, "GetSecretValue", at("Inv Name", "")},
		{noName, "DescribeSecret", at(" Inv*Name? ", "")},
		{sixOdd, "DescribeSecret", at("arn:aws:secretsmanager:us-east-1:123456789012:secret:orders-secret", "")},
		{limits, "ListSecrets", `{"MaxResults":101}`},
		{limits, "GetSecretValue", at("never", `,"VersionId":"short"`)},
		{noToken, "PutSecretValue", at("/first", `,"SecretString":"y"`)},
		{twoValues, "PutSecretValue", put("/first", "7", `"SecretString":"x","SecretBinary":"eA=="`, "")},
	} {
		j.compare(c.fault, c.operation, c.input)
	}
	for _, name := range []string{"orders/token", "Valid/_+=.@-Name", "orders-secret"} {
		theirs, ours := fmt.Sprintf(`{"SecretId":%q}`, j.theirARN(name)), fmt.Sprintf(`{"SecretId":%q}`, secretsmanager.ARN("us-east-1", "123456789012", name))
		for _, operation := range []string{"DescribeSecret", "GetSecretValue"} {
			body, err := j.moto.send(t.Context(), operation, theirs)
			if err != nil {
				t.Fatal(err)
			}
			j.judge("", operation, theirs, ours, body)
		}
	}
	j.report("secrets")
}

// Whatever the order in which values are put, read and repeated, the labels are where the judge has them.
func TestRandomPutsAgreeWithTheJudge(t *testing.T) {
	t.Parallel()
	j := newJudge(t)
	random := rand.New(rand.NewPCG(11, 7))
	for secret := range 4 {
		name := fmt.Sprint("secret-", secret)
		j.create(secretsmanager.Secret{Name: name})
		j.compare("", "PutSecretValue", fmt.Sprintf(`{"SecretId":%q,"ClientRequestToken":%q,"SecretString":"0"}`, name, token("0")))
		for range 100 {
			id := token(string("0123456789abcdefghijklmnopqrstuvwxyz"[random.IntN(36)]))
			switch random.IntN(5) {
			case 0:
				j.compare("", "GetSecretValue", fmt.Sprintf(`{"SecretId":%q,"VersionId":%q}`, name, id))
			case 1:
				j.compare("", "DescribeSecret", fmt.Sprintf(`{"SecretId":%q}`, name))
			case 2:
				j.compare("", "GetSecretValue", fmt.Sprintf(`{"SecretId":%q,"VersionId":%q,"VersionStage":%q}`, name, id, []string{"AWSCURRENT", "AWSPREVIOUS", "a"}[random.IntN(3)]))
			default:
				labels := []string{"", `,"VersionStages":["AWSCURRENT"]`, `,"VersionStages":["a"]`, `,"VersionStages":["b","a"]`}[random.IntN(4)]
				j.compare("", "PutSecretValue", fmt.Sprintf(`{"SecretId":%q,"ClientRequestToken":%q,"SecretString":"%d"%s}`, name, id, random.IntN(2), labels))
			}
		}
	}
	j.report("random puts")
}
