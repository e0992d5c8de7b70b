package cloudformation

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/secretsmanager"
)

// A Secret is an AWS::SecretsManager::Secret.
type Secret struct {
	Name        string
	ARN         string
	Description string
	Tags        map[string]string

	// Value is what the template says, or what was generated as it says: another one each time that the template is
	// loaded. It is empty if the template has neither.
	Value string

	// Generated says that the value was generated.
	Generated bool
}

// secretName is the name that the property sets, or the logical id. CloudFormation adds characters of its own to that.
func secretName(l *loader, r *resource) (string, error) {
	if value, given := r.Properties["Name"]; given {
		return l.text(value)
	}
	return r.id, nil
}

func secretARN(l *loader, r *resource) (any, error) {
	name, err := secretName(l, r)
	return secretsmanager.ARN(Region, AccountID, name), err
}

func loadSecret(l *loader, r *resource, properties map[string]any) error {
	var p struct {
		Name, Description    string
		SecretString         *string
		GenerateSecretString *generation
		Tags                 []struct{ Key, Value string }
	}
	if err := into(properties, &p); err != nil {
		return err
	}
	name, err := secretName(l, r)
	if err != nil {
		return err
	}
	secret := Secret{Name: name, ARN: secretsmanager.ARN(Region, AccountID, name), Description: p.Description}
	switch {
	case p.SecretString != nil && p.GenerateSecretString != nil:
		return errors.New("it has a SecretString and a GenerateSecretString; CloudFormation takes one of them")
	case p.SecretString != nil:
		secret.Value = *p.SecretString
	case p.GenerateSecretString != nil:
		secret.Generated = true
		if secret.Value, err = p.GenerateSecretString.value(); err != nil {
			return err
		}
	}
	for _, tag := range p.Tags {
		if secret.Tags == nil {
			secret.Tags = map[string]string{}
		}
		secret.Tags[tag.Key] = tag.Value
	}
	l.stack.Secrets = append(l.stack.Secrets, secret)
	return nil
}

// A generation is the property GenerateSecretString: how a password is made up, and the JSON that it is put into, if any.
type generation struct {
	ExcludeCharacters                                                      string
	ExcludeLowercase, ExcludeUppercase, ExcludeNumbers, ExcludePunctuation bool
	GenerateStringKey, SecretStringTemplate                                string
	IncludeSpace                                                           bool
	PasswordLength                                                         *int
	RequireEachIncludedType                                                *bool
}

// Secrets Manager's default and limit.
const (
	defaultPasswordLength = 32
	maxPasswordLength     = 4096
)

// value makes up a value.
func (g *generation) value() (string, error) {
	password, err := g.password()
	if err != nil {
		return "", err
	}
	if (g.GenerateStringKey == "") != (g.SecretStringTemplate == "") {
		return "", errors.New("its GenerateSecretString has one of SecretStringTemplate and GenerateStringKey; CloudFormation takes both, or neither")
	}
	if g.GenerateStringKey == "" {
		return password, nil
	}
	// Neither error quotes the template, which may hold secrets, too.
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(g.SecretStringTemplate), &members); err != nil || members == nil {
		return "", errors.New("its SecretStringTemplate is no JSON object")
	}
	if _, taken := members[g.GenerateStringKey]; taken {
		return "", fmt.Errorf("its SecretStringTemplate has the key %s already, which is for what is generated", g.GenerateStringKey)
	}
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(g.SecretStringTemplate)); err != nil {
		return "", err
	}
	b.Truncate(b.Len() - 1) // the brace
	if len(members) > 0 {
		b.WriteByte(',')
	}
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	for i, text := range []string{g.GenerateStringKey, password} {
		if i > 0 {
			b.WriteByte(':')
		}
		if err := encoder.Encode(text); err != nil {
			return "", err
		}
		b.Truncate(b.Len() - 1) // the end of the line
	}
	b.WriteByte('}')
	return b.String(), nil
}

func (g *generation) password() (string, error) {
	length := defaultPasswordLength
	if g.PasswordLength != nil {
		length = *g.PasswordLength
	}
	if length < 1 || length > maxPasswordLength {
		return "", fmt.Errorf("its PasswordLength is %d; CloudFormation takes 1 to %d", length, maxPasswordLength)
	}
	var kinds []string
	var password []byte
	for _, kind := range []struct {
		excluded   bool
		characters string
	}{
		{g.ExcludeLowercase, "abcdefghijklmnopqrstuvwxyz"},
		{g.ExcludeUppercase, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
		{g.ExcludeNumbers, "0123456789"},
		{g.ExcludePunctuation, "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"},
		{!g.IncludeSpace, " "},
	} {
		left := strings.Map(func(c rune) rune {
			if kind.excluded || strings.ContainsRune(g.ExcludeCharacters, c) {
				return -1
			}
			return c
		}, kind.characters)
		if left != "" {
			kinds = append(kinds, left)
		}
	}
	if len(kinds) == 0 {
		return "", errors.New("its GenerateSecretString excludes all characters")
	}
	if g.RequireEachIncludedType == nil || *g.RequireEachIncludedType {
		if len(kinds) > length {
			return "", fmt.Errorf("its PasswordLength is %d, and there is to be one character of each of %d kinds", length, len(kinds))
		}
		for _, kind := range kinds {
			password = append(password, kind[below(len(kind))])
		}
	}
	for all := strings.Join(kinds, ""); len(password) < length; {
		password = append(password, all[below(len(all))])
	}
	for i := len(password) - 1; i > 0; i-- {
		j := below(i + 1)
		password[i], password[j] = password[j], password[i]
	}
	return string(password), nil
}

// below draws a number from 0 that is less than n.
func below(n int) int {
	drawn, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return int(drawn.Int64())
}
