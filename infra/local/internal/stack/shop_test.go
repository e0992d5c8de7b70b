package stack_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/assembly"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// shop is the cloud assembly of testdata/shop: a stack with three RetryingApiProxy, and what stands around them.
var shop = sync.OnceValues(func() (string, error) {
	architecture := "x86_64"
	if runtime.GOARCH == "arm64" {
		architecture = "arm64"
	}
	dir := filepath.Join(directory, "shop")
	command := exec.Command("go", "run", "./testdata/shop", architecture)
	command.Env = append(os.Environ(), "CDK_OUTDIR="+dir, "CDK_VALIDATION=false", `CDK_CONTEXT_JSON={"@aws-cdk/core:validateAgainstDefaultRules":false}`)
	if output, err := command.CombinedOutput(); err != nil || !bytes.Contains(output, []byte("done")) {
		return "", fmt.Errorf("go run ./testdata/shop: %w\n%s", err, output)
	}
	return dir, nil
})

// startShop runs the shop in front of an upstream, until the test ends. Empty leaves the upstreams of the template.
func startShop(t *testing.T, upstream string, selected stack.Selection, settings ...setting) (*stack.Stack, error) {
	t.Helper()
	withCDK(t)
	dir, err := shop()
	if err != nil {
		t.Fatal(err)
	}
	c := config{Config: stack.Config{Listener: listen(t), Upstream: upstream, Speed: speed}}
	t.Cleanup(func() { c.Listener.Close() })
	for _, set := range append([]setting{environment("gateway", "RING_START", "1")}, settings...) {
		set(t, &c)
	}
	if err := c.Load(dir, selected); err != nil {
		return nil, err
	}
	t.Cleanup(c.Close)
	if c.Binaries, err = assembly.NativeBinaries(context.Background(), c.Template); err != nil {
		t.Fatal(err)
	}
	s, err := stack.Start(c.Config)
	if err == nil {
		t.Cleanup(s.Close)
	}
	return s, err
}

// notKnown is what the shop has that cannot be run here.
var notKnown = []string{"Bucket", "AWS::Kinesis::*"}

func TestWhatAStackHasThatIsNotKnownIsNamedWithTheWayToSkipIt(t *testing.T) {
	t.Parallel()
	_, err := startShop(t, "", stack.Selection{Instance: "Orders", Skip: []string{"Bucket"}, SkipBy: "SKIP=%s"})
	if err == nil || !strings.Contains(err.Error(), "has type AWS::Kinesis::Stream, which is not known here; SKIP=Stream") || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("the error is %v, want it to name the stream alone", err)
	}
}

func TestOfSeveralInstancesOneIsToBeChosen(t *testing.T) {
	t.Parallel()
	for instance, want := range map[string]string{
		"":         "the template has 3 function URLs, those of Eu/Search, Orders, Payments; choose the one that is served first, such as by INSTANCE=Eu/Search",
		"Invoices": `"Invoices" does not name one of the function URLs; there are those of Echo, Eu/Search, Orders, Payments`,
		"Order":    "", // as the logical id of the URL begins
		"Eu":       "", // it is the only one below it
		"E":        `"E" does not name one of the function URLs`,
	} {
		_, err := startShop(t, "", stack.Selection{Instance: instance, Skip: notKnown, InstanceBy: "INSTANCE=%s"})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("to choose %q says %v, want %q", instance, err, want)
		}
	}
	_, err := startShop(t, "", stack.Selection{Skip: append([]string{"Orders", "Eu", "AWS::CloudWatch::Alarm", "Report"}, notKnown...)})
	if err != nil {
		t.Errorf("of the one that is left, with what it shares skipped, the error is %v", err)
	}
}

