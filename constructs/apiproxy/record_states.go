package apiproxy

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctionstasks"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/recordformat"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// tableFaultMaxDelay bounds the delay between retries of the writes to the table. Both writes may be repeated: they say
// the same each time.
const tableFaultMaxDelay = 2 * time.Second

// tableFaults are errors after which the same write may succeed. A condition that fails is not among them.
var tableFaults = []string{
	"DynamoDB.ProvisionedThroughputExceededException",
	"DynamoDB.RequestLimitExceeded",
	"DynamoDB.ThrottlingException",
	"DynamoDB.InternalServerError",
	"DynamoDB.SdkClientException",
	"States.Timeout",
}

// tableTimeout is how long one write may take.
const tableTimeout = 2 * time.Second

// hasRecord says that the request carried an Idempotency-Key, so that its outcome is to be recorded.
func hasRecord() awsstepfunctions.Condition {
	return awsstepfunctions.Condition_IsPresent(jsii.String(message.RecordIDPath))
}

// newRecordState creates the state that completes the record with the answer, as package idempotency would, with its cookies
// or without.
func newRecordState(scope constructs.Construct, table awsdynamodb.ITableV2, omitCookies bool, next awsstepfunctions.IChainable) awsstepfunctionstasks.DynamoUpdateItem {
	var data any = awsstepfunctions.JsonPath_ObjectAt(jsii.String("$"))
	if omitCookies {
		data = awsstepfunctions.JsonPath_JsonMerge(data, awsstepfunctions.JsonPath_StringToJson(jsii.String(message.WithoutCookies)))
	}
	return newWrite(scope, "Record", next, &awsstepfunctionstasks.DynamoUpdateItemProps{
		Comment:          jsii.String("The answer is kept, for whoever asks again with the same Idempotency-Key"),
		Table:            table,
		UpdateExpression: jsii.String("SET #status = :completed, #expiration = :expiration, #data = :data"),
		ExpressionAttributeNames: &map[string]*string{
			"#status":     jsii.String(recordformat.Status),
			"#expiration": jsii.String(recordformat.Expiration),
			"#data":       jsii.String(recordformat.Data),
			"#owner":      jsii.String(recordformat.Owner),
		},
		ExpressionAttributeValues: &map[string]awsstepfunctionstasks.DynamoAttributeValue{
			":completed":  stringValue(recordformat.Completed),
			":expiration": awsstepfunctionstasks.DynamoAttributeValue_NumberFromString(awsstepfunctions.JsonPath_Format(jsii.String("{}"), awsstepfunctions.JsonPath_StringAt(jsii.String(message.ExpirationPath)))),
			":data":       stringValue(*awsstepfunctions.JsonPath_JsonToString(data)),
			":me":         stringValue(*awsstepfunctions.JsonPath_StringAt(jsii.String(message.RecordOwnerPath))),
		},
	})
}

// newReleaseState creates the state that frees the key after a failure, or after an answer that settles nothing: a lease
// that has ended is one that the next caller may take over.
func newReleaseState(scope constructs.Construct, table awsdynamodb.ITableV2, next awsstepfunctions.IChainable) awsstepfunctionstasks.DynamoUpdateItem {
	return newWrite(scope, "Release", next, &awsstepfunctionstasks.DynamoUpdateItemProps{
		Comment:          jsii.String("The operation is not settled, and may be tried again with the same Idempotency-Key"),
		Table:            table,
		UpdateExpression: jsii.String("SET #lease = :ended"),
		ExpressionAttributeNames: &map[string]*string{
			"#lease": jsii.String(recordformat.LeaseEnd),
			"#owner": jsii.String(recordformat.Owner),
		},
		ExpressionAttributeValues: &map[string]awsstepfunctionstasks.DynamoAttributeValue{
			":ended": awsstepfunctionstasks.DynamoAttributeValue_NumberFromString(jsii.String("0")),
			":me":    stringValue(*awsstepfunctions.JsonPath_StringAt(jsii.String(message.RecordOwnerPath))),
		},
	})
}

// settledAlready is the error of a write whose condition does not hold.
const settledAlready = "DynamoDB.ConditionalCheckFailedException"

// newGiveUpState creates the state that writes to the item of an execution that its proxies were lost, and which, so that
// whoever asks for it has the policy judge that. If one of them had written there that the execution has ended, the error is
// settledAlready.
func newGiveUpState(scope constructs.Construct, table awsdynamodb.ITableV2) awsstepfunctionstasks.DynamoUpdateItem {
	giveUp := awsstepfunctionstasks.NewDynamoUpdateItem(scope, jsii.String("GiveUp"), &awsstepfunctionstasks.DynamoUpdateItemProps{
		Comment: jsii.String("No proxy was left to judge; whoever asks for the execution is told"),
		Table:   table,
		Key: &map[string]awsstepfunctionstasks.DynamoAttributeValue{
			recordformat.ID: stringValue(*awsstepfunctions.JsonPath_StringAt(jsii.String(message.ItemPath))),
		},
		UpdateExpression:    jsii.String("SET #lost = :lost"),
		ConditionExpression: jsii.String("attribute_exists(#id) AND attribute_not_exists(#ended)"),
		ExpressionAttributeNames: &map[string]*string{
			"#lost": jsii.String(message.LostAttribute), "#id": jsii.String(recordformat.ID), "#ended": jsii.String(message.EndedAttribute),
		},
		ExpressionAttributeValues: &map[string]awsstepfunctionstasks.DynamoAttributeValue{
			":lost": stringValue(*awsstepfunctions.JsonPath_JsonToString(awsstepfunctions.JsonPath_ObjectAt(jsii.String("$")))),
		},
		ResultPath:  awsstepfunctions.JsonPath_DISCARD(),
		TaskTimeout: awsstepfunctions.Timeout_Duration(seconds(tableTimeout)),
	})
	giveUp.AddRetry(faultRetry(tableFaults, tableFaultMaxDelay))
	return giveUp
}

// newWrite creates a state that updates the record as its owner and goes on to next, even if the write fails: the caller
// gets the answer in any case. If another call has taken over the record, it stays as it is.
func newWrite(scope constructs.Construct, name string, next awsstepfunctions.IChainable, props *awsstepfunctionstasks.DynamoUpdateItemProps) awsstepfunctionstasks.DynamoUpdateItem {
	props.Key = &map[string]awsstepfunctionstasks.DynamoAttributeValue{
		recordformat.ID: stringValue(*awsstepfunctions.JsonPath_StringAt(jsii.String(message.RecordIDPath))),
	}
	props.ConditionExpression = jsii.String("#owner = :me")
	props.ResultPath = awsstepfunctions.JsonPath_DISCARD()
	props.TaskTimeout = awsstepfunctions.Timeout_Duration(seconds(tableTimeout))
	write := awsstepfunctionstasks.NewDynamoUpdateItem(scope, jsii.String(name), props)
	write.AddRetry(faultRetry(tableFaults, tableFaultMaxDelay))
	write.AddCatch(next, &awsstepfunctions.CatchProps{
		Errors:     jsii.Strings("States.ALL"),
		ResultPath: jsii.String("$.fault"),
	})
	write.Next(next)
	return write
}

func stringValue(text string) awsstepfunctionstasks.DynamoAttributeValue {
	return awsstepfunctionstasks.DynamoAttributeValue_FromString(&text)
}
