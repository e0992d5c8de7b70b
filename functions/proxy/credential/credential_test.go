package credential_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/proxy/credential"
)

// morning is the time on the clock of a vault. It stands still unless a test puts it forward.
var morning = time.Date(2026, 5, 4, 8, 0, 0, 0, time.UTC)

// A vault is a Secrets Manager, and a clock, in the hands of a test.
type vault struct {
	mu      sync.Mutex
	time    time.Time
	secrets map[string]string
	fails   error
	reads   int
	gate    chan struct{} // if there is one, a read waits until it is closed
}

func newVault(secrets map[string]string) *vault { return &vault{time: morning, secrets: secrets} }

func (v *vault) SecretString(ctx context.Context, id string) (*string, error) {
	v.mu.Lock()
	v.reads++
	text, found := v.secrets[id]
	fails, gate := v.fails, v.gate
	v.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	switch {
	case fails != nil:
		return nil, fails
	case !found:
		return nil, &smithy.GenericAPIError{Code: "ResourceNotFoundException", Message: "Secrets Manager can't find the specified secret."}
	}
	return &text, nil
}

func (v *vault) put(name, text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.secrets[name] = text
}

func (v *vault) pass(d time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.time = v.time.Add(d)
}

func (v *vault) now() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.time
}

func (v *vault) readSoFar() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.reads
}

// source is one with the secrets of a vault.
func (v *vault) source(auth message.UpstreamAuth) *credential.Source {
	return credential.New(auth, credential.Dependencies{
		Secrets: v,
		Tokens:  http.DefaultTransport,
		Now:     v.now,
	})
}

// request is one of a caller with fields, pairs of name and value.
func request(t testing.TB, target string, fields ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header[http.CanonicalHeaderKey(fields[i])] = []string{fields[i+1]}
	}
	return r
}

