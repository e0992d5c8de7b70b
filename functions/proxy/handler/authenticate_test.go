package handler

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// A vault is a Secrets Manager in the hands of a test.
type vault struct {
	mu      sync.Mutex
	secrets map[string]string
	reads   int
	before  func() // is called before each read
}

func (v *vault) SecretString(_ context.Context, id string) (*string, error) {
	if v.before != nil {
		v.before()
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.reads++
	text, found := v.secrets[id]
	if !found {
		return nil, &smithy.GenericAPIError{Code: "ResourceNotFoundException", Message: "Secrets Manager can't find the specified secret."}
	}
	return &text, nil
}

func (v *vault) put(name, text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.secrets[name] = text
}

// with gives a proxy a credential for its upstream, whose secret is in the vault that it returns.
func (b *bench) with(auth message.UpstreamAuth, secrets map[string]string) *vault {
	v := &vault{secrets: secrets}
	b.auth = auth
	b.credentials = newCredentials(b.settings, Dependencies{
		Dial:    b.transport.DialContext,
		Secrets: v,
		Role: func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "c4nary", SessionToken: "t0ken"}, nil
		},
		Clock: b,
	})
	return v
}

var bearer = message.UpstreamAuth{Kind: message.AuthBearer, Secret: "orders/token"}

// demanding is an upstream that wants a token, and tells what it was sent.
type demanding struct {
	mu    sync.Mutex
	token string
	sent  []string
}

func (d *demanding) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sent = append(d.sent, r.Method+" "+r.Header.Get("Authorization"))
	if r.Header.Get("Authorization") != "Bearer "+d.token {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	fmt.Fprint(w, "done")
}

func TestTheCredentialGoesUpstreamInThePlaceOfTheCallers(t *testing.T) {
	d := &demanding{token: "t0ken"}
	b := newBench(t, serve(t, d.ServeHTTP))
	v := b.with(bearer, map[string]string{"orders/token": "t0ken"})
	for range 3 {
		out := b.invoke(t, b.call(message.Request{Method: "POST", Headers: map[string]string{"authorization": "Bearer caller"}}))
		if out.StatusCode != 200 || len(out.Attempts) != 1 {
			t.Errorf("it ended with %+v", out)
		}
	}
	if v.reads != 1 {
		t.Errorf("the secret was read %d times", v.reads)
	}
	if text, err := message.Marshal(b.invoke(t, b.call(message.Request{Method: "GET"}))); err != nil || strings.Contains(string(text)+b.logs.String(), "t0ken") {
		t.Errorf("the secret is told:\n%s\n%s", text, b.logs.String())
	}
}

func TestASecretThatWasRotatedIsReadAfterA401AndTheRequestRepeatedOnce(t *testing.T) {
	d := &demanding{token: "old"}
	b := newBench(t, serve(t, d.ServeHTTP))
	v := b.with(bearer, map[string]string{"orders/token": "old"})
	b.invoke(t, b.call(message.Request{Method: "GET"}))
	d.token = "new"
	v.put("orders/token", "new")

	// A POST without a key: 401 is proof that nothing was done.
	out := b.invoke(t, b.call(message.Request{Method: "POST"}, limited, failed, failed))
	want := []retry.Attempt{limited, failed, failed,
		{Proxy: "proxy-1", Start: morning.UnixMilli(), Status: 401, Why: "401: the credential has been replaced since it was read; once more with the new one"},
		{Proxy: "proxy-1", Start: morning.UnixMilli(), Status: 200, Why: "200: final"},
	}
	if diff := cmp.Diff(want, out.Attempts); diff != "" || out.StatusCode != 200 || out.Outcome != retry.Succeeded {
		t.Errorf("it ended with %s and %d (-want +got):\n%s", out.Outcome, out.StatusCode, diff)
	}
	if diff := cmp.Diff([]string{"GET Bearer old", "POST Bearer old", "POST Bearer new"}, d.sent); diff != "" || v.reads != 2 {
		t.Errorf("the secret was read %d times, and sent was (-want +got):\n%s", v.reads, diff)
	}
	if lines := strings.Count(b.logs.String(), `"msg":"attempt"`); lines != 3 {
		t.Errorf("%d attempts are in the log, want 3:\n%s", lines, b.logs.String())
	}
}

