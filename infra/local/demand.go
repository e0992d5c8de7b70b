package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/proxy/credential"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/secretsmanager"
)

// A demander looks whether requests have the credential that the proxies authenticate with, as the secret is at the moment:
// so it is where one can watch what becomes of a secret that is changed.
type demander struct {
	auth   message.UpstreamAuth
	source *credential.Source
}

func newDemander(auth message.UpstreamAuth, secrets *secretsmanager.Store) *demander {
	return &demander{auth: auth, source: credential.New(auth, credential.Dependencies{
		Secrets:   inProcess{secrets},
		CacheTime: time.Nanosecond,
	})}
}

// admits says whether a request has the credential, and takes it out, lest the demo shows it to the caller as it shows all
// that it is sent. Tokens of OAuth 2.0 are not known here, nor are client certificates, without TLS: any token will do.
func (d *demander) admits(r *http.Request) bool {
	switch d.auth.Kind {
	case "":
		return true
	case message.AuthOAuth2:
		admitted := strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ")
		r.Header.Del("Authorization")
		return admitted
	}
	current, err := d.source.Get(r.Context())
	if err != nil {
		return false
	}
	// What it would be with the credential in the place of what is there is what it is already.
	wanted := r.Clone(r.Context())
	if _, err := current.Put(wanted, nil); err != nil {
		return false
	}
	field := "Authorization"
	switch d.auth.Kind {
	case message.AuthHeader:
		field = d.auth.Name
	case message.AuthQuery:
		admitted := r.URL.Query().Get(d.auth.Name) == wanted.URL.Query().Get(d.auth.Name)
		query := r.URL.Query()
		query.Del(d.auth.Name)
		r.URL.RawQuery = query.Encode()
		r.RequestURI = r.URL.RequestURI()
		return admitted
	}
	admitted := r.Header.Get(field) == wanted.Header.Get(field)
	r.Header.Del(field)
	return admitted
}

// inProcess is the Secrets Manager of the stack, without HTTP.
type inProcess struct{ store *secretsmanager.Store }

func (p inProcess) SecretString(ctx context.Context, id string) (*string, error) {
	input, err := json.Marshal(map[string]string{"SecretId": id})
	if err != nil {
		return nil, err
	}
	output, err := p.store.Call(ctx, "GetSecretValue", input)
	if err != nil {
		return nil, err
	}
	var secret struct{ SecretString *string }
	err = json.Unmarshal(output, &secret)
	return secret.SecretString, err
}
