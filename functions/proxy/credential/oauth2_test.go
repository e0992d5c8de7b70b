package credential_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// A login is a token URL in the hands of a test. It gives tokens to whoever has the right secret.
type login struct {
	*httptest.Server
	mu       sync.Mutex
	secret   string
	asked    []string         // the bodies of the requests
	expires  any              // what expires_in says; nil leaves it out
	answer   http.HandlerFunc // in the place of a token
	given    int
	inParams bool
}

func newLogin(t *testing.T, secret string) *login {
	l := &login{secret: secret, expires: 3600}
	l.Server = httptest.NewServer(l)
	t.Cleanup(l.Close)
	return l
}

func (l *login) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = r.ParseForm()
	l.asked = append(l.asked, r.PostForm.Encode())
	if l.answer != nil {
		l.answer(w, r)
		return
	}
	id, secret, _ := r.BasicAuth()
	if l.inParams {
		id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	w.Header().Set("Content-Type", "application/json")
	if id != "cl1ent" || secret != l.secret {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"error":"invalid_client","error_description":"%s is wrong"}`, secret)
		return
	}
	l.given++
	expires := ""
	if l.expires != nil {
		expires = fmt.Sprintf(`,"expires_in":%v`, l.expires)
	}
	fmt.Fprintf(w, `{"access_token":"t0ken-%d","token_type":"bearer"%s}`, l.given, expires)
}

func (l *login) auth() message.UpstreamAuth {
	return message.UpstreamAuth{Kind: message.AuthOAuth2, Secret: "client", TokenURL: l.URL + "/token"}
}

func clientSecret(secret string) map[string]string {
	return map[string]string{"client": `{"client_id":"cl1ent","client_secret":"` + secret + `"}`}
}

func TestATokenIsGotForTheClientAndUsedUntilShortlyBeforeItsEnd(t *testing.T) {
	l := newLogin(t, "c4nary")
	v := newVault(clientSecret("c4nary"))
	auth := l.auth()
	auth.Scopes, auth.Audience = []string{"orders.read", "orders.write"}, "https://api.example.com"
	s := v.source(auth)
	authorization := func() string {
		r := request(t, "https://api.example.com", "Authorization", "Bearer caller")
		put(t, s, r)
		return r.Header.Get("Authorization")
	}
	if got := authorization(); got != "Bearer t0ken-1" {
		t.Errorf("got %s", got)
	}
	if want := "audience=https%3A%2F%2Fapi.example.com&grant_type=client_credentials&scope=orders.read+orders.write"; l.asked[0] != want {
		t.Errorf("asked was\n%s, want\n%s", l.asked[0], want)
	}
	v.pass(59 * time.Minute)
	if got := authorization(); got != "Bearer t0ken-1" || v.readSoFar() != 1 {
		t.Errorf("after 59 minutes it is %s, after %d reads of the secret", got, v.readSoFar())
	}
	v.pass(31 * time.Second)
	if got := authorization(); got != "Bearer t0ken-2" || v.readSoFar() != 2 {
		t.Errorf("half a minute before its end it is %s, after %d reads of the secret", got, v.readSoFar())
	}
}

func TestAShortTokenIsUsedForHalfItsLifeAndOneWithoutEndForFiveMinutes(t *testing.T) {
	for _, c := range []struct {
		expires    any
		used, over time.Duration
	}{
		{20, 9 * time.Second, 11 * time.Second},
		{`"40"`, 19 * time.Second, 21 * time.Second}, // as PayPal writes it
		{nil, 299 * time.Second, 301 * time.Second},
	} {
		l := newLogin(t, "c4nary")
		l.expires = c.expires
		v := newVault(clientSecret("c4nary"))
		s := v.source(l.auth())
		put(t, s, request(t, "https://api.example.com"))
		v.pass(c.used)
		put(t, s, request(t, "https://api.example.com"))
		if l.given != 1 {
			t.Errorf("one that expires in %v is not used for %v", c.expires, c.used)
		}
		v.pass(c.over - c.used)
		put(t, s, request(t, "https://api.example.com"))
		if l.given != 2 {
			t.Errorf("one that expires in %v is used for %v", c.expires, c.over)
		}
	}
}

func TestTheSecretOfTheClientCanGoIntoTheBody(t *testing.T) {
	l := newLogin(t, "c4nary")
	l.inParams = true
	auth := l.auth()
	auth.SecretInBody = true
	r := request(t, "https://api.example.com")
	put(t, newVault(clientSecret("c4nary")).source(auth), r)
	if r.Header.Get("Authorization") != "Bearer t0ken-1" || !strings.Contains(l.asked[0], "client_secret=c4nary") {
		t.Errorf("got %v, asked was %s", r.Header, l.asked)
	}
}

func TestARefusedTokenLeadsToANewOneWithTheSameSecret(t *testing.T) {
	l := newLogin(t, "c4nary")
	v := newVault(clientSecret("c4nary"))
	s := v.source(l.auth())
	r := request(t, "https://api.example.com")
	old := put(t, s, r)
	fresh, err := s.Renew(t.Context(), old)
	if fresh == nil || err != nil {
		t.Fatalf("it gives %v, error %v", fresh, err)
	}
	if _, err := fresh.Put(r, nil); err != nil || r.Header.Get("Authorization") != "Bearer t0ken-2" || v.readSoFar() != 1 {
		t.Errorf("the new one is %v, after %d reads of the secret", r.Header, v.readSoFar())
	}
}

func TestASecretOfTheClientThatWasRotatedIsReadAnew(t *testing.T) {
	l := newLogin(t, "old")
	v := newVault(clientSecret("old"))
	s := v.source(l.auth())
	r := request(t, "https://api.example.com")
	old := put(t, s, r)
	l.secret = "new"
	v.put("client", clientSecret("new")["client"])
	fresh, err := s.Renew(t.Context(), old)
	if fresh == nil || err != nil || v.readSoFar() != 2 || len(l.asked) != 3 {
		t.Fatalf("it gives %v, error %v, after %d reads of the secret and %d requests", fresh, err, v.readSoFar(), len(l.asked))
	}

	l.secret = "newer, and not in the vault"
	if fresh, err := s.Renew(t.Context(), fresh); fresh != nil || err == nil || len(l.asked) != 4 {
		t.Errorf("one that is not known yet gives %v, after %d requests", fresh, len(l.asked))
	}
}

func TestATokenURLThatGivesNoneIsAnErrorWithoutWhatItHasSaid(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"an error that repeats the secret": {func(w http.ResponseWriter, r *http.Request) {
			_, secret, _ := r.BasicAuth()
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"error":"invalid_scope","error_description":"%s"}`, secret)
		}, "the token URL answered 400 invalid_scope"},
		"a code that is none": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"error":"c4nary"}`)
		}, "the token URL answered 403"},
		"a page": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			fmt.Fprint(w, "<html>c4nary")
		}, "the token URL answered 502"},
		"a page for a token": {func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<html>c4nary") },
			"the token URL did not answer with a token as RFC 6749 has it"},
		"no token": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"id_token":"c4nary"}`)
		}, "the token URL did not answer with a token as RFC 6749 has it"},
		"a token of two lines": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"access_token":"c4nary\r\nX: y"}`)
		}, "a token that cannot stand in a header field"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere?secret=c4nary", http.StatusTemporaryRedirect)
		}, "the token URL answered 307"},
		"no HTTP": {func(w http.ResponseWriter, r *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			fmt.Fprint(conn, "c4nary\r\n\r\n")
			conn.Close()
		}, "the token URL could not be asked: http_protocol_error, the answer is not HTTP, or breaks its rules"},
		"an answer without an end": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"access_token":"`, strings.Repeat("c4nary", 1<<20), `"}`)
		}, "the token URL did not answer with a token as RFC 6749 has it"},
	} {
		l := newLogin(t, "c4nary")
		l.answer = c.answer
		_, err := newVault(clientSecret("c4nary")).source(l.auth()).Get(t.Context())
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "the secret client: ") {
			t.Errorf("%s gives %v, want %s", name, err, c.want)
			continue
		}
		if strings.Contains(err.Error(), "c4nary") {
			t.Errorf("%s: the message holds the secret: %v", name, err)
		}
		if len(l.asked) != 1 {
			t.Errorf("%s: it was asked %d times", name, len(l.asked))
		}
	}
}
