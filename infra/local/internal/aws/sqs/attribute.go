package sqs

import (
	"crypto/md5" // the protocol's
	"encoding/binary"
	"encoding/hex"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"
)

// An attribute is a message attribute, as the API has it.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html
type attribute struct {
	DataType    string
	StringValue *string `json:",omitempty"`
	BinaryValue []byte  `json:",omitempty"`
}

// maxAttributes is how many message attributes a message can have.
const maxAttributes = 10

var (
	attributeName = regexp.MustCompile(`^[a-zA-Z0-9_-]+(\.[a-zA-Z0-9_-]+)*$`)
	attributeType = regexp.MustCompile(`^(String|Number|Binary)(\..+)?$`)
)

// checkAttributes refuses what cannot be the attributes of a message.
func checkAttributes(attributes map[string]attribute) error {
	if n := len(attributes); n > maxAttributes {
		return refusal(CodeInvalidParameterValue, "Number of message attributes [%d] exceeds the allowed maximum [%d].", n, maxAttributes)
	}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		a, lower := attributes[name], strings.ToLower(name)
		kind := attributeType.FindStringSubmatch(a.DataType)
		switch {
		case len(name) > 256 || !attributeName.MatchString(name):
			return refusal(CodeInvalidParameterValue, "Message (user) attribute name '%s' must have 1 to 256 letters, digits, underscores, hyphens and single periods between them.", name)
		case strings.HasPrefix(lower, "aws.") || strings.HasPrefix(lower, "amazon."):
			return refusal(CodeInvalidParameterValue, "Message (user) attribute name '%s' must not begin with AWS. or Amazon.", name)
		case kind == nil || len(a.DataType) > 256:
			return refusal(CodeInvalidParameterValue, "The message attribute '%s' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.", name)
		case kind[1] == "Binary" && len(a.BinaryValue) == 0, kind[1] != "Binary" && (a.StringValue == nil || *a.StringValue == ""):
			return refusal(CodeInvalidParameterValue, "Message (user) attribute '%s' must contain a non-empty value of type '%s'.", name, kind[1])
		case a.StringValue != nil && a.BinaryValue != nil:
			return refusal(CodeInvalidParameterValue, "Message (user) attribute '%s' has multiple values.", name)
		}
		if kind[1] == "Number" {
			if _, isNumber := new(big.Float).SetString(*a.StringValue); !isNumber {
				return refusal(CodeInvalidParameterValue, "Can't cast the value of message (user) attribute '%s' to a number.", name)
			}
		}
		if a.StringValue != nil {
			if err := checkCharacters(*a.StringValue); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkCharacters refuses a text with characters that messages cannot have.
func checkCharacters(text string) error {
	bad := func(c rune) bool {
		return c != '\t' && c != '\n' && c != '\r' && (c < 0x20 || c > 0xd7ff && c < 0xe000 || c > 0xfffd && c < 0x10000)
	}
	if strings.ContainsFunc(text, bad) {
		return refusal(CodeInvalidMessageContents,
			"Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF")
	}
	return nil
}

// chosen are the attributes that a receiver asks for.
func chosen(attributes map[string]attribute, names []string) map[string]attribute {
	picked := map[string]attribute{}
	for name, a := range attributes {
		if slices.ContainsFunc(names, func(asked string) bool {
			prefix, isPrefix := strings.CutSuffix(asked, ".*")
			return asked == "All" || asked == "*" || asked == name || isPrefix && strings.HasPrefix(name, prefix)
		}) {
			picked[name] = a
		}
	}
	return picked
}

// md5OfText is the digest of a body, which SDKs verify.
func md5OfText(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

// md5OfAttributes is the digest of attributes, which SDKs verify; empty if there are none.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html#sqs-attributes-md5-message-digest-calculation
func md5OfAttributes(attributes map[string]attribute) string {
	if len(attributes) == 0 {
		return ""
	}
	var text []byte
	add := func(part string) {
		text = binary.BigEndian.AppendUint32(text, uint32(len(part)))
		text = append(text, part...)
	}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		a := attributes[name]
		add(name)
		add(a.DataType)
		if a.StringValue != nil {
			text = append(text, 1)
			add(*a.StringValue)
		} else {
			text = append(text, 2)
			add(string(a.BinaryValue))
		}
	}
	return md5OfText(string(text))
}
