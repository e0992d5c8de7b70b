package secretsmanager

import (
	"crypto/sha256"
	"regexp"
	"strings"
)

// ARN is the ARN of a secret. The six characters at its end, which the service draws, come from the name here, so that a
// secret has the same ARN in every run.
func ARN(region, accountID, name string) string {
	return "arn:aws:secretsmanager:" + region + ":" + accountID + ":secret:" + name + "-" + suffix(name)
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// suffix is the six characters for a name. They are letters, as the service draws them.
func suffix(name string) string {
	hash := sha256.Sum256([]byte(name))
	characters := make([]byte, 6)
	for i := range characters {
		characters[i] = letters[int(hash[i])%len(letters)]
	}
	return string(characters)
}

var (
	arnPattern  = regexp.MustCompile(`^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:(.+)$`)
	completeEnd = regexp.MustCompile(`^(.+)-[A-Za-z0-9]{6}$`)
)

// resource is what an ARN has after "secret:". It is not there if the id is no ARN of a secret.
func resource(id string) (name string, isARN bool) {
	if groups := arnPattern.FindStringSubmatch(id); groups != nil {
		return groups[1], true
	}
	return "", false
}

// nameIn is the name that a complete ARN holds. Empty if the id is no complete ARN.
func nameIn(id string) string {
	rest, isARN := resource(id)
	if groups := completeEnd.FindStringSubmatch(rest); isARN && groups != nil {
		return groups[1]
	}
	return ""
}

// maxNameLength is how long the name of a secret can be.
const maxNameLength = 512

// badInName is whatever a name cannot have.
func badInName(c rune) bool {
	return !strings.ContainsRune("-/_+=.@!", c) &&
		(c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
}

// find finds a secret by its name or its ARN.
func (s *Store) find(id string) (*secret, error) {
	if rest, isARN := resource(id); isARN && !strings.ContainsFunc(rest, badInName) {
		for _, one := range s.secrets {
			if one.arn == id {
				return one, nil
			}
		}
		if one := s.secrets[rest]; one != nil && nameIn(id) == "" {
			return one, nil
		}
		return nil, errNoSuchSecret
	}
	if strings.ContainsFunc(id, badInName) {
		return nil, invalid("Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!")
	}
	if one := s.secrets[id]; one != nil {
		return one, nil
	}
	return nil, errNoSuchSecret
}