// put gets the credential and puts it into a request.
func put(t testing.TB, s *credential.Source, r *http.Request) *credential.Credential {
	t.Helper()
	c, err := s.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Put(r, nil); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEachKindPutsItsSecretWhereItBelongs(t *testing.T) {
	for _, c := range []struct {
		auth   message.UpstreamAuth
		secret string
		field  string
		want   string
	}{
		{message.UpstreamAuth{Kind: message.AuthBearer, Secret: "s"}, "t0ken\n", "Authorization", "Bearer t0ken"},
		{message.UpstreamAuth{Kind: message.AuthBearer, Secret: "s#token"}, `{"token":"t0ken","other":1}`, "Authorization", "Bearer t0ken"},
		{message.UpstreamAuth{Kind: message.AuthBasic, Secret: "s"}, `{"username":"u","password":"p:w","host":"db"}`, "Authorization", "Basic dTpwOnc="},
		{message.UpstreamAuth{Kind: message.AuthBasic, Secret: "s"}, "u:p:w\r\n", "Authorization", "Basic dTpwOnc="},
		{message.UpstreamAuth{Kind: message.AuthBasic, Secret: "s"}, "key:", "Authorization", "Basic a2V5Og=="},
		{message.UpstreamAuth{Kind: message.AuthBasic, Secret: "s#orders"}, `{"orders":{"username":"u","password":"p:w"}}`, "Authorization", "Basic dTpwOnc="},
		{message.UpstreamAuth{Kind: message.AuthBasic, Secret: "s#orders"}, `{"orders":"u:p:w"}`, "Authorization", "Basic dTpwOnc="},
		{message.UpstreamAuth{Kind: message.AuthHeader, Name: "X-Api-Key", Secret: "s"}, "k3y", "X-Api-Key", "k3y"},
		{message.UpstreamAuth{Kind: message.AuthHeader, Name: "Authorization", Secret: "s"}, "Token token=k3y", "Authorization", "Token token=k3y"},
		{message.UpstreamAuth{Kind: message.AuthHeader, Name: "x-api-key", Secret: "s#a"}, `{"a":"k3y"}`, "X-Api-Key", "k3y"},
	} {
		r := request(t, "https://api.example.com/v1?q=1", "Accept", "a/b", "Authorization", "Bearer caller")
		put(t, newVault(map[string]string{"s": c.secret}).source(c.auth), r)
		if got := r.Header.Get(c.field); got != c.want {
			t.Errorf("%+v puts %q into %s, want %q", c.auth, got, c.field, c.want)
		}
		if r.Header.Get("Accept") != "a/b" || r.URL.RawQuery != "q=1" {
			t.Errorf("%+v changes something else: %v", c.auth, r)
		}
		if c.field != "Authorization" && r.Header.Get("Authorization") != "Bearer caller" {
			t.Errorf("%+v takes the caller's Authorization away", c.auth)
		}
	}
}

func TestAQueryParameterTakesThePlaceOfTheCallersInEverySpelling(t *testing.T) {
	for query, want := range map[string]string{
		"":                                 "api_key=k3y%26%3D",
		"q=a+b%20c":                        "q=a+b%20c&api_key=k3y%26%3D",
		"api_key=mine&q=1":                 "q=1&api_key=k3y%26%3D",
		"q=1&api%5Fkey=mine&api_key&z=%zz": "q=1&z=%zz&api_key=k3y%26%3D",
	} {
		r := request(t, "https://api.example.com/v1")
		r.URL.RawQuery = query
		auth := message.UpstreamAuth{Kind: message.AuthQuery, Name: "api_key", Secret: "s"}
		put(t, newVault(map[string]string{"s": "k3y&="}).source(auth), r)
		if r.URL.RawQuery != want {
			t.Errorf("%q became %q, want %q", query, r.URL.RawQuery, want)
		}
	}
}

func TestAQueryParameterIsTakenOutOfLinks(t *testing.T) {
	auth := message.UpstreamAuth{Kind: message.AuthQuery, Name: "api_key", Secret: "s"}
	c := put(t, newVault(map[string]string{"s": "k3y/&"}).source(auth), request(t, "https://api.example.com"))
	headers := map[string]string{
		"location":     "https://api.example.com/v2?api_key=k3y%2f%26&page=2#top",
		"link":         `<https://api.example.com/?page=2&api_key=k3y%2F%26>; rel="next", <?api_key=k3y/%26>; rel="first"`,
		"content-type": "a/b?api_key=k3y",
		"refresh":      "5; url=/?my_api_key=1&api_key=k3y",
	}
	c.Remove(headers)
	for name, want := range map[string]string{
		"location":     "https://api.example.com/v2?api_key=&page=2#top",
		"link":         `<https://api.example.com/?page=2&api_key=>; rel="next", <?api_key=>; rel="first"`,
		"content-type": "a/b?api_key=k3y",
		"refresh":      "5; url=/?my_api_key=1&api_key=",
	} {
		if headers[name] != want {
			t.Errorf("%s is %s, want %s", name, headers[name], want)
		}
	}
}

func TestAFieldThatServersTakeForTheSameOneDoesNotGetThrough(t *testing.T) {
	r := request(t, "https://api.example.com", "X_Api_Key", "forged", "x-api_key", "forged", "X-Api-Keys", "other")
	put(t, newVault(map[string]string{"s": "k3y"}).source(message.UpstreamAuth{Kind: message.AuthHeader, Name: "X-Api-Key", Secret: "s"}), r)
	if len(r.Header) != 2 || r.Header.Get("X-Api-Key") != "k3y" || r.Header.Get("X-Api-Keys") != "other" {
		t.Errorf("the fields are %v", r.Header)
	}
}

func TestACallersOwnCredentialGoesUpstreamWhereThatIsAllowed(t *testing.T) {
	for _, c := range []struct {
		auth   message.UpstreamAuth
		fields []string
		query  string
		kept   bool
	}{
		{message.UpstreamAuth{Kind: message.AuthBearer}, []string{"Authorization", "Basic own"}, "", true},
		{message.UpstreamAuth{Kind: message.AuthBearer}, []string{"X-Api-Key", "own"}, "", false},
		{message.UpstreamAuth{Kind: message.AuthHeader, Name: "X-Api-Key"}, []string{"X-Api-Key", "own"}, "", true},
		{message.UpstreamAuth{Kind: message.AuthHeader, Name: "X-Api-Key"}, []string{"Authorization", "own"}, "", false},
		{message.UpstreamAuth{Kind: message.AuthQuery, Name: "key"}, nil, "key=own", true},
		{message.UpstreamAuth{Kind: message.AuthQuery, Name: "key"}, nil, "other=own", false},
		{message.UpstreamAuth{Kind: message.AuthSigV4, Service: "s3", Region: "eu-central-1"}, []string{"Authorization", "own"}, "", true},
	} {
		c.auth.Secret, c.auth.CallersOverride = "s", true
		v := newVault(map[string]string{"s": "k3y"})
		s := credential.New(c.auth, credential.Dependencies{Secrets: v, Role: role, Now: v.now})
		r := request(t, "https://api.example.com?"+c.query, c.fields...)
		before := fmt.Sprint(r.Header, r.URL)
		got, err := s.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ours, err := got.Put(r, nil)
		if kept := fmt.Sprint(r.Header, r.URL) == before; err != nil || kept != c.kept || (ours == nil) != c.kept {
			t.Errorf("%+v with %v and %q: the request stays as it was: %v, and ours is put: %v, error %v", c.auth, c.fields, c.query, kept, ours, err)
		}
	}
}

// Whoever gives the wrong secret is told what is expected, and nobody is told what was found.
func TestASecretOfAnotherShapeIsAnErrorThatSaysWhatIsExpected(t *testing.T) {
	bearer, basic := message.UpstreamAuth{Kind: message.AuthBearer}, message.UpstreamAuth{Kind: message.AuthBasic}
	header, client := message.UpstreamAuth{Kind: message.AuthHeader, Name: "X-Api-Key"}, message.UpstreamAuth{Kind: message.AuthOAuth2, TokenURL: "https://login.example.com"}
	for _, c := range []struct {
		auth   message.UpstreamAuth
		field  string
		secret string
		want   string
	}{
		{bearer, "", "", "it is empty; expected is a token in one line"},
		{bearer, "", " \n", "it is empty"},
		{bearer, "", "Bearer c4nary", "expected is a token alone, without Bearer before it"},
		{bearer, "", "c4nary\nc4nary", "it has control characters; expected is a token in one line"},
		{bearer, "", `{"token":"c4nary"}`, "it is a JSON object; expected is a token in one line, or the name of a field behind a number sign"},
		{bearer, "#token", "c4nary", "a field of it is named, and it is no JSON object"},
		{bearer, "#token", `["c4nary"]`, "a field of it is named, and it is no JSON object"},
		{bearer, "#token", `{"Token":"c4nary"}`, "it has no field of the name that is given"},
		{bearer, "#token", `{"token":17,"x":"c4nary"}`, "the field that is named is no string"},
		{bearer, "#token", `{"token":null,"x":"c4nary"}`, "the field that is named is no string"},
		{header, "", `{"k":"c4nary"}`, "it is a JSON object; expected is a text in one line"},
		{header, "", "c4nary\x00", "it has control characters"},
		{basic, "", "c4nary", `expected is {"username": "...", "password": "..."}, or a name and a password with a colon between them`},
		{basic, "", `{"user":"c4nary","password":"c4nary"}`, `expected is {"username": "...", "password": "..."}`},
		{basic, "", `{"username":"c4nary","password":17}`, `expected is {"username": "...", "password": "..."}`},
		{basic, "", `{"username":"c4:nary","password":"c4nary"}`, "a name has no colon"},
		{basic, "", "c4nary:c4\nnary", "neither has control characters"},
		{basic, "", ":", `expected is {"username"`},
		{client, "", `{"client_id":"c4nary"}`, `expected is {"client_id": "...", "client_secret": "..."}`},
		{client, "", "c4nary:c4nary", `expected is {"client_id": "...", "client_secret": "..."}`},
		{message.UpstreamAuth{Certificate: "s"}, "", "-----BEGIN CERTIFICATE-----\nc4nary", `expected is {"certificate": "...", "key": "..."}, both in PEM`},
		{message.UpstreamAuth{Certificate: "s"}, "", `{"certificate":"-----BEGIN c4nary-----\nYw==\n-----END c4nary-----","key":"c4nary"}`, `both in PEM, the key that of the first certificate`},
	} {
		if c.auth.Kind != "" {
			c.auth.Secret = "s" + c.field
		}
		_, err := newVault(map[string]string{"s": c.secret}).source(c.auth).Get(t.Context())
		var unavailable *credential.Error
		if !errors.As(err, &unavailable) {
			t.Errorf("%q gives %v", c.secret, err)
			continue
		}
		if !strings.Contains(unavailable.Details, c.want) || unavailable.Secret != "s" || !strings.Contains(err.Error(), "the secret s: ") {
			t.Errorf("%q gives %q, want %q in it and the secret named", c.secret, err, c.want)
		}
		if strings.Contains(err.Error(), "c4nary") {
			t.Errorf("the message holds the secret: %v", err)
		}
	}
}

func TestASecretThatCannotBeReadIsAnErrorWithTheCodeAlone(t *testing.T) {
	v := newVault(map[string]string{"s": "k3y"})
	s := v.source(message.UpstreamAuth{Kind: message.AuthBearer, Secret: "s"})
	denied := &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "User: arn:aws:sts::1:assumed-role/proxy is not authorized"}
	for _, c := range []struct {
		fails   error
		details string
	}{
		{denied, "AWS Secrets Manager answered AccessDeniedException"},
		{fmt.Errorf("sent: %w", context.DeadlineExceeded), "AWS Secrets Manager did not answer in time"},
		{errors.New("dial tcp 192.0.2.1:443: connection refused"), "AWS Secrets Manager could not be asked"},
	} {
		v.fails = c.fails
		_, err := s.Get(t.Context())
		var unavailable *credential.Error
		if !errors.As(err, &unavailable) || unavailable.Details != c.details || !strings.Contains(err.Error(), c.fails.Error()) || !errors.Is(err, c.fails) {
			t.Errorf("%v gives %v with the details %q, want %q", c.fails, err, unavailable.Details, c.details)
		}
	}
	v.fails = nil
	if _, err := s.Get(t.Context()); err != nil {
		t.Errorf("an error is kept: %v", err)
	}
}