func TestEachInstanceOfAStackAnswersAtItsURL(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	asked := map[string]int{}
	upstream := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked[r.Method+" "+r.URL.Path]++
		fmt.Fprintf(w, "answer %d", asked[r.Method+" "+r.URL.Path])
	})
	s, err := startShop(t, upstream, stack.Selection{Instance: "Payments", Skip: notKnown})
	if err != nil {
		t.Fatal(err)
	}
	if payments, err := s.URLOf("Payments"); err != nil || payments != s.URL() {
		t.Errorf("the chosen one is at %s, and Payments at %s, %v", s.URL(), payments, err)
	}
	if diff := cmp.Diff([]string{"Echo", "Eu/Search", "Orders"}, slices.Sorted(maps.Keys(s.Others()))); diff != "" {
		t.Errorf("the others are not those that there are (-want +got):\n%s", diff)
	}
	orders, err := s.URLOf("Orders")
	if err != nil {
		t.Fatal(err)
	}

	// Orders and Payments share a table, and a key means nothing to the other.
	for _, c := range []struct{ url, want, replayed string }{
		{s.URL(), "answer 1", ""},
		{orders, "answer 2", ""},
		{s.URL(), "answer 1", "true"},
		{orders, "answer 2", "true"},
	} {
		status, body, replayed := post(t, c.url+"/tea", "seven")
		if status != 200 || body != c.want || replayed != c.replayed {
			t.Errorf("POST %s/tea is answered with %d %q, replayed %q; want 200 %q %q", c.url, status, body, replayed, c.want, c.replayed)
		}
	}
	if asked["POST /tea"] != 2 {
		t.Errorf("the upstream was asked for /tea %d times, want once by each", asked["POST /tea"])
	}

	// The names of functions less what tells the instances apart are what settings are by.
	short := map[string]int{}
	for _, f := range s.Template.Functions {
		short[s.ShortName(f.Name)]++
	}
	if short["gateway"] != 3 || short["proxy-1"] != 3 || short["proxy-2"] != 3 {
		t.Errorf("the functions are called %v, want three of gateway, proxy-1 and proxy-2", short)
	}
}

func TestAnUpstreamInTheStackIsCalledByThoseOfWhichItIsTheUpstream(t *testing.T) {
	t.Parallel()
	s, err := startShop(t, "", stack.Selection{Instance: "Eu/Search", Skip: notKnown})
	if err != nil {
		t.Fatal(err)
	}
	if status, body, _ := post(t, s.URL()+"/shelves", "one"); status != 200 ||
		!strings.HasPrefix(body, "POST /shelves of arn:aws:sns:us-east-1:000000000000:Shop-Topic") || !strings.Contains(body, " and shop-bucket") {
		t.Errorf("the answer is %d %q, want what the function Echo says, which is told names of what is left out", status, body)
	}
	echo, err := s.URLOf("Echo")
	if err != nil {
		t.Fatal(err)
	}
	if status, body, _ := post(t, echo+"/direct", "one"); status != 200 || !strings.HasPrefix(body, "POST /direct of ") {
		t.Errorf("Echo itself answers %d %q", status, body)
	}
	needed := map[string][]string{}
	for _, left := range s.Template.LeftOut {
		if left.NeededBy != nil {
			needed[left.Type] = append(needed[left.Type], left.NeededBy...)
		}
	}
	if len(needed["AWS::SNS::Topic"]) != 1 || len(needed["AWS::S3::Bucket"]) != 1 || !strings.HasPrefix(needed["AWS::S3::Bucket"][0], "Echo") {
		t.Errorf("what is left out is needed by %v, want the topic and the bucket by Echo", needed)
	}
}

func TestAsynchronousRequestsOfEachInstanceAreSeen(t *testing.T) {
	t.Parallel()
	upstream := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "done") })
	s, err := startShop(t, upstream, stack.Selection{Instance: "Orders", Skip: notKnown})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Orders", "Payments"} {
		url, err := s.URLOf(name)
		if err != nil {
			t.Fatal(err)
		}
		request, err := http.NewRequest("POST", url+"/"+strings.ToLower(name), strings.NewReader("tea"))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Prefer", "respond-async")
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != 202 {
			t.Errorf("%s answers %d, want 202", name, answer.StatusCode)
		}
	}
	all, err := s.StepFunctions.Executions("", "")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, execution := range all {
		_, path, _ := s.View().Request(execution.Input)
		seen[path] = true
	}
	if !seen["/orders"] || !seen["/payments"] {
		t.Errorf("the requests that are seen are %v, want those of both", seen)
	}
}

func TestListenersOfOtherURLsAreClosedWhereTheStackIsNotStarted(t *testing.T) {
	t.Parallel()
	withCDK(t)
	dir, err := shop()
	if err != nil {
		t.Fatal(err)
	}
	c := stack.Config{Listener: listen(t)}
	defer c.Listener.Close()
	var opened []net.Listener
	listening := func() (net.Listener, error) {
		if len(opened) == 2 {
			return nil, errors.New("no more")
		}
		opened = append(opened, listen(t))
		return opened[len(opened)-1], nil
	}
	if err := c.Load(dir, stack.Selection{Instance: "Orders", Skip: notKnown, Listen: listening}); err == nil || err.Error() != "no more" {
		t.Errorf("the error is %v", err)
	}
	for _, listener := range opened {
		if _, err := listener.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the listener at %s says %v, want it closed", listener.Addr(), err)
		}
	}
}

// post sends a POST with a key and some body.
func post(t *testing.T, url, key string) (status int, body, replayed string) {
	t.Helper()
	request, err := http.NewRequest("POST", url, strings.NewReader("tea"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Idempotency-Key", `"`+key+`"`)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text), answer.Header.Get("Idempotent-Replayed")
}
