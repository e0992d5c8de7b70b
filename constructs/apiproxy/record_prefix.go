package apiproxy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
)

// maxRecordPrefixLength is how long a prefix can be, in bytes. The key of an item holds 2048, of which the hash takes 64.
const maxRecordPrefixLength = 255

// gatePrefix cannot be a prefix: the ids of the items that callers share begin with it, of all prefixes.
var gatePrefix = strings.TrimSuffix(gate.ItemPrefix, "#")

// recordPrefix is that of the props, or the path of the construct within its stack.
func recordPrefix(r *RetryingApiProxy, props RetryingApiProxyProps) string {
	if props.RecordPrefix != "" {
		return props.RecordPrefix
	}
	return strings.TrimPrefix(*r.Node().Path(), *awscdk.Stack_Of(r).Node().Path()+"/")
}

// The types of the metadata of a table that tell whose records it holds, by the prop or by default, and the id of the warning that two
// have the same.
const (
	toldPrefix     = "retrying-api-proxy:told-record-prefix"
	defaultPrefix  = "retrying-api-proxy:record-prefix"
	samePrefixesID = "retrying-api-proxy:same-record-prefix"
)

// warnOfSamePrefix marks the records of a table as those of a RetryingApiProxy, and warns of another of the app that has the same ones,
// unless both were told to.
func warnOfSamePrefix(r *RetryingApiProxy, props RetryingApiProxyProps) {
	others, kind := marks(r.Table, defaultPrefix), toldPrefix
	if props.RecordPrefix == "" {
		others, kind = append(others, marks(r.Table, toldPrefix)...), defaultPrefix
	}
	if slices.Contains(others, r.prefix) {
		awscdk.Annotations_Of(r).AddWarningV2(jsii.String(samePrefixesID), jsii.String(fmt.Sprintf("Another RetryingApiProxy has the same table and the "+
			"same RecordPrefix, %q: they take each other's keys for theirs. Set RecordPrefix of one of them, or of both if that is what you want.", r.prefix)))
	}
	mark(r.Table, kind, r.prefix)
}

// isRecordPrefix says whether a text can begin the ids of records: it stands in a policy, where asterisks and question marks
// are wildcards and a dollar sign starts a variable, and ends with a number sign.
func isRecordPrefix(prefix string) bool {
	return len(prefix) <= maxRecordPrefixLength && !strings.ContainsFunc(prefix, func(r rune) bool {
		return r < ' ' || r > '~' || strings.ContainsRune("*?$#", r)
	})
}

// denyOtherRecords forbids a principal to touch records of the table that begin with another prefix, whatever it may do
// otherwise. A table that several share is not safer than the weakest of them without that.
func denyOtherRecords(table awsdynamodb.ITableV2, grantee awsiam.IGrantable, prefix string) {
	denyOthers(table, grantee, []string{prefix + "#*"}, "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem")
}

// denyOtherItems does the same to a function, which may read and update the items that callers share, too, where there are such: those
// of its own prefix.
func denyOtherItems(r *RetryingApiProxy, function awslambda.Function, props RetryingApiProxyProps) {
	prefix := recordPrefix(r, props)
	if props.gate().Idle() {
		denyOtherRecords(r.Table, function, prefix)
		return
	}
	denyOthers(r.Table, function, []string{prefix + "#*"}, "dynamodb:PutItem", "dynamodb:DeleteItem")
	denyOthers(r.Table, function, []string{prefix + "#*", gateKeys(prefix)}, "dynamodb:GetItem", "dynamodb:UpdateItem")
}

// denyOthers forbids a principal actions on all items of a table but those with keys like these.
func denyOthers(table awsdynamodb.ITableV2, grantee awsiam.IGrantable, keys []string, actions ...string) {
	grantee.GrantPrincipal().AddToPrincipalPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Effect:    awsiam.Effect_DENY,
		Actions:   jsii.Strings(actions...),
		Resources: jsii.Strings(*table.TableArn()),
		Conditions: &map[string]any{
			"ForAnyValue:StringNotLike": map[string]any{"dynamodb:LeadingKeys": keys},
		},
	}))
}
