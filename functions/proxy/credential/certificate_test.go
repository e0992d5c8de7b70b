package credential_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/proxy/credential"
)

// certificateSecret is the text of a secret with a new client certificate of a number.
func certificateSecret(t *testing.T, number int64) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(number), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]string{
		"certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		"key":         string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})),
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// presented is how a connection for a request with a credential is made.
func presented(t *testing.T, c *credential.Credential) *tls.Config {
	config := new(tls.Config)
	credential.Present(c.Connecting(t.Context()), config)
	return config
}

func TestAClientCertificateStandsAloneOrBesideAnotherCredential(t *testing.T) {
	v := newVault(map[string]string{"tls": certificateSecret(t, 1), "token": "t0ken"})
	for kind, authorization := range map[message.AuthKind]string{"": "Bearer caller", message.AuthBearer: "Bearer t0ken"} {
		r := request(t, "https://api.example.com", "Authorization", "Bearer caller")
		c := put(t, v.source(message.UpstreamAuth{Kind: kind, Secret: "token", Certificate: "tls"}), r)
		if n := len(presented(t, c).Certificates); n != 1 || r.Header.Get("Authorization") != authorization {
			t.Errorf("with %q there are %d certificates and Authorization %s", kind, n, r.Header.Get("Authorization"))
		}
	}
	none := put(t, v.source(message.UpstreamAuth{Kind: message.AuthBearer, Secret: "token"}), request(t, "https://api.example.com"))
	if config := presented(t, none); len(config.Certificates) != 0 || config.ClientSessionCache != nil {
		t.Error("there is a certificate that nobody has given")
	}
}

func TestACertificateThatWasReplacedHasSessionsOfItsOwn(t *testing.T) {
	v := newVault(map[string]string{"tls": certificateSecret(t, 1)})
	s := v.source(message.UpstreamAuth{Certificate: "tls"})
	old := put(t, s, request(t, "https://api.example.com"))
	if fresh, err := s.Renew(t.Context(), old); fresh != nil || err != nil {
		t.Errorf("the same one is tried again: %v, error %v", fresh, err)
	}
	v.put("tls", certificateSecret(t, 2))
	v.pass(5 * time.Minute)
	fresh := put(t, s, request(t, "https://api.example.com"))
	before, after := presented(t, old), presented(t, fresh)
	if bytes.Equal(before.Certificates[0].Certificate[0], after.Certificates[0].Certificate[0]) || before.ClientSessionCache == after.ClientSessionCache {
		t.Error("the connections are those of the old one")
	}
	if again, err := s.Renew(t.Context(), old); again == nil || err != nil {
		t.Errorf("after it was replaced it gives %v, error %v", again, err)
	}
}