func TestWhatIsJudgedAfterTheRepetitionIsTheSecondAnswer(t *testing.T) {
	var requests atomic.Int32
	b := newBench(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(map[int32]int{1: 401, 2: 503}[requests.Add(1)])
	}))
	v := b.with(bearer, map[string]string{"orders/token": "old"})
	v.before = func() { v.put("orders/token", fmt.Sprint("token-", v.reads)) }
	out := b.invoke(t, b.call(message.Request{Method: "GET"}, failed))
	// Two server errors of three: the 401 is not counted.
	if out.Outcome != retry.Again || len(out.Attempts) != 3 || out.Attempts[1].Status != 401 || out.Attempts[1].Kind != "" || out.Attempts[2].Status != 503 {
		t.Errorf("it ended with %s, %+v", out.Outcome, out.Attempts)
	}
	if requests.Load() != 2 {
		t.Errorf("%d requests were sent", requests.Load())
	}
}

// An upstream that answers 401 for reasons of its own does not have each request sent twice.
func TestAfterANewCredentialWasRefusedNoneIsRenewedForAMoment(t *testing.T) {
	var requests atomic.Int32
	b := newBench(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	v := b.with(bearer, map[string]string{"orders/token": "old"})
	v.before = func() { v.put("orders/token", fmt.Sprint("token-", v.reads)) }
	for i, want := range []int32{2, 3, 4, 6} {
		if i == 3 {
			b.Sleep(t.Context(), 5*time.Second)
		}
		if out := b.invoke(t, b.call(message.Request{Method: "GET"})); out.StatusCode != 401 || requests.Load() != want {
			t.Errorf("request %d ended with %d, after %d attempts in all, want %d", i+1, out.StatusCode, requests.Load(), want)
		}
	}
}

func TestA401StandsWhereNothingSpeaksForARepetition(t *testing.T) {
	rotated := func(v *vault) { v.put("orders/token", fmt.Sprint("token-", v.reads)) }
	for name, c := range map[string]struct {
		auth    message.UpstreamAuth
		headers map[string]string
		history []retry.Attempt
		most    int
		left    time.Duration
		before  func(*vault)
		reads   int
	}{
		"the secret has not changed":          {auth: bearer, before: func(*vault) {}, reads: 2},
		"the secret is gone":                  {auth: bearer, before: func(v *vault) { delete(v.secrets, map[int]string{1: "orders/token"}[v.reads]) }, reads: 2},
		"it was repeated before":              {auth: bearer, before: rotated, history: []retry.Attempt{{Proxy: "proxy-3", Status: 401}, failed}, reads: 1},
		"the caller allows no other attempt":  {auth: bearer, before: rotated, most: 1, reads: 1},
		"the caller allows two, and one was":  {auth: bearer, before: rotated, most: 2, history: []retry.Attempt{failed}, reads: 1},
		"there is no time left":               {auth: bearer, before: rotated, left: 900 * time.Millisecond, reads: 1},
		"the credential was the caller's own": {auth: message.UpstreamAuth{Kind: message.AuthBearer, Secret: "orders/token", CallersOverride: true}, headers: map[string]string{"authorization": "Bearer own"}, before: rotated, reads: 1},
	} {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int32
			var b *bench
			b = newBench(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
				requests.Add(1)
				b.Sleep(context.Background(), 500*time.Millisecond)
				w.WriteHeader(http.StatusUnauthorized)
				fmt.Fprint(w, "who are you?")
			}))
			v := b.with(c.auth, map[string]string{"orders/token": "old"})
			v.before = func() { c.before(v) }
			in := b.call(message.Request{Method: "GET", Headers: c.headers}, c.history...)
			in.Call.MaxAttempts = c.most
			if c.left > 0 {
				in.Call.Deadline = b.Now().Add(c.left).UnixMilli()
			}
			out := b.invoke(t, in)
			if out.Outcome != retry.Succeeded || out.StatusCode != 401 || out.Body != "who are you?" || len(out.Attempts) != len(c.history)+1 {
				t.Errorf("it ended with %s, %d %q, %+v", out.Outcome, out.StatusCode, out.Body, out.Attempts)
			}
			if requests.Load() != 1 || v.reads != c.reads {
				t.Errorf("%d requests were sent, and %d reads made, want 1 and %d", requests.Load(), v.reads, c.reads)
			}
		})
	}
}

