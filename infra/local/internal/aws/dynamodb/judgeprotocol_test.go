package dynamodb_test

import (
	"fmt"
	"strings"
	"testing"
)

// The protocol of the idempotency library: a record is acquired by one conditional put, completed by an update and
// released by a delete, both only by the owner.
const (
	acquireCondition = "attribute_not_exists(#id) OR #expiry < :now OR (#status = :inprogress AND attribute_exists(#in_progress_expiry) AND #in_progress_expiry < :now_in_millis)"
	acquireNames     = `"#id":"id","#expiry":"expiration","#status":"status","#in_progress_expiry":"in_progress_expiration"`
	acquireValues    = `":now":{"N":"1700000000"},":now_in_millis":{"N":"1700000000250"},":inprogress":{"S":"INPROGRESS"}`

	// The lease is looked at alone while it runs, whatever the record's life.
	leaseCondition = "attribute_not_exists(#id) OR (#status = :inprogress AND #in_progress_expiry < :now_in_millis) OR " +
		"(#expiry < :now AND (#status <> :inprogress OR attribute_not_exists(#in_progress_expiry) OR #in_progress_expiry < :now_in_millis))"
)

// recordStates are the records that an acquisition can find.
var recordStates = map[string]string{
	"none":                             "",
	"completed and alive":              `"status":{"S":"COMPLETED"},"expiration":{"N":"1700000100"},"data":{"S":"{\"a\": 1}"}`,
	"completed in its last second":     `"status":{"S":"COMPLETED"},"expiration":{"N":"1700000000"}`,
	"completed and over":               `"status":{"S":"COMPLETED"},"expiration":{"N":"1699999999"},"validation":{"S":"hash"}`,
	"in progress":                      `"status":{"S":"INPROGRESS"},"expiration":{"N":"1700003600"},"in_progress_expiration":{"N":"1700000030250"}`,
	"in progress, lease just ending":   `"status":{"S":"INPROGRESS"},"expiration":{"N":"1700003600"},"in_progress_expiration":{"N":"1700000000250"}`,
	"in progress, lease over":          `"status":{"S":"INPROGRESS"},"expiration":{"N":"1700003600"},"in_progress_expiration":{"N":"1700000000249"}`,
	"in progress, lease of nought":     `"status":{"S":"INPROGRESS"},"expiration":{"N":"1700003600"},"in_progress_expiration":{"N":"0"}`,
	"in progress without lease":        `"status":{"S":"INPROGRESS"},"expiration":{"N":"1700003600"}`,
	"in progress without lease, over":  `"status":{"S":"INPROGRESS"},"expiration":{"N":"1699999999"}`,
	"in progress and over, lease live": `"status":{"S":"INPROGRESS"},"expiration":{"N":"1699999999"},"in_progress_expiration":{"N":"1700000030250"}`,
	"of another owner":                 `"status":{"S":"INPROGRESS"},"expiration":{"N":"1700003600"},"in_progress_expiration":{"N":"1700000030250"},"owner":{"S":"other"}`,
	"of the owner":                     `"status":{"S":"INPROGRESS"},"expiration":{"N":"1700003600"},"in_progress_expiration":{"N":"1700000030250"},"owner":{"S":"me"}`,
}

func TestTheIdempotencyProtocolAgreesWithTheJudge(t *testing.T) {
	t.Parallel()
	j := newJudge(t)
	steps := map[string]string{
		"acquire": `PutItem {"TableName":"records","Item":{"id":{"S":"ID"},"status":{"S":"INPROGRESS"},"expiration":{"N":"1700003600"},
			"in_progress_expiration":{"N":"1700000030250"},"owner":{"S":"me"}},"ConditionExpression":"` + acquireCondition + `",
			"ReturnValuesOnConditionCheckFailure":"ALL_OLD","ExpressionAttributeNames":{` + acquireNames + `},"ExpressionAttributeValues":{` + acquireValues + `}}`,
		"acquire by the lease": `PutItem {"TableName":"records","Item":{"id":{"S":"ID"},"status":{"S":"INPROGRESS"},"expiration":{"N":"1700003600"}},
			"ConditionExpression":"` + leaseCondition + `",
			"ReturnValuesOnConditionCheckFailure":"ALL_OLD","ExpressionAttributeNames":{` + acquireNames + `},"ExpressionAttributeValues":{` + acquireValues + `}}`,
		"complete": `UpdateItem {"TableName":"records","Key":{"id":{"S":"ID"}},
			"UpdateExpression":"SET #data = :data, #expiry = :expiry, #status = :status REMOVE #lease",
			"ConditionExpression":"#owner = :me AND #status = :inprogress","ReturnValuesOnConditionCheckFailure":"ALL_OLD","ReturnValues":"ALL_NEW",
			"ExpressionAttributeNames":{"#data":"data","#expiry":"expiration","#status":"status","#owner":"owner","#lease":"in_progress_expiration"},
			"ExpressionAttributeValues":{":data":{"S":"{\"result\": true}"},":expiry":{"N":"1700003601"},":status":{"S":"COMPLETED"},":me":{"S":"me"},":inprogress":{"S":"INPROGRESS"}}}`,
		"release": `DeleteItem {"TableName":"records","Key":{"id":{"S":"ID"}},"ConditionExpression":"#owner = :me","ReturnValues":"ALL_OLD",
			"ReturnValuesOnConditionCheckFailure":"ALL_OLD","ExpressionAttributeNames":{"#owner":"owner"},"ExpressionAttributeValues":{":me":{"S":"me"}}}`,
		"release without condition": `DeleteItem {"TableName":"records","Key":{"id":{"S":"ID"}},"ReturnValues":"ALL_OLD"}`,
	}
	for state, record := range recordStates {
		for step, request := range steps {
			id := "record " + state + " " + step
			if record != "" {
				j.both("PutItem", fmt.Sprintf(`{"TableName":"records","Item":{"id":{"S":%q},%s}}`, id, record))
			}
			operation, input, _ := strings.Cut(strings.ReplaceAll(request, `"ID"`, `"`+id+`"`), " ")
			j.compare(step+" of a record: "+state, "", operation, input)
			j.compare(step+" of a record, then the record: "+state, "", "GetItem",
				fmt.Sprintf(`{"TableName":"records","Key":{"id":{"S":%q}},"ConsistentRead":true}`, id))
		}
	}
	j.report("idempotency protocol")
}
