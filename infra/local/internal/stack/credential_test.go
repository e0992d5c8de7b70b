package stack_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/attemptlog"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/console"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/faults"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// authenticating is the stack whose upstream asks for a bearer token, the secret orders/token.
var authenticating = synthesised("authenticating", map[string]any{"upstreamauth": "bearer:orders/token"})

// by has the proxies authenticate in another way.
func by(auth, replaces string) setting {
	return func(t testing.TB, c *config) {
		for _, proxy := range []string{"proxy-1", "proxy-2", "proxy-3"} {
			environment(proxy, "UPSTREAM_AUTH", auth)(t, c)
		}
		environment("gateway", "UPSTREAM_AUTH_REPLACES", replaces)(t, c)
	}
}

// A guarded is an upstream that answers requests with the right Authorization, and no others.
type guarded struct {
	mu    sync.Mutex
	wants string
	calls int
}

func (g *guarded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls++
	if r.Header.Get("Authorization") != g.wants {
		w.Header().Set("WWW-Authenticate", "Bearer")
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, "call %d for %s", g.calls, r.Header.Get("X-Api-Key"))
}

func (g *guarded) want(authorization string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wants = authorization
}

// putSecret gives a secret another value, as the AWS CLI does.
func putSecret(t testing.TB, s *stack.Stack, name, value string) {
	t.Helper()
	_, err := secretsClient(s).PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: aws.String(name), SecretString: aws.String(value)})
	if err != nil {
		t.Fatal(err)
	}
}

func TestASecretIsRotatedWithoutADeploymentAndWithoutALostRequest(t *testing.T) {
	t.Parallel()
	g := &guarded{wants: "Bearer t0ken-1"}
	s := start(t, serve(t, g.ServeHTTP), from(authenticating), secrets(map[string]string{"orders/token": "t0ken-1"}))
	post := func() answer {
		return send(t, s, http.MethodPost, "/orders", "amount=1", "Authorization", "Bearer of-the-caller")
	}
	post().expect(t, 201, "call 1 for ", "proxy-1; received-status=201")

	// First at the upstream, so that the proxy has the old one.
	g.want("Bearer t0ken-2")
	putSecret(t, s, "orders/token", "t0ken-2")
	post().expect(t, 201, "call 3 for ", "proxy-1; received-status=401, proxy-1; received-status=201")
	made := attempts(t, s)
	if len(made) != 2 || made[0].Why != "401: the credential has been replaced since it was read; once more with the new one" || invocations(t, s) != 1 {
		t.Errorf("told are %+v, in %d invocations", made, invocations(t, s))
	}
	post().expect(t, 201, "call 4 for ", "proxy-1; received-status=201")

	// Only at the upstream: the proxy reads the same again.
	g.want("Bearer t0ken-3")
	post().expect(t, 401, "", "proxy-1; received-status=401")
}

func TestWithoutASecretNothingIsSentAndTheKeyIsFree(t *testing.T) {
	t.Parallel()
	g := &guarded{wants: "Bearer t0ken-1"}
	s := start(t, serve(t, g.ServeHTTP), from(authenticating), secrets(map[string]string{"orders/token": `{"not":"a token"}`}))
	for _, fields := range [][]string{nil, {"Idempotency-Key", `"order-1"`}} {
		a := send(t, s, http.MethodPost, "/orders", "amount=1", fields...)
		p := a.problem(t, 503, "upstream-credentials-unavailable")
		if a.Header.Get("Retry-After") != "5" || a.Header.Get("X-Should-Retry") != "" || !strings.Contains(a.Body, `"processed":"no"`) {
			t.Errorf("the answer is %v %s", a.Header, a.Body)
		}
		if len(p.Attempts) != 1 || p.Attempts[0].Error != "proxy_configuration_error" || !strings.HasPrefix(p.Attempts[0].Details, "it is a JSON object; expected is a token") {
			t.Errorf("told are %+v", p.Attempts)
		}
		if got := failureOf(t, s); got != "CredentialsUnavailable" {
			t.Errorf("the execution failed with %s", got)
		}
	}
	if g.calls != 0 {
		t.Errorf("the upstream was called %d times", g.calls)
	}
	putSecret(t, s, "orders/token", "t0ken-1")
	for _, replayed := range []bool{false, true} {
		a := send(t, s, http.MethodPost, "/orders", "amount=1", "Idempotency-Key", `"order-1"`)
		if a.Status != 201 || a.Body != "call 1 for " || a.replayed() != replayed {
			t.Errorf("with the secret as it should be, the answer is %d %q, replayed: %v", a.Status, a.Body, a.replayed())
		}
	}
}