func TestWithoutACredentialNothingIsSentAndTheRequestEnds(t *testing.T) {
	for name, c := range map[string]struct {
		secrets map[string]string
		details string
		logged  string
	}{
		"there is no such secret":       {nil, "AWS Secrets Manager answered ResourceNotFoundException", "the secret orders/token: AWS Secrets Manager answered ResourceNotFoundException: "},
		"the secret has another shape":  {map[string]string{"orders/token": `{"c4nary":"c4nary"}`}, "it is a JSON object; expected is a token in one line, or the name of a field behind a number sign", "the secret orders/token: it is a JSON object"},
		"the secret is of several line": {map[string]string{"orders/token": "c4nary\nc4nary"}, "it has control characters; expected is a token in one line", "the secret orders/token: it has control"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") }))
			b.with(bearer, c.secrets)
			out := b.invoke(t, b.call(message.Request{Method: "POST"}, limited))
			if out.Outcome != retry.Failed || out.Error != message.CredentialsUnavailable || out.StatusCode != 0 {
				t.Errorf("it ended with %s, %s, %d", out.Outcome, out.Error, out.StatusCode)
			}
			want := []retry.Attempt{limited, {
				Proxy: "proxy-1", Start: morning.UnixMilli(), Error: retry.ProxyConfigurationError, Details: c.details, Why: "nothing was sent, for want of a credential",
			}}
			if diff := cmp.Diff(want, out.Attempts); diff != "" {
				t.Errorf("the attempts differ (-want +got):\n%s", diff)
			}
			if !strings.Contains(b.logs.String(), c.logged) || strings.Contains(b.logs.String(), "c4nary") {
				t.Errorf("the log says\n%s", b.logs.String())
			}
		})
	}
}

func TestTheTimeOfAnAttemptIncludesThatOfReadingTheSecret(t *testing.T) {
	b := newBench(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {}))
	v := b.with(bearer, map[string]string{"orders/token": "t0ken"})
	v.before = func() { b.Sleep(context.Background(), 3*time.Second) }
	out := b.invoke(t, b.call(message.Request{Method: "GET"}))
	if len(out.Attempts) != 1 || out.Attempts[0].Start != morning.UnixMilli() || out.Attempts[0].Duration != 3000 {
		t.Errorf("told is %+v, want an attempt of 3 s from the start", out.Attempts)
	}
}

