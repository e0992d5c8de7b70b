package credential_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/proxy/credential"
)

// texts are the texts of secrets, by name.
type texts map[string]string

func (t texts) SecretString(_ context.Context, id string) (*string, error) {
	text := t[id]
	return &text, nil
}

// callback is one, signed with the secret of a text.
func callback(t *testing.T, text string, body string) (*http.Request, error) {
	t.Helper()
	source := credential.New(message.UpstreamAuth{Kind: message.AuthWebhook, Secret: "hooks"}, credential.Dependencies{Secrets: texts{"hooks": text}})
	own, err := source.Get(t.Context())
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequest(http.MethodPost, "https://hooks.example.com/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Webhook-Id", "msg_1")
	_, err = own.Put(request, []byte(body))
	return request, err
}

func TestACallbackIsSignedAsStandardWebhooksHasIt(t *testing.T) {
	first, second := "whsec_"+base64.StdEncoding.EncodeToString([]byte(strings.Repeat("a", 24))), base64.StdEncoding.EncodeToString([]byte(strings.Repeat("b", 64)))
	for _, text := range []string{first, second, first + " " + second, " " + second + "\n" + first + "\n"} {
		request, err := callback(t, text, `{"a":1}`)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range strings.Fields(text) {
			receiver, err := standardwebhooks.NewWebhook(key)
			if err != nil {
				t.Fatal(err)
			}
			if err := receiver.Verify([]byte(`{"a":1}`), request.Header); err != nil { // the time is now, within five minutes
				t.Errorf("who has one of the secrets cannot verify it: %v: %v", err, request.Header)
			}
			if receiver.Verify([]byte(`{"a":2}`), request.Header) == nil {
				t.Error("another body has the same signature")
			}
		}
	}
	stranger, err := standardwebhooks.NewWebhook(base64.StdEncoding.EncodeToString([]byte(strings.Repeat("c", 24))))
	if err != nil {
		t.Fatal(err)
	}
	if request, err := callback(t, first, "{}"); err != nil || stranger.Verify([]byte("{}"), request.Header) == nil {
		t.Errorf("who has another secret can verify it: %v", err)
	}
}

func TestASignatureHasTheTimeAtWhichItIsSent(t *testing.T) {
	now := time.Date(2026, 5, 4, 8, 0, 0, 0, time.UTC)
	key := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("a", 32)))
	source := credential.New(message.UpstreamAuth{Kind: message.AuthWebhook, Secret: "hooks"}, credential.Dependencies{
		Secrets: texts{"hooks": key}, Now: func() time.Time { return now },
	})
	var seen []string
	for range 2 {
		own, err := source.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		header := http.Header{"Webhook-Id": {"msg_1"}}
		if _, err := own.Put(&http.Request{Header: header}, nil); err != nil {
			t.Fatal(err)
		}
		seen = append(seen, header.Get("webhook-timestamp"), header.Get("webhook-signature"))
		now = now.Add(time.Minute)
	}
	if seen[0] != "1777881600" || seen[2] != "1777881660" || seen[1] == seen[3] {
		t.Errorf("the callbacks have the times and signatures %q", seen)
	}
}

func TestASecretThatSignsNothingIsSaidToBeSoWithoutIt(t *testing.T) {
	for _, text := range []string{
		"", "   ", "s3cret!", "whsec_", "whsec_c2hvcnQ=", `{"secret":"whsec_YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh"}`,
		strings.Repeat("YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh ", 3), base64.StdEncoding.EncodeToString(make([]byte, 65)),
	} {
		_, err := callback(t, text, "{}")
		if err == nil || !strings.Contains(err.Error(), "whsec_ and 24 to 64 bytes in base64") || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "YWFh") {
			t.Errorf("%q: the error is %v", text, err)
		}
	}
}
