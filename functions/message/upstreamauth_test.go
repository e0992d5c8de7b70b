package message_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

func TestTheShortFormNamesTheSecretBehindTheLastColon(t *testing.T) {
	for text, want := range map[string]message.UpstreamAuth{
		"bearer:orders/token":              {Kind: "bearer", Secret: "orders/token"},
		"bearer:orders/keys#live":          {Kind: "bearer", Secret: "orders/keys#live"},
		"basic:orders/user":                {Kind: "basic", Secret: "orders/user"},
		"header/X-Api-Key:orders/keys#a b": {Kind: "header", Name: "X-Api-Key", Secret: "orders/keys#a b"},
		"query/api_key:orders/key":         {Kind: "query", Name: "api_key", Secret: "orders/key"},
		"certificate:orders/tls":           {Certificate: "orders/tls"},
		"oauth2/https://login.example.com:8443/a/b:orders/client": {
			Kind: "oauth2", TokenURL: "https://login.example.com:8443/a/b", Secret: "orders/client"},
		"oauth2/http://127.0.0.1:9000/token:orders/client#x": {
			Kind: "oauth2", TokenURL: "http://127.0.0.1:9000/token", Secret: "orders/client#x"},
	} {
		got, err := message.ParseUpstreamAuth(text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s is read with the error %v (-want +got):\n%s", text, err, diff)
		}
	}
}

// Somebody may give the secret itself where its name is wanted.
func TestWhatIsWrongInTheShortFormIsSaidWithoutWhatWasGiven(t *testing.T) {
	for text, want := range map[string]string{
		"c4nary":                           "it has no colon; give one of bearer:SECRET, basic:SECRET, header/NAME:SECRET",
		"digest:c4nary":                    "it does not begin with a kind that is known",
		":c4nary":                          "it does not begin with a kind that is known",
		"sigv4/s3:c4nary":                  "it does not begin with a kind that is known",
		"bearer:":                          "behind the last colon is not the name of a secret",
		"bearer:#c4nary":                   "behind the last colon is not the name of a secret",
		"bearer:c4nary with spaces":        "behind the last colon is not the name of a secret, which is made of letters, digits and /_+=.@-",
		"bearer:c4nary#":                   "a number sign without the name of a field behind it",
		"bearer/X:c4nary":                  "bearer is written as bearer:SECRET",
		"header:c4nary":                    "header is written as header/NAME:SECRET",
		"header/:c4nary":                   `the header field is ""`,
		"header/Host:c4nary":               "the header field Host is written by whoever sends a request on",
		"header/X-Amz-Target:c4nary":       "the header field X-Amz-Target is written by",
		"query/:c4nary":                    `the query parameter is ""`,
		"oauth2:c4nary":                    "oauth2 is written as oauth2/TOKEN-URL:SECRET",
		"oauth2/login:c4nary":              "the token URL is none",
		"oauth2/https://u:p@login:c4nary":  "the token URL is none",
		"oauth2/http://login.test:c4nary":  "the token URL has the host login.test and plain http",
		"oauth2/ftp://login.test/:c4nary":  "the token URL is none",
		"oauth2/https://login.test#f:c4na": "the token URL is none",
	} {
		_, err := message.ParseUpstreamAuth(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v, want %s", text, err, want)
		} else if strings.Contains(err.Error(), "c4nary") {
			t.Errorf("%s: what was given is repeated: %v", text, err)
		}
	}
}

