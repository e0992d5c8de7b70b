package handler

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	jose "github.com/go-jose/go-jose/v4"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// An issuer signs tokens, and serves its keys. It counts how often they are fetched.
type issuer struct {
	url     string
	key     *ecdsa.PrivateKey
	fetched atomic.Int32
	down    atomic.Bool
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := new(issuer)
	var err error
	if i.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i.fetched.Add(1)
		if i.down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: i.key.Public(), KeyID: "1", Algorithm: "ES256", Use: "sig"}}})
	}))
	t.Cleanup(server.Close)
	i.url = server.URL
	return i
}

// token signs claims, with a key of a name.
func (i *issuer) token(t *testing.T, keyID string, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: i.key, KeyID: keyID}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// claims are those of a subject, as they are now.
func (i *issuer) claims(subject string, more ...any) map[string]any {
	claims := map[string]any{"iss": "https://issuer.example", "sub": subject, "aud": "orders", "exp": noon.Add(time.Hour).Unix()}
	for n := 0; n < len(more); n += 2 {
		claims[more[n].(string)] = more[n+1]
	}
	return claims
}

// bySubject makes a bench that tells callers apart by a claim of their tokens.
func (i *issuer) bySubject(t *testing.T) (*bench, *fakeEngine) {
	t.Helper()
	b, engine := newRecordingBench(t, message.Response{StatusCode: 201})
	b.callerFields, b.callerClaims = []string{"claim:sub"}, true
	b.tokens = newTokenVerifier("https://issuer.example", i.url, "orders", b.clock.Now)
	return b, engine
}

// replayed says whether a request with a key and a token is answered with what was recorded.
func (b *bench) replayed(t *testing.T, token string) bool {
	t.Helper()
	response := b.send(t, keyed("k", "one", "authorization", "Bearer "+token))
	if response.StatusCode != 201 {
		t.Errorf("the answer is %d %s", response.StatusCode, response.Body)
	}
	return response.Headers["idempotent-replayed"] == "true"
}

func TestAClaimOfAVerifiedTokenStandsForTheCaller(t *testing.T) {
	i := newIssuer(t)
	b, _ := i.bySubject(t)
	for n, c := range []struct {
		token    string
		replayed bool
	}{
		{i.token(t, "1", i.claims("alice")), false},
		{i.token(t, "1", i.claims("alice", "jti", "refreshed")), true},
		{i.token(t, "1", i.claims("bob")), false},
		{i.token(t, "1", i.claims("bob", "jti", "refreshed")), true},
	} {
		if got := b.replayed(t, c.token); got != c.replayed {
			t.Errorf("token %d: replayed %v", n+1, got)
		}
	}
}

// Anybody can write a claim.
func TestATokenThatIsNotRightStandsForNobody(t *testing.T) {
	i, other := newIssuer(t), newIssuer(t)
	b, _ := i.bySubject(t)
	right := i.token(t, "1", i.claims("alice"))
	b.replayed(t, right)
	header, payload := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)), strings.Split(right, ".")[1]
	for name, token := range map[string]string{
		"signed by somebody else":  other.token(t, "1", i.claims("alice")),
		"of another issuer":        i.token(t, "1", i.claims("alice", "iss", "https://evil.example")),
		"for somebody else":        i.token(t, "1", i.claims("alice", "aud", "payments")),
		"expired":                  i.token(t, "1", i.claims("alice", "exp", noon.Add(-time.Second).Unix())),
		"signed with no key":       header + "." + payload + ".",
		"with a key nobody knows":  i.token(t, "2", i.claims("alice")),
		"with half of a signature": right[:len(right)-10],
		"no token at all":          "opaque",
	} {
		if b.replayed(t, token) {
			t.Errorf("%s: it was handed Alice's answer", name)
		}
	}
}

func TestTheKeysOfAnIssuerAreFetchedOnceAMinuteWhateverTokensName(t *testing.T) {
	i := newIssuer(t)
	b, _ := i.bySubject(t)
	for n := range 5 {
		b.replayed(t, i.token(t, fmt.Sprint("unknown-", n), i.claims("alice")))
		b.replayed(t, i.token(t, "1", i.claims("alice")))
	}
	if n := i.fetched.Load(); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
	b.clock.now = b.clock.now.Add(61 * time.Second)
	for n := 0; n < 100 && i.fetched.Load() < 2; n++ { // go-oidc may still hand out what it fetched a moment ago
		b.replayed(t, i.token(t, "unknown", i.claims("alice")))
	}
	if n := i.fetched.Load(); n != 2 {
		t.Errorf("a minute later, the keys were fetched %d times", n)
	}
}

// Otherwise a repeat would be another caller's request while the keys are not available, and would be carried out again.
func TestWithoutTheKeysNobodyCanTellWhoseRequestItIs(t *testing.T) {
	i := newIssuer(t)
	i.down.Store(true)
	b, engine := i.bySubject(t)
	token := i.token(t, "1", i.claims("alice"))
	response := b.send(t, keyed("k", "one", "authorization", "Bearer "+token))
	if d := wantProblem(t, response, 503, "token-keys-unavailable"); d.Processed != "no" || response.Headers["retry-after"] == "" || len(engine.inputs) != 0 {
		t.Errorf("%d executions were started, and the problem is %+v", len(engine.inputs), d)
	}
	// Without a key it makes no difference whose it is.
	if response := b.send(t, request("POST", "/orders", "authorization", "Bearer "+token)); response.StatusCode == 503 {
		t.Errorf("a request without a key is answered with %d", response.StatusCode)
	}
	i.down.Store(false)
	for range 1000 {
		// The failure is handed to whoever asks for the keys until the library has put it away.
		if b.send(t, keyed("another", "one", "authorization", "Bearer "+token)).StatusCode != 503 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if b.replayed(t, token) {
		t.Error("there was something to replay")
	}
}

func TestWithAnIAMIdentityAClaimCountsUnverified(t *testing.T) {
	i := newIssuer(t)
	b, _ := newRecordingBench(t, message.Response{StatusCode: 201})
	b.callerFields, b.callerClaims = []string{"claim:sub"}, true
	send := func(user, subject, jti string) bool {
		event := keyed("k", "one", "authorization", "AWS4-HMAC-SHA256 Credential=A", "upstream-authorization", "Bearer "+i.token(t, "1", i.claims(subject, "jti", jti)))
		if user != "" {
			event.RequestContext.Authorizer = &events.LambdaFunctionURLRequestContextAuthorizerDescription{
				IAM: &events.LambdaFunctionURLRequestContextAuthorizerIAMDescription{AccountID: "123456789012", UserID: user},
			}
		}
		return b.send(t, event).Headers["idempotent-replayed"] == "true"
	}
	for n, c := range []struct {
		user, subject, jti string
		replayed           bool
	}{
		{"AIDA1", "alice", "1", false}, {"AIDA1", "alice", "2", true}, {"AIDA1", "bob", "1", false}, {"AIDA2", "alice", "1", false},
		{"", "alice", "1", false}, {"", "alice", "2", false}, // nobody vouches for it
	} {
		if got := send(c.user, c.subject, c.jti); got != c.replayed {
			t.Errorf("request %d of %s as %s: replayed %v", n+1, c.user, c.subject, got)
		}
	}
}
