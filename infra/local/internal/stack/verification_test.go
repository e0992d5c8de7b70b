package stack_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudformation"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/contract"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// verification is the stack that make verify runs against.
var verification = synthesised("verification", map[string]any{"verification": "true"})

// verificationRunner starts the verification stack: its RetryingApiProxy, and its scripted upstream behind a function URL of its
// own. wrap, if it is not nil, stands before the endpoint.
func verificationRunner(t *testing.T, wrap func(http.Handler) http.Handler) *contract.Runner {
	t.Helper()
	withCDK(t)
	a, err := verification()
	if err != nil {
		t.Fatal(err)
	}
	listener := listen(t)
	template, err := stack.Load(a.directory, listener)
	if err != nil {
		listener.Close()
		t.Fatal(err)
	}
	function, secret := "", ""
	asInAWS := map[string]map[string]string{} // where strangers wait no longer than the template says
	for _, f := range template.Functions {
		if wait, is := f.Environment[message.MaxAnonymousWaitVariable]; is {
			asInAWS[f.Name] = map[string]string{message.MaxAnonymousWaitVariable: wait}
		}
		if path, is := f.Environment["SECRET_PATH"]; is {
			function, secret = f.Name, path
		}
	}
	// The stack serves one URL, the endpoint's.
	template.URLs = slices.DeleteFunc(template.URLs, func(u cloudformation.URL) bool { return u.FunctionName == function })
	upstream := httptest.NewUnstartedServer(nil)
	base := "http://" + upstream.Listener.Addr().String() + "/" + secret
	s, err := stack.Start(stack.Config{
		Template: template, Listener: listener, Binaries: a.binaries, Upstream: base, Speed: speed, Middleware: wrap, Environment: asInAWS,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	upstream.Config.Handler = lambda.FunctionURL(s.Lambda, function, lambda.URLConfig{})
	upstream.Start()
	t.Cleanup(upstream.Close)
	return &contract.Runner{Endpoint: s.URL(), Upstream: contract.NewRemote(base), Speed: speed, Setup: contract.Setup{Anonymous: true}}
}

func TestTheVerificationStackKeepsWhatCanBeAskedOfItInAWS(t *testing.T) {
	t.Parallel()
	runner := verificationRunner(t, nil)
	if err := runner.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	cases, err := contract.Cases()
	if err != nil {
		t.Fatal(err)
	}
	report := runner.Report(t.Context(), cases, 8, nil)
	var text strings.Builder
	_ = report.Write(&text)
	if t.Log(text.String()); report.Failed() > 0 || report.Held() < 140 {
		t.Errorf("%d cases failed, and %d held; want none, and 140 or more", report.Failed(), report.Held())
	}
}

// An endpoint that loses the field by which callers are told a replay, and that makes a secret of the attempts.
func TestTheReportSaysWhatABrokenEndpointDoesWrong(t *testing.T) {
	t.Parallel()
	runner := verificationRunner(t, func(url http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			recorded := httptest.NewRecorder()
			url.ServeHTTP(recorded, r)
			for name, values := range recorded.Header() {
				if name != "Idempotent-Replayed" && name != "Proxy-Status" {
					w.Header()[name] = values
				}
			}
			w.WriteHeader(recorded.Code)
			_, _ = w.Write(recorded.Body.Bytes())
		})
	})
	cases, err := contract.Cases()
	if err != nil {
		t.Fatal(err)
	}
	asked := slices.DeleteFunc(cases, func(c contract.Case) bool {
		return !slices.Contains([]string{
			"A request with a key is carried out once, and then replayed", "A limit that lasts longer than a minute is said at once, and no other proxy tries",
			"A problem is a document that programs can read", "A POST whose connection is reset may have been processed, is not sent again, and is told to be of unknown outcome",
		}, c.Name)
	})
	report := runner.Report(t.Context(), asked, 4, nil)
	var text strings.Builder
	_ = report.Write(&text)
	for _, says := range []string{
		"FAIL  keys/ A request with a key is carried out once, and then replayed (draft-ietf-httpapi-idempotency-key-header)\n",
		"      request 1, sent again: Idempotent-Replayed is not there, want replayed to be true\n",
		`      request 1: the attempts are [], want ["429"]`,
		"   1  it has the upstream break a connection, which a function cannot\n          failures/ A POST whose connection is reset",
		"cases: 1 held, 2 failed, 1 left out, in ",
	} {
		if !strings.Contains(text.String(), says) {
			t.Errorf("the report does not say %q:\n%s", says, &text)
		}
	}
	if report.Stopped {
		t.Error("the report says that somebody stopped it")
	}
}