func TestTheEnvironmentSaysHowToAuthenticate(t *testing.T) {
	read := func(text string) (message.UpstreamAuth, error) {
		return message.UpstreamAuthFrom(func(name string) string { return map[string]string{"UPSTREAM_AUTH": text}[name] })
	}
	for _, want := range []message.UpstreamAuth{
		{Kind: "bearer", Secret: "arn:aws:secretsmanager:eu-central-1:123456789012:secret:orders/token-AbCdEf#live", CallersOverride: true},
		{Kind: "oauth2", Secret: "s", TokenURL: "https://login.example.com", Scopes: []string{"a", "b"}, Audience: "c", SecretInBody: true},
		{Kind: "sigv4", Service: "execute-api", Region: "eu-central-1"},
		{Kind: "header", Name: "X-Api-Key", Secret: "s", Certificate: "tls"},
	} {
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := read(string(text)); err != nil || !cmp.Equal(want, got) {
			t.Errorf("%s is read as %+v, error %v", text, got, err)
		}
	}
	if got, err := read(""); err != nil || !got.IsZero() {
		t.Errorf("nothing is read as %+v, error %v", got, err)
	}
	for text, want := range map[string]string{
		"bearer:c4nary":                       "UPSTREAM_AUTH is not a JSON object that says how to authenticate",
		`{"kind":"c4nary"`:                    "UPSTREAM_AUTH is not a JSON object",
		`{}`:                                  "UPSTREAM_AUTH: it is empty",
		`{"kind":"digest","secret":"c4nary"}`: `UPSTREAM_AUTH: the kind is "digest"`,
		`{"kind":"basic"}`:                    "UPSTREAM_AUTH: it names no secret",
		`{"kind":"sigv4","service":"s3"}`:     `the service is "s3" and the region ""`,
		`{"kind":"oauth2","secret":"c4nary","tokenUrl":"https://a.example","scopes":["a b"]}`: `the scope "a b" is none`,
		`{"certificate":"c4nary#"}`: "the client certificate has a number sign without the name of a field behind it",
	} {
		_, err := read(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "c4nary") {
			t.Errorf("%s gives %v, want %s", text, err, want)
		}
	}
}

func TestWhatACredentialReplacesIsOneFieldOrParameter(t *testing.T) {
	for want, auth := range map[string]message.UpstreamAuth{
		"authorization": {Kind: "bearer"},
		"x-api-key":     {Kind: "header", Name: "X-Api-Key"},
		"?Api_Key":      {Kind: "query", Name: "Api_Key"},
		"":              {Certificate: "tls"},
	} {
		if got := auth.Replaces(); got != want {
			t.Errorf("%+v replaces %q, want %q", auth, got, want)
		}
		auth.CallersOverride = true
		if got := auth.Replaces(); got != "" {
			t.Errorf("where callers override %+v, it replaces %q", auth, got)
		}
	}
}

func TestAFieldThatIsTheSameOnEveryRequestIsNoneOfOthersAndNoSecret(t *testing.T) {
	for _, name := range []string{"Stripe-Version", "OpenAI-Organization", "Accept", "User-Agent", "X-Tenant", "anthropic-version"} {
		if err := message.CheckFixedField(name, "2026-05-04, \"a\"\té"); err != nil {
			t.Errorf("%s is refused: %v", name, err)
		}
	}
	for name, want := range map[string]string{
		"Authorization": "carries a credential", "Cookie": "carries a credential", "X-Api-Key": "carries a credential", "X_Api_Key": "carries a credential",
		"PRIVATE-TOKEN": "carries a credential", "X-Auth-Token": "carries a credential", "X-Client-Secret": "carries a credential",
		"Ocp-Apim-Subscription-Key": "carries a credential", "X-Hub-Signature-256": "carries a credential",
		"Host": "written by whoever", "connection": "written by whoever", "TE": "written by whoever", "Content-Length": "written by whoever",
		"Idempotency-Key": "written by whoever", "Prefer": "written by whoever", "Via": "written by whoever", "X-Forwarded-For": "written by whoever",
		"X-Amz-Date": "written by whoever", "Upstream-Authorization": "written by whoever", "a b": "the header field is \"a b\"", "": "the header field is \"\"",
	} {
		if err := message.CheckFixedField(name, "v"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v, want %s", name, err, want)
		}
	}
	for _, value := range []string{"a\r\nX: y", "a\x00", "\x7f"} {
		if err := message.CheckFixedField("X-Tenant", value); err == nil || !strings.Contains(err.Error(), "control characters") {
			t.Errorf("the value %q gives %v", value, err)
		}
	}
}
