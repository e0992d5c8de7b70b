package credential

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// leastWebhookKey and mostWebhookKey bound the key of a signature, in bytes (Standard Webhooks, "Signature scheme").
const (
	leastWebhookKey = 24
	mostWebhookKey  = 64
)

// maxWebhookKeys is how many secrets sign at most: the one that comes, and the one that goes.
const maxWebhookKeys = 2

const expectedWebhookKeys = "expected is whsec_ and 24 to 64 bytes in base64, or two of these with a space between while one takes the place of the other"

// webhookKeys reads the secrets that callbacks are signed with.
func (s secret) webhookKeys(text string) (string, error) {
	keys := strings.Fields(text)
	if len(keys) == 0 || len(keys) > maxWebhookKeys {
		return "", s.unavailable(expectedWebhookKeys, nil)
	}
	for _, key := range keys {
		bytes, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(key, "whsec_"))
		if err != nil || len(bytes) < leastWebhookKey || len(bytes) > mostWebhookKey {
			return "", s.unavailable(expectedWebhookKeys, nil) // the error would tell of the key
		}
	}
	return strings.Join(keys, " "), nil
}

// signWebhook signs a callback, whose id is in it already, as Standard Webhooks has it: a signature for each secret, the time at
// which it is sent among what is signed.
func signWebhook(header http.Header, body []byte, keys string, at time.Time) error {
	var signatures []string
	for key := range strings.FieldsSeq(keys) {
		webhook, err := standardwebhooks.NewWebhook(key)
		if err != nil {
			return err
		}
		signature, err := webhook.Sign(header.Get(standardwebhooks.HeaderWebhookID), at, body)
		if err != nil {
			return err
		}
		signatures = append(signatures, signature)
	}
	header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	header.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	return nil
}
