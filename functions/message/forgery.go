package message

import (
	"strings"

	"github.com/dunglas/httpsfv"
)

// errorType is the field by which services of AWS name an error.
const errorType = "x-amzn-errortype"

// forged are the fields of an answer by which an upstream would speak in the name of the gateway, of the function URL or
// of Lambda: who reads them takes them for theirs.
var forged = []string{
	"idempotent-replayed",
	"x-amzn-requestid", "x-amzn-trace-id", errorType,
	"x-amz-function-error", "x-amz-executed-version", "x-amz-log-result",
}

// remappedPrefix starts the names that the function URL gives to fields that it claims for itself.
const remappedPrefix = "x-amzn-remapped-"

// RemoveForged removes from the fields of an upstream's answer, by lower-case name, what it cannot say: fields of others,
// and in fields that it shares with the gateway, what is the gateway's. An upstream of AWS may name its errors.
func (f Forwarding) RemoveForged(headers map[string]string) {
	for _, name := range forged {
		if name != errorType || !f.aws {
			delete(headers, name)
		}
	}
	for name := range headers {
		if strings.HasPrefix(name, remappedPrefix) {
			delete(headers, name)
		}
	}
	replace(headers, "preference-applied", f.othersPreferences)
	replace(headers, "proxy-status", othersProxyStatus)
}

// replace changes a field if it is there, or removes it if nothing is left.
func replace(headers map[string]string, name string, change func(string) string) {
	value, found := headers[name]
	if !found {
		return
	}
	if value = change(value); value == "" {
		delete(headers, name)
	} else {
		headers[name] = value
	}
}

// IsOwnPreference says whether a preference, RFC 7240, is one that the gateway honours and does not forward.
//
// respond-async is one where requests can be asynchronous.
func (f Forwarding) IsOwnPreference(name string) bool {
	name = strings.ToLower(name)
	return name == "wait" || name == "attempts" || name == "deadline" && f.async || name == "respond-async" && f.async
}

// othersPreferences is a Preference-Applied without the preferences of the gateway.
func (f Forwarding) othersPreferences(field string) string {
	var others []string
	for _, member := range Members(field) {
		name, _, _ := strings.Cut(member, "=")
		if !f.IsOwnPreference(strings.TrimSpace(name)) {
			others = append(others, member)
		}
	}
	return strings.Join(others, ", ")
}

// othersProxyStatus is a Proxy-Status, RFC 9209, without the members that have names as ours have. It is empty if the field
// is not a list as RFC 9651 has it: with ours behind it, nobody could read either.
func othersProxyStatus(field string) string {
	list, err := httpsfv.UnmarshalList([]string{field})
	if err != nil {
		return ""
	}
	var others httpsfv.List
	for _, member := range list {
		if !isOurs(member) {
			others = append(others, member)
		}
	}
	if len(others) == len(list) {
		return field // as it was written
	}
	text, err := httpsfv.Marshal(others)
	if err != nil {
		return ""
	}
	return text
}

// isOurs says whether a member of Proxy-Status has a name as our proxies have.
func isOurs(member httpsfv.Member) bool {
	item, ok := member.(httpsfv.Item)
	if !ok {
		return false
	}
	var name string
	switch value := item.Value.(type) {
	case httpsfv.Token:
		name = string(value)
	case string:
		name = value
	}
	number, found := strings.CutPrefix(strings.ToLower(strings.TrimSpace(name)), proxyPrefix)
	return found && number != "" && strings.Trim(number, "0123456789") == ""
}
