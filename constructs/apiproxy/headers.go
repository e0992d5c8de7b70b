package apiproxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// validateHeaders names the fixed header fields that cannot be.
func (u Upstream) validateHeaders() error {
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(u.Headers)) {
		err := message.CheckFixedField(name, u.Headers[name])
		switch {
		case err != nil && strings.Contains(err.Error(), "credential"):
			err = fmt.Errorf("%w; give it by Upstream.Auth, such as with SecretHeader", err)
		case err == nil && u.Auth.form.Kind == message.AuthHeader && strings.EqualFold(name, u.Auth.form.Name):
			err = fmt.Errorf("the header field %s is the one that Upstream.Auth sets", name)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("Upstream.Headers: %w", err))
		}
	}
	return errors.Join(problems...)
}

// headersJSON writes the fixed header fields for the proxies' environment.
func (u Upstream) headersJSON() *string {
	text, err := json.Marshal(u.Headers)
	if err != nil {
		panic(err) // it is made of strings
	}
	return jsii.String(string(text))
}

// withoutQuery is a URL for a message: the query may hold a key.
func withoutQuery(u *url.URL) string {
	shown := *u
	shown.RawQuery, shown.ForceQuery = "", false
	return shown.Redacted()
}