func TestASecretIsReadOnceInFiveMinutes(t *testing.T) {
	v := newVault(map[string]string{"s": "old"})
	s := v.source(message.UpstreamAuth{Kind: message.AuthBearer, Secret: "s"})
	if v.readSoFar() != 0 {
		t.Fatal("it is read before it is needed")
	}
	authorization := func() string {
		r := request(t, "https://api.example.com")
		put(t, s, r)
		return r.Header.Get("Authorization")
	}
	authorization()
	v.put("s", "new")
	v.pass(4*time.Minute + 59*time.Second)
	if got := authorization(); got != "Bearer old" || v.readSoFar() != 1 {
		t.Errorf("within five minutes it is %s, after %d reads", got, v.readSoFar())
	}
	v.pass(time.Second)
	if got := authorization(); got != "Bearer new" || v.readSoFar() != 2 {
		t.Errorf("after five minutes it is %s, after %d reads", got, v.readSoFar())
	}
}

func TestManyCallersAtOnceAreOneRead(t *testing.T) {
	v := newVault(map[string]string{"s": "k3y"})
	v.gate = make(chan struct{})
	s := v.source(message.UpstreamAuth{Kind: message.AuthBearer, Secret: "s"})
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := s.Get(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	close(v.gate)
	all.Wait()
	if v.readSoFar() != 1 {
		t.Errorf("it was read %d times", v.readSoFar())
	}
}

func TestWhoHasNoTimeLeftDoesNotWaitForTheReadOfAnother(t *testing.T) {
	v := newVault(map[string]string{"s": "k3y"})
	v.gate = make(chan struct{})
	s := v.source(message.UpstreamAuth{Kind: message.AuthBearer, Secret: "s"})
	first := make(chan error)
	go func() {
		_, err := s.Get(t.Context())
		first <- err
	}()
	for v.readSoFar() == 0 {
		time.Sleep(time.Millisecond)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Get(over); !errors.Is(err, context.Canceled) {
		t.Errorf("without time left it gives %v", err)
	}
	close(v.gate)
	if err := <-first; err != nil {
		t.Errorf("the read of the other gives %v", err)
	}
}

func TestARefusedCredentialIsReadAnewAndOnlyTriedAgainIfItHasChanged(t *testing.T) {
	v := newVault(map[string]string{"s": `{"token":"old","unrelated":1}`})
	s := v.source(message.UpstreamAuth{Kind: message.AuthBearer, Secret: "s#token"})
	r := request(t, "https://api.example.com")
	old := put(t, s, r)

	v.put("s", `{"token":"old","unrelated":2}`)
	if fresh, err := s.Renew(t.Context(), old); fresh != nil || err != nil || v.readSoFar() != 2 {
		t.Errorf("the same one is tried again: %v, error %v, after %d reads", fresh, err, v.readSoFar())
	}
	v.put("s", `{"token":"new"}`)
	if fresh, err := s.Renew(t.Context(), put(t, s, r)); fresh != nil || err != nil || v.readSoFar() != 2 {
		t.Errorf("it is read again at once: %v, error %v, after %d reads", fresh, err, v.readSoFar())
	}
	v.pass(5 * time.Second)
	old = put(t, s, r)
	fresh, err := s.Renew(t.Context(), old)
	if fresh == nil || err != nil || v.readSoFar() != 3 {
		t.Fatalf("one that has changed gives %v, error %v, after %d reads", fresh, err, v.readSoFar())
	}
	if _, err := fresh.Put(r, nil); err != nil || r.Header.Get("Authorization") != "Bearer new" {
		t.Errorf("the new one is %v, error %v", r.Header, err)
	}
	// Another request was refused with the old one as well.
	if again, err := s.Renew(t.Context(), old); again == nil || err != nil || v.readSoFar() != 3 {
		t.Errorf("for another request it is %v, error %v, after %d reads", again, err, v.readSoFar())
	}
	s.RenewedInVain()
	v.put("s", "no JSON")
	if fresh, err := s.Renew(t.Context(), fresh); fresh != nil || err != nil || v.readSoFar() != 3 {
		t.Errorf("one that was new and refused is read again at once: %v, error %v, after %d reads", fresh, err, v.readSoFar())
	}
	v.pass(5 * time.Second)
	if fresh, err := s.Renew(t.Context(), fresh); fresh != nil || err == nil {
		t.Errorf("one of another shape gives %v", fresh)
	}
}

// role has the credentials of a function's role.
func role(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", SessionToken: "t0ken"}, nil
}