// What the proxies replace tells nobody apart; all else does.
func TestCallersOfAnUpstreamWithACredentialShareNoAnswersThatTheirOwnGot(t *testing.T) {
	t.Parallel()
	g := &guarded{wants: "Bearer t0ken-1"}
	s := start(t, serve(t, g.ServeHTTP), from(authenticating), secrets(map[string]string{"orders/token": "t0ken-1"}))
	for i, c := range []struct {
		fields   []string
		body     string
		replayed bool
	}{
		{[]string{"Authorization", "Bearer ALICE"}, "call 1 for ", false},
		{[]string{"Authorization", "Bearer BOB"}, "call 1 for ", true},
		{[]string{"Upstream-Authorization", "Bearer BOB"}, "call 1 for ", true},
		{[]string{"X-Api-Key", "alice"}, "call 2 for alice", false},
		{[]string{"X-Api-Key", "bob"}, "call 3 for bob", false},
		{[]string{"Authorization", "Bearer BOB", "X-Api-Key", "alice"}, "call 2 for alice", true},
	} {
		if a := order(t, s, "amount=1", c.fields...); a.Status != 201 || a.Body != c.body || a.replayed() != c.replayed {
			t.Errorf("caller %d gets %d %q, replayed: %v", i+1, a.Status, a.Body, a.replayed())
		}
	}
}

func TestSignedCallersShareNoAnswersWhateverTheUpstreamsCredential(t *testing.T) {
	t.Parallel()
	g := &guarded{wants: "Bearer t0ken-1"}
	s := start(t, serve(t, g.ServeHTTP), from(authenticating), secrets(map[string]string{"orders/token": "t0ken-1"}))
	for i, principal := range []string{"AROAALICE", "AROABOB", ""} {
		if a := orderBy(t, s, "123456789012", principal); a.StatusCode != 201 || a.Body != fmt.Sprintf("call %d for ", i+1) || a.Headers["idempotent-replayed"] != "" {
			t.Errorf("%q gets %d %q", principal, a.StatusCode, a.Body)
		}
	}
}

func TestAThrottledSecretsManagerIsAskedAgain(t *testing.T) {
	t.Parallel()
	g := &guarded{wants: "Bearer t0ken-1"}
	s := start(t, serve(t, g.ServeHTTP), from(authenticating), secrets(map[string]string{"orders/token": "t0ken-1"}), func(_ testing.TB, c *config) {
		c.Faults = faults.Settings{Throttle: 0.3, Seed: 3}
	})
	ok := 0
	for range 10 {
		if a := get(t, s, "/"); a.Status == 201 {
			ok++
		}
	}
	if ok != 10 {
		t.Errorf("%d of 10 requests were answered", ok)
	}
}

// newCertificate makes a certificate that signs itself, and its key, in PEM.
func newCertificate(t testing.TB, number int64) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(number), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	privateDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: privateDER})
}

