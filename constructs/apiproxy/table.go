package apiproxy

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/recordformat"
)

// IdempotencyTableProps says what an idempotency table is to be like. Everything has a default.
type IdempotencyTableProps struct {
	// TableName is the table's physical name. Default: CloudFormation makes one.
	TableName string

	// EncryptionKey encrypts the table, if it is not to be a key that DynamoDB owns. The stack must then be told its
	// region, because each replica of a table has a key of its own. Default: a key that DynamoDB owns.
	EncryptionKey awskms.IKey

	// RemovalPolicy says what becomes of the table when it is taken out of the stack. Default: RETAIN.
	RemovalPolicy awscdk.RemovalPolicy

	// DeletionProtection has DynamoDB refuse to delete the table, whoever asks, until it is taken away. It costs nothing. With a
	// RemovalPolicy of DESTROY, the stack cannot be deleted then. Default: false.
	DeletionProtection bool
}

// NewIdempotencyTable creates a table for idempotency records: paid by request, with time to live and point-in-time
// recovery. RetryingApiProxy creates one for itself; it is public for functions that use package idempotency.
//
//	table := apiproxy.NewIdempotencyTable(stack, jsii.String("Records"), nil)
//	apiproxy.GrantRecords(table, handler)
func NewIdempotencyTable(scope constructs.Construct, id *string, props *IdempotencyTableProps) awsdynamodb.TableV2 {
	if props == nil {
		props = &IdempotencyTableProps{}
	}
	table := &awsdynamodb.TablePropsV2{
		PartitionKey: &awsdynamodb.Attribute{
			Name: jsii.String(recordformat.ID),
			Type: awsdynamodb.AttributeType_STRING,
		},
		TimeToLiveAttribute: jsii.String(recordformat.Expiration),
		PointInTimeRecoverySpecification: &awsdynamodb.PointInTimeRecoverySpecification{
			PointInTimeRecoveryEnabled: jsii.Bool(true),
		},
		RemovalPolicy: props.RemovalPolicy,
	}
	if props.TableName != "" {
		table.TableName = &props.TableName
	}
	if props.DeletionProtection {
		table.DeletionProtection = jsii.Bool(true)
	}
	if props.EncryptionKey != nil {
		table.Encryption = awsdynamodb.TableEncryptionV2_CustomerManagedKey(props.EncryptionKey, nil)
	}
	return awsdynamodb.NewTableV2(scope, id, table)
}

// GrantRecords lets a principal do with the records of a table what package idempotency does with them: read, write,
// update and delete single items, with the table's key if it has one. It grants neither scans nor streams nor the table
// itself.
func GrantRecords(table awsdynamodb.ITableV2, grantee awsiam.IGrantable) awsiam.Grant {
	grantKey(table, grantee)
	return table.Grant(grantee, jsii.String("dynamodb:GetItem"), jsii.String("dynamodb:PutItem"),
		jsii.String("dynamodb:UpdateItem"), jsii.String("dynamodb:DeleteItem"))
}

// GrantReadRecords lets a principal, such as the role of whoever answers callers' questions, read the records of this RetryingApiProxy
// one by one, by their ids, and nothing else of the table. Records hold answers: status, fields and body as the upstream sent
// them, and what is known of asynchronous requests, with their credentials.
func (r *RetryingApiProxy) GrantReadRecords(grantee awsiam.IGrantable) awsiam.Grant {
	if key := r.Table.EncryptionKey(); key != nil {
		key.Grant(grantee, jsii.String("kms:Decrypt"), jsii.String("kms:DescribeKey"))
	}
	return awsiam.Grant_AddToPrincipal(&awsiam.GrantOnPrincipalOptions{
		Grantee:      grantee,
		Actions:      jsii.Strings("dynamodb:GetItem", "dynamodb:Query"),
		ResourceArns: jsii.Strings(*r.Table.TableArn()),
		// Both actions name the items that they read, so that there are keys which the condition is about.
		Conditions: &map[string]*map[string]any{
			"ForAllValues:StringLike": {"dynamodb:LeadingKeys": []string{r.prefix + "#*"}},
		},
	})
}

// grantKey lets a principal use the key that encrypts a table. Without it rights on the table are worth nothing.
func grantKey(table awsdynamodb.ITableV2, grantee awsiam.IGrantable) {
	if key := table.EncryptionKey(); key != nil {
		grantUse(key, grantee)
	}
}
