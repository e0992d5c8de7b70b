package credential_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/proxy/credential"
)

// signing is a source that signs for a service.
func signing(service string) *credential.Source {
	return credential.New(message.UpstreamAuth{Kind: message.AuthSigV4, Service: service, Region: "us-east-1"}, credential.Dependencies{
		Role: role, Now: func() time.Time { return morning },
	})
}

// signed is a request after it was signed.
func signed(t *testing.T, service string, r *http.Request, body string) *http.Request {
	t.Helper()
	c, err := signing(service).Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if ours, err := c.Put(r, []byte(body)); err != nil || ours == nil {
		t.Fatalf("it is signed: %v, error %v", ours, err)
	}
	return r
}

func TestASignatureCoversTheHostTheTypeTheBodyAndWhatIsForAWS(t *testing.T) {
	r := request(t, "https://dynamodb.us-east-1.amazonaws.com/", "X-Amz-Target", "DynamoDB_20120810.GetItem", "Content-Type", "application/x-amz-json-1.0",
		"Via", "1.1 gateway", "Authorization", "Bearer caller", "X-Amz-Date", "20000101T000000Z", "X-Amz-Security-Token", "forged")
	signed(t, "dynamodb", r, "{}")
	for name, want := range map[string]string{
		"X-Amz-Date":           "20260504T080000Z",
		"X-Amz-Security-Token": "t0ken",
		"X-Amz-Target":         "DynamoDB_20120810.GetItem",
		"Via":                  "1.1 gateway",
		"X-Amz-Content-Sha256": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
	} {
		if got := r.Header.Values(name); len(got) != 1 || got[0] != want {
			t.Errorf("%s is %v, want %s", name, got, want)
		}
	}
	authorization := r.Header.Get("Authorization")
	for _, part := range []string{
		"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260504/us-east-1/dynamodb/aws4_request",
		"SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token;x-amz-target",
	} {
		if !strings.Contains(authorization, part) {
			t.Errorf("Authorization is %s, without %s", authorization, part)
		}
	}
	other := signed(t, "dynamodb", request(t, "https://dynamodb.us-east-1.amazonaws.com/", "X-Amz-Target", "DynamoDB_20120810.GetItem", "Content-Type", "application/x-amz-json-1.0"), "{ }")
	if other.Header.Get("Authorization") == authorization {
		t.Error("another body has the same signature")
	}
}

func TestTheQueryGoesUpstreamAsItWasSigned(t *testing.T) {
	r := request(t, "https://api.example.com/")
	r.URL.RawQuery = "b=2&a=1+1;2&c"
	if signed(t, "execute-api", r, ""); r.URL.RawQuery != "a=1%201%3B2&b=2&c=" {
		t.Errorf("it is %s", r.URL.RawQuery)
	}
	c, err := signing("execute-api").Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	bad := request(t, "https://api.example.com/")
	bad.URL.RawQuery = "a=%zz"
	if _, err := c.Put(bad, nil); err == nil || bad.Header.Get("Authorization") != "" {
		t.Errorf("one that is not well escaped is signed, error %v", err)
	}
}

func TestForS3ThePathIsSignedAsItReadsItAndSentAsItCame(t *testing.T) {
	sent := func(path string) *http.Request {
		r := request(t, "https://bucket.s3.amazonaws.com"+path)
		return signed(t, "s3", r, "")
	}
	plain, escaped := sent("/a!b/c%20d"), sent("/a%21b/c%20d")
	if plain.Header.Get("Authorization") != escaped.Header.Get("Authorization") {
		t.Error("two spellings of a key have two signatures")
	}
	if plain.URL.EscapedPath() != "/a!b/c%20d" {
		t.Errorf("the path is sent as %s", plain.URL.EscapedPath())
	}
	if other := sent("/a!b/c%2520d"); other.Header.Get("Authorization") == plain.Header.Get("Authorization") {
		t.Error("another key has the same signature")
	}
}

// The signatures are those that botocore makes of the same request.
func TestSignaturesAreThoseOfAnotherImplementation(t *testing.T) {
	for service, want := range map[string]string{
		"s3":          "4fe64ede507a2216175950bef9a2f866ae8cd7ee49c4caf9fafde07961da0d64",
		"execute-api": "f5e365947b4a269311b6d472c1134923709bb15995b21db34cc1fa1ff762e718",
	} {
		r := request(t, "https://bucket.s3.amazonaws.com/a!b/c%20d/e*f(1)%2Bx?prefix=a+b&list-type=2", "X-Amz-Meta-A", "x  y", "Content-Type", "text/plain")
		if got := signed(t, service, r, "hello").Header.Get("Authorization"); !strings.HasSuffix(got, "Signature="+want) {
			t.Errorf("for %s it is %s, want %s", service, got, want)
		}
	}
}

func TestARoleWithoutCredentialsIsAnError(t *testing.T) {
	none := errors.New("no provider")
	s := credential.New(message.UpstreamAuth{Kind: message.AuthSigV4, Service: "s3", Region: "us-east-1"}, credential.Dependencies{
		Role: func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, none },
	})
	_, err := s.Get(t.Context())
	var unavailable *credential.Error
	if !errors.As(err, &unavailable) || unavailable.Details != "the credentials of the function's role could not be had" || !errors.Is(err, none) {
		t.Errorf("it gives %v", err)
	}
}

func TestASignatureThatIsRefusedIsNotTriedAgain(t *testing.T) {
	s := signing("s3")
	c, err := s.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if fresh, err := s.Renew(t.Context(), c); fresh != nil || err != nil {
		t.Errorf("it gives %v, error %v", fresh, err)
	}
}