// clientSecret is the text of a secret with a client certificate.
func clientSecret(t testing.TB, certificate, key []byte) string {
	text, err := json.Marshal(map[string]string{"certificate": string(certificate), "key": string(key)})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// serveTLS starts a server with a certificate.
func serveTLS(t testing.TB, certificate, key []byte, handler http.HandlerFunc) string {
	t.Helper()
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // who does not trust it hangs up
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

func TestUpstreamsAndTokenURLsAreTrustedByTheAuthorityThatIsGiven(t *testing.T) {
	t.Parallel()
	certificate, key := newCertificate(t, 1)
	mine, myKey := newCertificate(t, 42)
	login := serveTLS(t, certificate, key, func(w http.ResponseWriter, r *http.Request) {
		if id, secret, _ := r.BasicAuth(); id != "cl1ent" || secret != "s3cret" || r.URL.Path != "/token" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"t0ken","token_type":"Bearer","expires_in":3600}`)
	})
	upstream := serveTLS(t, certificate, key, func(w http.ResponseWriter, r *http.Request) {
		for _, presented := range r.TLS.PeerCertificates {
			fmt.Fprint(w, presented.SerialNumber, " ")
		}
		fmt.Fprint(w, r.Header.Get("Authorization"))
	})
	auth := by(`{"kind":"oauth2","secret":"orders/client","tokenUrl":"`+login+`/token","certificate":"orders/tls"}`, "authorization")
	values := secrets(map[string]string{"orders/client": `{"client_id":"cl1ent","client_secret":"s3cret"}`, "orders/tls": clientSecret(t, mine, myKey)})
	trusting := func(_ testing.TB, c *config) { c.CertificateAuthority = string(certificate) }
	allowed := environment("proxy-1", "UPSTREAM_ALLOWED_NETWORKS", "127.0.0.1/32")

	s := start(t, upstream, from(authenticating), auth, values, trusting, allowed)
	get(t, s, "/").expect(t, 200, "42 Bearer t0ken", "proxy-1; received-status=200")

	s = start(t, upstream, from(authenticating), auth, values, allowed)
	if p := get(t, s, "/").problem(t, 503, "upstream-credentials-unavailable"); !strings.Contains(p.Attempts[0].Details, "tls_certificate_error") {
		t.Errorf("without the authority, told are %+v", p.Attempts)
	}
}

func TestTheProxiesMayCallATokenURLOfThisMachineBesideTheUpstream(t *testing.T) {
	t.Parallel()
	for tokenURL, want := range map[string]string{
		"http://127.0.0.9:9000/token":     "127.0.0.1/32,127.0.0.9/32",
		"https://127.0.0.1:9000/token":    "127.0.0.1/32",
		"https://login.example.com/token": "127.0.0.1/32",
	} {
		changed := edited(t, func(template map[string]any) {
			setVariable(template, "proxy-1", "UPSTREAM_AUTH", `{"kind":"oauth2","secret":"s","tokenUrl":"`+tokenURL+`"}`)
		})
		s := start(t, "http://127.0.0.1:8080", from(changed))
		for _, f := range s.Lambda.Functions() {
			if got := f.Env["UPSTREAM_ALLOWED_NETWORKS"]; s.ShortName(f.Name) == "proxy-1" && got != want {
				t.Errorf("with the token URL %s it may call %q, want %q", tokenURL, got, want)
			}
		}
	}
}

// Security, "Where a secret goes": of a configured one, nowhere but upstream.
func TestAConfiguredSecretIsNowhereButUpstream(t *testing.T) {
	t.Parallel()
	certificate, key := newCertificate(t, 1)
	keyLine := strings.Split(string(key), "\n")[1]
	login := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"CANARY-TOKEN","expires_in":3600}`)
	})
	refusing := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, secret, _ := r.BasicAuth()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"error":"invalid_client","error_description":"%s is wrong"}`, secret)
	})
	values := map[string]string{
		"orders/token":    "CANARY-BEARER",
		"orders/fields":   `{"key":"CANARY-FIELD","other":"CANARY-OTHER"}`,
		"orders/user":     `{"username":"CANARY-USER","password":"CANARY-PASSWORD"}`,
		"orders/client":   `{"client_id":"CANARY-CLIENT","client_secret":"CANARY-SECRET"}`,
		"orders/tls":      clientSecret(t, certificate, key),
		"orders/nonsense": "CANARY-NONSENSE\nCANARY-LINE",
	}
	for name, c := range map[string]struct {
		auth, replaces string
		arrives        string // what the upstream is sent somewhere; empty if it is not called
	}{
		"bearer":           {`{"kind":"bearer","secret":"orders/token"}`, "authorization", "Bearer CANARY-BEARER"},
		"basic":            {`{"kind":"basic","secret":"orders/user"}`, "authorization", "Basic Q0FOQVJZLVVTRVI6Q0FOQVJZLVBBU1NXT1JE"},
		"header":           {`{"kind":"header","name":"X-Api-Key","secret":"orders/fields#key"}`, "x-api-key", "CANARY-FIELD"},
		"query":            {`{"kind":"query","name":"key","secret":"orders/fields#key"}`, "?key", "key=CANARY-FIELD"},
		"oauth2":           {`{"kind":"oauth2","secret":"orders/client","tokenUrl":"` + login + `"}`, "authorization", "Bearer CANARY-TOKEN"},
		"refused oauth2":   {`{"kind":"oauth2","secret":"orders/client","tokenUrl":"` + refusing + `"}`, "authorization", ""},
		"certificate":      {`{"certificate":"orders/tls"}`, "", "/orders"},
		"no field":         {`{"kind":"bearer","secret":"orders/fields#none"}`, "authorization", ""},
		"another shape":    {`{"kind":"basic","secret":"orders/fields"}`, "authorization", ""},
		"two lines":        {`{"kind":"header","name":"X-Api-Key","secret":"orders/nonsense"}`, "x-api-key", ""},
		"no such a secret": {`{"kind":"bearer","secret":"orders/absent"}`, "authorization", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var arrived atomic.Int32
			upstream := serve(t, func(w http.ResponseWriter, r *http.Request) {
				var sent bytes.Buffer
				_ = r.Write(&sent)
				if strings.Contains(sent.String(), c.arrives) {
					arrived.Add(1)
				}
				w.Header().Set("Location", r.URL.String()) // as many do, with the query
				w.WriteHeader(map[string]int{"/orders": 201, "/unknown": 401, "/broken": 503, "/limited": 429}[r.URL.Path])
			})
			var mu sync.Mutex
			var logs, printed strings.Builder
			lines := writer(func(p []byte) (int, error) {
				mu.Lock()
				defer mu.Unlock()
				return printed.Write(p)
			})
			printer, shown := attemptlog.New(lines), console.New(console.Config{Upstream: upstream})
			s := start(t, upstream, from(authenticating), by(c.auth, c.replaces), secrets(values), withoutBackoff,
				environment("proxy-1", "UPSTREAM_ALLOWED_NETWORKS", "127.0.0.1/32"), environment("proxy-2", "UPSTREAM_ALLOWED_NETWORKS", "127.0.0.1/32"),
				environment("proxy-3", "UPSTREAM_ALLOWED_NETWORKS", "127.0.0.1/32"),
				logged(func(e lambda.LogEvent) {
					mu.Lock()
					defer mu.Unlock()
					logs.WriteString(e.Message + "\n")
				}),
				func(_ testing.TB, c *config) {
					c.Middleware = func(url http.Handler) http.Handler {
						return shown.Middleware(printer.Middleware(url))
					}
				})
			s.StepFunctions.Observe(printer.Event)
			shown.Watch(s.StepFunctions, s.DynamoDB, s.View())

			kept := map[string]string{}
			for _, path := range []string{"/orders", "/unknown", "/broken", "/limited"} {
				for _, fields := range [][]string{nil, {"Idempotency-Key", "k"}} {
					a := send(t, s, http.MethodPost, path+"?q=1", "amount=1", fields...)
					kept["answers"] += fmt.Sprint(a.Status, a.Header, a.Body)
				}
			}
			executions, err := s.StepFunctions.Executions("", "")
			if err != nil || len(executions) < 8 {
				t.Fatalf("there were %d executions, error %v", len(executions), err)
			}
			for _, e := range executions {
				kept["executions"] += e.Name + e.Input + e.Output + e.Error + e.Cause
				kept["histories"] += ask(t, s, "AWSStepFunctions.GetExecutionHistory", `{"executionArn":"`+e.ARN+`","includeExecutionData":true}`)
			}
			for _, path := range []string{"executions", "executions/" + executions[0].Name, "records", "upstream", "definition"} {
				shown := get(t, s, console.Path+path)
				if shown.Status != http.StatusOK {
					t.Errorf("the console answers %s with %d %s", path, shown.Status, shown.Body)
				}
				kept["console"] += shown.Body
			}
			items, err := json.Marshal(records(t, s))
			if err != nil {
				t.Fatal(err)
			}
			kept["records"], kept["ListFunctions"] = string(items), string(listFunctions(t, s))
			kept["the cloud assembly"] = contents(t, authenticating)
			s.Close() // so that every line of the logs is there
			mu.Lock()
			defer mu.Unlock()
			kept["logs"], kept["the terminal"] = logs.String(), printed.String()
			for place, text := range kept {
				if text == "" {
					t.Errorf("%s: there is nothing to look at", place)
				}
				for _, canary := range []string{"CANARY", "Q0FOQVJZ", keyLine} {
					if strings.Contains(text, canary) {
						t.Errorf("%s: %s", place, canary)
					}
				}
			}
			if came := arrived.Load() > 0; came != (c.arrives != "") {
				t.Errorf("the credential arrived %d times", arrived.Load())
			}
		})
	}
}

// A writer is a function that is written to.
type writer func(p []byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// contents are the JSON files of a cloud assembly.
func contents(t testing.TB, source func() (assembled, error)) string {
	t.Helper()
	a, err := source()
	if err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join(a.directory, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, path := range paths {
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(&all, file)
		file.Close()
	}
	return all.String()
}
