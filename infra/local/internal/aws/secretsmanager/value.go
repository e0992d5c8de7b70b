package secretsmanager

import (
	"fmt"
	"slices"
	"time"
)

type getSecretValueInput struct {
	SecretId                *string
	VersionId, VersionStage *string
}

type secretValue struct {
	ARN           string
	CreatedDate   seconds
	Name          string
	SecretBinary  []byte  `json:",omitempty"`
	SecretString  *string `json:",omitempty"`
	VersionId     string
	VersionStages []string `json:",omitempty"`
}

func (s *Store) getSecretValue(in *getSecretValueInput) (any, error) {
	if err := checkID(in.SecretId); err != nil {
		return nil, err
	}
	if in.VersionId != nil {
		if err := checkLength("versionId", *in.VersionId, 32, 64); err != nil {
			return nil, err
		}
	}
	if in.VersionStage != nil {
		if err := checkLength("versionStage", *in.VersionStage, 1, 256); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one, err := s.find(*in.SecretId)
	if err != nil {
		return nil, err
	}
	found, err := one.wanted(in.VersionId, in.VersionStage)
	if err != nil {
		return nil, err
	}
	// The service tells the day of the last access only.
	one.accessed = s.config.Clock().UTC().Truncate(24 * time.Hour)
	out := secretValue{
		ARN: one.arn, CreatedDate: seconds(found.created), Name: one.name, SecretBinary: found.content.binary,
		VersionId: found.id, VersionStages: slices.Clone(found.labels),
	}
	if found.content.binary == nil {
		out.SecretString = &found.content.text
	}
	return out, nil
}

// wanted is the version with the id and the label; without either it is the current one.
func (s *secret) wanted(id, label *string) (*version, error) {
	missing := func(which string) error {
		return refusal(CodeResourceNotFound, "Secrets Manager can't find the specified secret value for %s", which)
	}
	if id == nil {
		wanted := labelCurrent
		if label != nil {
			wanted = *label
		}
		if found := s.labelled(wanted); found != nil {
			return found, nil
		}
		return nil, missing("staging label: " + wanted)
	}
	found := s.version(*id)
	switch {
	case found == nil:
		return nil, missing("VersionId: " + *id)
	case label != nil && !slices.Contains(found.labels, *label):
		return nil, refusal(CodeInvalidRequest, "You provided a VersionStage that is not associated to the provided VersionId.")
	}
	return found, nil
}

type putSecretValueInput struct {
	SecretId           *string
	ClientRequestToken string
	SecretBinary       *[]byte
	SecretString       *string
	VersionStages      *[]string
}

type putSecretValueOutput struct {
	ARN           string
	Name          string
	VersionId     string
	VersionStages []string `json:",omitempty"`
}

// maxLabels is how many labels a version can have.
const maxLabels = 20

func (s *Store) putSecretValue(in *putSecretValueInput) (any, error) {
	if err := firstError(checkID(in.SecretId), in.checkLabels(), in.checkValue()); err != nil {
		return nil, err
	}
	switch length := len(in.ClientRequestToken); {
	case length == 0:
		return nil, refusal(CodeInvalidRequest, "You must provide a ClientRequestToken value. We recommend a UUID-type value.")
	case length < 32 || length > 64:
		return nil, refusal(CodeInvalidParameter, "ClientRequestToken must be 32-64 characters long.")
	}
	var value content
	switch {
	case in.SecretString == nil && in.SecretBinary == nil:
		return nil, refusal(CodeInvalidRequest, "You must provide either SecretString or SecretBinary.")
	case in.SecretString != nil && in.SecretBinary != nil:
		return nil, refusal(CodeInvalidParameter, "You can't specify both a binary secret value and a string secret value in the same secret.")
	case in.SecretString != nil:
		value.text = *in.SecretString
	default:
		value.binary = *in.SecretBinary
	}
	labels := []string{labelCurrent}
	if in.VersionStages != nil {
		labels = *in.VersionStages
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	one, err := s.find(*in.SecretId)
	if err != nil {
		return nil, err
	}
	put := one.version(in.ClientRequestToken)
	switch {
	case put == nil:
		put = one.put(in.ClientRequestToken, value, labels, s.config.Clock())
	case !put.content.equal(value):
		return nil, refusal(CodeResourceExists, "You can't use ClientRequestToken %s because that value is already in use for a version of secret %s.",
			in.ClientRequestToken, one.arn)
	}
	return putSecretValueOutput{ARN: one.arn, Name: one.name, VersionId: put.id, VersionStages: slices.Clone(put.labels)}, nil
}

func (in *putSecretValueInput) checkLabels() error {
	if in.VersionStages == nil {
		return nil
	}
	labels := *in.VersionStages
	if err := checkCount("", "versionStages", len(labels), 1, maxLabels); err != nil {
		return err
	}
	for i, label := range labels {
		if err := checkLength(fmt.Sprintf("versionStages.%d.member", i+1), label, 1, 256); err != nil {
			return err
		}
	}
	return nil
}

// checkValue refuses values by their length, which is all that it says of them.
func (in *putSecretValueInput) checkValue() error {
	if in.SecretString != nil {
		return checkCount("", "secretString", len(*in.SecretString), 1, maxSize)
	}
	if in.SecretBinary != nil {
		return checkCount("", "secretBinary", len(*in.SecretBinary), 1, maxSize)
	}
	return nil
}
