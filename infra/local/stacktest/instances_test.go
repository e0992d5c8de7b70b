package stacktest_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/stacktest"
)

// shop is the cloud assembly of a stack with three RetryingApiProxy, of which Orders and Payments share a table, and with a
// topic, a bucket, an alarm, a stream and functions in Go and in Python beside them.
var shop = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(directory, "shop")
	command := exec.Command("go", "run", "../internal/stack/testdata/shop", architecture(runtime.GOARCH))
	command.Env = append(os.Environ(), "CDK_OUTDIR="+dir, "CDK_VALIDATION=false", `CDK_CONTEXT_JSON={"@aws-cdk/core:validateAgainstDefaultRules":false}`)
	if output, err := command.CombinedOutput(); err != nil || !bytes.Contains(output, []byte("done")) {
		return "", fmt.Errorf("the app of the shop: %w\n%s", err, output)
	}
	return dir, nil
})

// loadShop runs the shop with an instance chosen.
func loadShop(t testing.TB, options ...stacktest.Option) *stacktest.Bench {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: the CDK app is not run")
	}
	dir, err := shop()
	if err != nil {
		t.Fatal(err)
	}
	return stacktest.Load(t, dir, options...)
}

func TestWhatABenchIsToRunOfALargerStackIsAskedFor(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: the CDK app is not run")
	}
	loading := func(options ...stacktest.Option) func(testing.TB) {
		return func(t testing.TB) { loadShop(t, options...) }
	}
	fails(t, loading(stacktest.Instance("Orders"), stacktest.Skip("Bucket")), `AWS::Kinesis::Stream`, `stacktest.Skip("Stream`)
	fails(t, loading(stacktest.Skip("Bucket", "AWS::Kinesis::Stream")), "Eu/Search, Orders, Payments", `stacktest.Instance("Eu/Search")`)
	fails(t, loading(stacktest.Skip("Bucket"), stacktest.Skip("AWS::Kinesis::Stream", "Baskets")), "Baskets is to be skipped")
	fails(t, loading(stacktest.Instance("Invoices"), stacktest.Skip("Bucket", "AWS::Kinesis::*")), `"Invoices" does not name one`, "Orders, Payments")
	fails(t, func(t testing.TB) {
		bench := loadShop(t, stacktest.Instance("Orders"), stacktest.Skip("Bucket", "AWS::Kinesis::*"))
		bench.Run(stacktest.Get("/").To("Invoices"))
	}, `GET /: stack: "Invoices" does not name one`)
	fails(t, func(t testing.TB) {
		loadShop(t, stacktest.Instance("Orders"), stacktest.Skip("Bucket", "AWS::Kinesis::*")).URLOf("Report") // in Python
	}, `"Report" does not name one`, "Echo, Eu/Search, Orders, Payments")
}

func TestABenchRunsAllInstancesOfAStack(t *testing.T) {
	t.Parallel()
	bench := loadShop(t, stacktest.Instance("Orders"), stacktest.Skip("Bucket", "AWS::Kinesis::*"),
		policy(`{`+exact+`}`), stacktest.ClockAhead("proxy-2", time.Second))
	bench.Upstream(
		stacktest.Answer(429, "Retry-After", "20"), stacktest.Answer(200).Body("an order"),
		stacktest.Answer(200).Body("a payment"),
	)
	request := stacktest.Post("/", "tea").IdempotencyKey("seven")
	for _, c := range []struct {
		name, to, body, attempts string
		replayed                 bool
	}{
		{"the chosen one", "", "an order", "proxy-1 proxy-2", false},
		{"Payments", "Payments", "a payment", "proxy-1", false},
		{"the chosen one again", "Orders", "an order", "", true},
		{"Payments again", "Payments", "a payment", "", true},
	} {
		run := bench.Run(request.To(c.to))
		var made []string
		for _, attempt := range run.Attempts {
			made = append(made, attempt.Proxy)
		}
		if run.StatusCode != 200 || run.Body != c.body || strings.Join(made, " ") != c.attempts || (run.Header.Get("Idempotent-Replayed") != "") != c.replayed {
			t.Errorf("%s: the answer is %v, by attempts of %v; want %q by %s, replayed %v", c.name, run, made, c.body, c.attempts, c.replayed)
		}
	}
	if bench.URL() != bench.URLOf("Orders") || bench.URL() == bench.URLOf("Payments") {
		t.Errorf("the URLs are %s, Orders %s, Payments %s", bench.URL(), bench.URLOf("Orders"), bench.URLOf("Payments"))
	}
	answer, err := http.Get(bench.URLOf("Echo") + "/shelves")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, err := io.ReadAll(answer.Body); err != nil || !strings.HasPrefix(string(body), "GET /shelves of ") {
		t.Errorf("the function Echo answers %s, %v", body, err)
	}
}