func TestATokenURLIsFencedAsTheUpstreamIs(t *testing.T) {
	var asked atomic.Int32
	login := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"t0ken","expires_in":3600}`)
	}))
	defer login.Close()
	d := &demanding{token: "t0ken"}
	client := map[string]string{"orders/client": `{"client_id":"a","client_secret":"c4nary"}`}
	auth := message.UpstreamAuth{Kind: message.AuthOAuth2, Secret: "orders/client", TokenURL: login.URL + "/token"}

	b := newBench(t, serve(t, d.ServeHTTP))
	b.with(auth, client)
	if out := b.invoke(t, b.call(message.Request{Method: "GET"})); out.StatusCode != 200 || asked.Load() != 1 {
		t.Errorf("it ended with %+v, and the token URL was asked %d times", out, asked.Load())
	}

	base, err := url.Parse("https://api.example.com")
	if err != nil {
		t.Fatal(err)
	}
	fenced := &bench{time: morning}
	v := &vault{secrets: client}
	fenced.Proxy = newProxy(settings{name: "proxy-1", proxies: 3, baseURL: base, policy: retry.Default(), auth: auth}, Dependencies{
		Log: b.log, Clock: b, Secrets: v,
	})
	out := fenced.invoke(t, b.call(message.Request{Method: "GET"}))
	if out.Error != message.CredentialsUnavailable || asked.Load() != 1 {
		t.Errorf("behind the fence it ended with %+v, and the token URL was asked %d times", out, asked.Load())
	}
	if details := out.Attempts[0].Details; !strings.HasPrefix(details, "the token URL could not be asked: destination_ip_prohibited, ") || !strings.Contains(details, "127.0.0.1 is not public") {
		t.Errorf("the details are %s", details)
	}
}

func TestTheProxyOfTheEnvironmentIsNotForTokens(t *testing.T) {
	if transport := newTokenTransport(nil, nil); transport.Proxy != nil || !transport.DisableKeepAlives {
		t.Error("requests for tokens go through a proxy, or share connections")
	}
}

func TestAParameterThatWasAddedDoesNotComeBackInLinks(t *testing.T) {
	b := newBench(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "http://"+r.Host+"/orders/?"+r.URL.RawQuery)
		w.Header().Set("Link", "<"+r.URL.Path+"?page=2&"+r.URL.RawQuery+`>; rel="next"`)
		w.WriteHeader(http.StatusMovedPermanently)
	}))
	b.with(message.UpstreamAuth{Kind: message.AuthQuery, Name: "api_key", Secret: "s"}, map[string]string{"s": "c4/nary"})
	out := b.invoke(t, b.call(message.Request{Method: "GET", Path: "/orders", Query: "q=1"}))
	if out.StatusCode != 301 || !strings.HasSuffix(out.Headers["location"], "/orders/?q=1&api_key=") || out.Headers["link"] != `</orders?page=2&q=1&api_key=>; rel="next"` {
		t.Errorf("the answer is %d %v", out.StatusCode, out.Headers)
	}
}

func TestEachRequestHasTheFixedFields(t *testing.T) {
	var got http.Header
	b := newBench(t, serve(t, func(_ http.ResponseWriter, r *http.Request) { got = r.Header }))
	b.fixedFields = map[string]string{"stripe-version": "2026-05-04", "User-Agent": "orders"}
	b.invoke(t, b.call(message.Request{Method: "GET", Headers: map[string]string{"stripe-version": "1999", "stripe_version": "1998", "user-agent": "curl", "accept": "a/b"}}))
	if got.Get("Stripe-Version") != "2026-05-04" || got.Get("User-Agent") != "orders" || got.Get("Accept") != "a/b" || got.Get("Stripe_version") != "" {
		t.Errorf("sent was %v", got)
	}
}

func TestARequestIsSignedForAWSWithItsBody(t *testing.T) {
	var got *http.Request
	var body []byte
	b := newBench(t, serve(t, func(_ http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
	}))
	b.with(message.UpstreamAuth{Kind: message.AuthSigV4, Service: "execute-api", Region: "eu-central-1"}, nil)
	b.invoke(t, b.call(message.Request{Method: "POST", Path: "/orders", Query: "b=2&a=1", Body: "hello", Headers: map[string]string{"content-type": "text/plain"}}))
	if want := "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260504/eu-central-1/execute-api/aws4_request"; !strings.HasPrefix(got.Header.Get("Authorization"), want) {
		t.Errorf("Authorization is %s, want %s", got.Header.Get("Authorization"), want)
	}
	if got.Header.Get("X-Amz-Content-Sha256") != "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" || string(body) != "hello" ||
		got.Header.Get("X-Amz-Security-Token") != "t0ken" || got.RequestURI != "/orders?a=1&b=2" {
		t.Errorf("sent was %s %v %q", got.RequestURI, got.Header, body)
	}
}

// newCertificate makes a certificate that signs itself, for a name, as PEM of it and of its key.
func newCertificate(t testing.TB, name string, number int64) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(number), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
	}
	if address, err := netip.ParseAddr(name); err == nil {
		template.DNSNames, template.IPAddresses = nil, append(template.IPAddresses, address.AsSlice())
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	privateDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: privateDER}))
}

// anAuthority is a certificate in PEM.
func anAuthority(t testing.TB) string {
	certificate, _ := newCertificate(t, "127.0.0.1", 1)
	return certificate
}

// clientCertificate is the text of a secret with a client certificate of a number.
func clientCertificate(t testing.TB, number int64) string {
	certificate, key := newCertificate(t, "proxy", number)
	text, err := json.Marshal(map[string]string{"certificate": certificate, "key": key})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// serveTLS starts an upstream whose certificate the proxy knows by UPSTREAM_CERTIFICATE_AUTHORITY, and returns its URL and what
// that variable says.
func serveTLS(t *testing.T, http2 bool, handler http.HandlerFunc) (address, authority string) {
	t.Helper()
	certificate, key := newCertificate(t, "127.0.0.1", 7)
	pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = http2
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL, certificate
}

// behindTLS is a proxy with settings from the environment, in front of an upstream with TLS.
func behindTLS(t *testing.T, address, authority string) *bench {
	t.Helper()
	s, err := settingsFrom(environment(map[string]string{
		"PROXY_NAME": "proxy-1", "PROXY_COUNT": "3", "UPSTREAM_BASE_URL": address, "UPSTREAM_ALLOWED_NETWORKS": "127.0.0.1/32",
		"UPSTREAM_CERTIFICATE_AUTHORITY": authority,
	}))
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, address)
	b.Proxy = newProxy(s, Dependencies{Log: b.log, Clock: b, Random: b.random})
	return b
}

func TestAnUpstreamIsTrustedByItsOwnAuthority(t *testing.T) {
	address, authority := serveTLS(t, true, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "private") })
	if out := behindTLS(t, address, authority).invoke(t, newBench(t, address).call(message.Request{Method: "GET"})); out.Body != "private" {
		t.Errorf("it ended with %+v", out)
	}
	other, _ := newCertificate(t, "127.0.0.1", 8)
	for name, authority := range map[string]string{"of another": other, "of the system": ""} {
		out := behindTLS(t, address, authority).invoke(t, newBench(t, address).call(message.Request{Method: "GET"}))
		if len(out.Attempts) != 1 || out.Attempts[0].Error != retry.TLSCertificateError {
			t.Errorf("with the authority %s it ended with %+v", name, out)
		}
	}
}

// A session that is resumed stands for the certificate of the connection before.
func TestTheUpstreamSeesTheClientCertificateAndANewOneOnceItIsThere(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		var seen []string
		address, authority := serveTLS(t, http2, func(w http.ResponseWriter, r *http.Request) {
			serial := "none"
			if len(r.TLS.PeerCertificates) > 0 {
				serial = r.TLS.PeerCertificates[0].SerialNumber.String()
			}
			seen = append(seen, fmt.Sprint(r.Proto, " ", serial, " ", r.TLS.DidResume))
			if serial == "1" && len(seen) > 2 {
				w.WriteHeader(http.StatusUnauthorized)
			}
		})
		b := behindTLS(t, address, authority)
		v := b.with(message.UpstreamAuth{Certificate: "orders/tls"}, map[string]string{"orders/tls": clientCertificate(t, 1)})
		b.invoke(t, b.call(message.Request{Method: "GET"}))
		b.invoke(t, b.call(message.Request{Method: "GET"}))
		v.put("orders/tls", clientCertificate(t, 2))
		if out := b.invoke(t, b.call(message.Request{Method: "GET"})); out.StatusCode != 200 || len(out.Attempts) != 2 {
			t.Errorf("after the certificate was replaced it ended with %+v", out)
		}
		proto := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[http2]
		want := []string{proto + " 1 false", proto + " 1 true", proto + " 1 true", proto + " 2 false"}
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Errorf("the upstream saw (-want +got):\n%s", diff)
		}
	}
}

func TestAProxyThatCannotReadSecretsDoesNotStartWhereOneIsNeeded(t *testing.T) {
	variables := map[string]string{"PROXY_NAME": "proxy-1", "PROXY_COUNT": "1", "UPSTREAM_BASE_URL": "https://api.example"}
	if _, err := New(environment(variables), Dependencies{}); err != nil {
		t.Errorf("where none is needed: %v", err)
	}
	variables["UPSTREAM_AUTH"] = `{"kind":"bearer","secret":"s"}`
	if _, err := New(environment(variables), Dependencies{}); err == nil || !strings.Contains(err.Error(), "UPSTREAM_AUTH") {
		t.Errorf("where one is needed: %v", err)
	}
}
