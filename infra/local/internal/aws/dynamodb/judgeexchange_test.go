package dynamodb_test

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// exchanges run one after the other: operation and input.
var exchanges = []string{
	// Keys.
	`PutItem {"TableName":"records","Item":{"id":{"S":""}}}`,
	`PutItem {"TableName":"records","Item":{"id":{"N":"1"}}}`,
	`PutItem {"TableName":"records","Item":{"other":{"S":"1"}}}`,
	`PutItem {"TableName":"absent","Item":{"id":{"S":"1"}}}`,
	`GetItem {"TableName":"records","Key":{"id":{"N":"1"}}}`,
	`GetItem {"TableName":"records","Key":{"other":{"S":"1"}}}`,
	`GetItem {"TableName":"records","Key":{"id":{"S":"1"},"other":{"S":"1"}}}`,
	`GetItem {"TableName":"absent","Key":{"id":{"S":"1"}}}`,
	`GetItem {"TableName":"events","Key":{"source":{"S":"1"}}}`,
	`DeleteItem {"TableName":"records","Key":{"id":{"S":"never there"}},"ReturnValues":"ALL_OLD"}`,
	`DeleteItem {"TableName":"absent","Key":{"id":{"S":"1"}}}`,
	`UpdateItem {"TableName":"absent","Key":{"id":{"S":"1"}}}`,
	`DescribeTable {"TableName":"absent"}`,
	// Items that come into being by an update.
	`UpdateItem {"TableName":"records","Key":{"id":{"S":"born"}}}`,
	`GetItem {"TableName":"records","Key":{"id":{"S":"born"}}}`,
	`UpdateItem {"TableName":"records","Key":{"id":{"S":"born too"}},"UpdateExpression":"SET a = :a","ExpressionAttributeValues":{":a":{"N":"1"}},"ReturnValues":"ALL_NEW"}`,
	`UpdateItem {"TableName":"records","Key":{"id":{"S":"born by addition"}},"UpdateExpression":"ADD a :a","ExpressionAttributeValues":{":a":{"N":"1"}},"ReturnValues":"UPDATED_NEW"}`,
	`UpdateItem {"TableName":"records","Key":{"id":{"S":"unborn"}},"UpdateExpression":"SET a = :a","ConditionExpression":"attribute_exists(id)","ExpressionAttributeValues":{":a":{"N":"1"}},"ReturnValuesOnConditionCheckFailure":"ALL_OLD"}`,
	`GetItem {"TableName":"records","Key":{"id":{"S":"unborn"}}}`,
	`UpdateItem {"TableName":"records","Key":{"id":{"S":"born old"}},"UpdateExpression":"SET a = :a","ExpressionAttributeValues":{":a":{"N":"1"}},"ReturnValues":"ALL_OLD"}`,
	// Return values that an operation does not have.
	`PutItem {"TableName":"records","Item":{"id":{"S":"1"}},"ReturnValues":"ALL_NEW"}`,
	`PutItem {"TableName":"records","Item":{"id":{"S":"1"}},"ReturnValues":"UPDATED_OLD"}`,
	`PutItem {"TableName":"records","Item":{"id":{"S":"1"}},"ReturnValues":"SOME"}`,
	`UpdateItem {"TableName":"records","Key":{"id":{"S":"1"}},"ReturnValues":"WRONG"}`,
	// Placeholders.
	`PutItem {"TableName":"records","Item":{"id":{"S":"1"}},"ExpressionAttributeValues":{":unused":{"N":"1"}}}`,
	`PutItem {"TableName":"records","Item":{"id":{"S":"1"}},"ConditionExpression":"attribute_not_exists(id)","ExpressionAttributeValues":{":unused":{"N":"1"}}}`,
	`PutItem {"TableName":"records","Item":{"id":{"S":"1"}},"ExpressionAttributeNames":{"#unused":"a"}}`,
	`UpdateItem {"TableName":"records","Key":{"id":{"S":"1"}},"UpdateExpression":"SET a = :a","ExpressionAttributeValues":{":a":{"N":"1"},":b":{"N":"1"}}}`,
	`UpdateItem {"TableName":"records","Key":{"id":{"S":"1"}},"UpdateExpression":"SET a = :b","ExpressionAttributeValues":{":a":{"N":"1"}}}`,
	`UpdateItem {"TableName":"records","Key":{"id":{"S":"1"}},"UpdateExpression":"SET a = :a","ExpressionAttributeValues":{}}`,
	`UpdateItem {"TableName":"records","Key":{"id":{"S":"1"}},"UpdateExpression":"","ExpressionAttributeValues":{":a":{"N":"1"}}}`,
	`UpdateItem {"TableName":"records","Key":{"id":{"S":"1"}},"UpdateExpression":"SET","ReturnValues":"NONE"}`,
	`UpdateItem {"TableName":"records","Key":{"id":{"S":"1"}},"UpdateExpression":"SET a = :a SET b = :a","ExpressionAttributeValues":{":a":{"N":"1"}}}`,
	`UpdateItem {"TableName":"records","Key":{"id":{"S":"1"}},"UpdateExpression":"SET a = :a, a = :a","ExpressionAttributeValues":{":a":{"N":"1"}}}`,
	`UpdateItem {"TableName":"records","Key":{"id":{"S":"1"}},"UpdateExpression":"SET a = :a REMOVE a.b","ExpressionAttributeValues":{":a":{"N":"1"}}}`,
	// Values that are none.
	`PutItem {"TableName":"records","Item":{"id":{"S":"1"},"a":{"N":"one"}}}`,
	`PutItem {"TableName":"records","Item":{"id":{"S":"1"},"a":{"SS":[]}}}`,
	`PutItem {"TableName":"records","Item":{"id":{"S":"1"},"a":{"SS":["a","a"]}}}`,
	// A table with two keys.
	`PutItem {"TableName":"events","Item":{"source":{"S":"a"},"at":{"N":"10"},"kind":{"S":"x"},"detail":{"M":{"n":{"N":"1"},"tags":{"L":[{"S":"t0"},{"S":"t1"}]}}}}}`,
	`PutItem {"TableName":"events","Item":{"source":{"S":"a"},"at":{"N":"9"},"kind":{"S":"y"}}}`,
	`PutItem {"TableName":"events","Item":{"source":{"S":"a"},"at":{"N":"-1"},"kind":{"S":"x"}}}`,
	`PutItem {"TableName":"events","Item":{"source":{"S":"a"},"at":{"N":"0.5"},"kind":{"S":"y"}}}`,
	`PutItem {"TableName":"events","Item":{"source":{"S":"a"},"at":{"N":"100"},"kind":{"S":"x"}}}`,
	`PutItem {"TableName":"events","Item":{"source":{"S":"b"},"at":{"N":"10"},"kind":{"S":"x"}}}`,
	`GetItem {"TableName":"events","Key":{"source":{"S":"a"},"at":{"N":"10"}}}`,
	`GetItem {"TableName":"events","Key":{"source":{"S":"a"},"at":{"N":"11"}}}`,
	`PutItem {"TableName":"events","Item":{"source":{"S":"a"}}}`,
	`PutItem {"TableName":"events","Item":{"source":{"S":"a"},"at":{"S":"10"}}}`,
	`UpdateItem {"TableName":"events","Key":{"source":{"S":"a"},"at":{"N":"10"}},"UpdateExpression":"SET #k = :z","ExpressionAttributeNames":{"#k":"kind"},"ExpressionAttributeValues":{":z":{"S":"z"}},"ReturnValues":"ALL_NEW"}`,
	`UpdateItem {"TableName":"events","Key":{"source":{"S":"a"},"at":{"N":"10"}},"UpdateExpression":"SET #at = :z","ExpressionAttributeNames":{"#at":"at"},"ExpressionAttributeValues":{":z":{"N":"1"}}}`,
	`Query {"TableName":"events","KeyConditionExpression":"#s = :a","ExpressionAttributeNames":{"#s":"source"},"ExpressionAttributeValues":{":a":{"S":"a"}}}`,
	`Query {"TableName":"events","KeyConditionExpression":"#s = :a","ExpressionAttributeNames":{"#s":"source"},"ExpressionAttributeValues":{":a":{"S":"a"}},"ScanIndexForward":false}`,
	`Query {"TableName":"events","KeyConditionExpression":"#s = :a AND #at > :n","ExpressionAttributeNames":{"#s":"source","#at":"at"},"ExpressionAttributeValues":{":a":{"S":"a"},":n":{"N":"9"}}}`,
	`Query {"TableName":"events","KeyConditionExpression":"#s = :a AND #at >= :n","ExpressionAttributeNames":{"#s":"source","#at":"at"},"ExpressionAttributeValues":{":a":{"S":"a"},":n":{"N":"9"}}}`,
	`Query {"TableName":"events","KeyConditionExpression":"#s = :a AND #at < :n","ExpressionAttributeNames":{"#s":"source","#at":"at"},"ExpressionAttributeValues":{":a":{"S":"a"},":n":{"N":"9"}}}`,
	`Query {"TableName":"events","KeyConditionExpression":"#s = :a AND #at <= :n","ExpressionAttributeNames":{"#s":"source","#at":"at"},"ExpressionAttributeValues":{":a":{"S":"a"},":n":{"N":"9"}}}`,
	`Query {"TableName":"events","KeyConditionExpression":"#s = :a AND #at = :n","ExpressionAttributeNames":{"#s":"source","#at":"at"},"ExpressionAttributeValues":{":a":{"S":"a"},":n":{"N":"9"}}}`,
	`Query {"TableName":"events","KeyConditionExpression":"#s = :a AND #at BETWEEN :n AND :m","ExpressionAttributeNames":{"#s":"source","#at":"at"},"ExpressionAttributeValues":{":a":{"S":"a"},":n":{"N":"0"},":m":{"N":"10"}}}`,
	`Query {"TableName":"events","KeyConditionExpression":"#s = :a","FilterExpression":"#k = :x","ExpressionAttributeNames":{"#s":"source","#k":"kind"},"ExpressionAttributeValues":{":a":{"S":"a"},":x":{"S":"x"}}}`,
	`Query {"TableName":"events","KeyConditionExpression":"#s = :a","FilterExpression":"#k = :x","Select":"COUNT","ExpressionAttributeNames":{"#s":"source","#k":"kind"},"ExpressionAttributeValues":{":a":{"S":"a"},":x":{"S":"x"}}}`,
	`Query {"TableName":"events","KeyConditionExpression":"#s = :a","ProjectionExpression":"#k","ExpressionAttributeNames":{"#s":"source","#k":"kind"},"ExpressionAttributeValues":{":a":{"S":"a"}}}`,
	`Query {"TableName":"events","KeyConditionExpression":"#s = :a","Limit":2,"ExpressionAttributeNames":{"#s":"source"},"ExpressionAttributeValues":{":a":{"S":"a"}}}`,
	`Query {"TableName":"events","KeyConditionExpression":"#s = :a","Limit":2,"ExclusiveStartKey":{"source":{"S":"a"},"at":{"N":"0.5"}},"ExpressionAttributeNames":{"#s":"source"},"ExpressionAttributeValues":{":a":{"S":"a"}}}`,
	`Query {"TableName":"events","KeyConditionExpression":"#s = :a","Limit":2,"ScanIndexForward":false,"ExclusiveStartKey":{"source":{"S":"a"},"at":{"N":"10"}},"ExpressionAttributeNames":{"#s":"source"},"ExpressionAttributeValues":{":a":{"S":"a"}}}`,
	`Query {"TableName":"events","KeyConditionExpression":"#s = :a","ExpressionAttributeNames":{"#s":"source"},"ExpressionAttributeValues":{":a":{"S":"nobody"}}}`,
	`Query {"TableName":"events","KeyConditionExpression":"#at = :n","ExpressionAttributeNames":{"#at":"at"},"ExpressionAttributeValues":{":n":{"N":"9"}}}`,
	`Query {"TableName":"absent","KeyConditionExpression":"id = :n","ExpressionAttributeValues":{":n":{"N":"9"}}}`,
	// Projections.
	`GetItem {"TableName":"events","Key":{"source":{"S":"a"},"at":{"N":"10"}},"ProjectionExpression":"kind"}`,
	`GetItem {"TableName":"events","Key":{"source":{"S":"a"},"at":{"N":"10"}},"ProjectionExpression":"kind, #s","ExpressionAttributeNames":{"#s":"source"}}`,
	`GetItem {"TableName":"events","Key":{"source":{"S":"a"},"at":{"N":"10"}},"ProjectionExpression":"detail.n"}`,
	`GetItem {"TableName":"events","Key":{"source":{"S":"a"},"at":{"N":"10"}},"ProjectionExpression":"detail.tags[1]"}`,
	`GetItem {"TableName":"events","Key":{"source":{"S":"a"},"at":{"N":"10"}},"ProjectionExpression":"detail.tags[0], detail.n"}`,
	`GetItem {"TableName":"events","Key":{"source":{"S":"a"},"at":{"N":"10"}},"ProjectionExpression":"absent"}`,
	`GetItem {"TableName":"events","Key":{"source":{"S":"nobody"},"at":{"N":"10"}},"ProjectionExpression":"kind"}`,
	`GetItem {"TableName":"events","Key":{"source":{"S":"a"},"at":{"N":"10"}},"ProjectionExpression":"source"}`,
	`GetItem {"TableName":"events","Key":{"source":{"S":"a"},"at":{"N":"10"}},"ProjectionExpression":""}`,
	// Scans; the order of partitions means nothing, so there is one partition.
	`DeleteItem {"TableName":"events","Key":{"source":{"S":"b"},"at":{"N":"10"}},"ReturnValues":"ALL_OLD"}`,
	`Scan {"TableName":"events"}`,
	`Scan {"TableName":"events","Select":"COUNT"}`,
	`Scan {"TableName":"events","FilterExpression":"kind = :x","ExpressionAttributeValues":{":x":{"S":"x"}}}`,
	`Scan {"TableName":"events","FilterExpression":"kind = :x AND #at > :n","ExpressionAttributeNames":{"#at":"at"},"ExpressionAttributeValues":{":x":{"S":"x"},":n":{"N":"0"}}}`,
	`Scan {"TableName":"events","FilterExpression":"attribute_exists(detail)","ProjectionExpression":"detail.n"}`,
	`Scan {"TableName":"events","Limit":2}`,
	`Scan {"TableName":"events","Limit":2,"ExclusiveStartKey":{"source":{"S":"a"},"at":{"N":"0.5"}}}`,
	`Scan {"TableName":"events","Limit":100}`,
	`Scan {"TableName":"events","FilterExpression":"kind = :x"}`,
	`Scan {"TableName":"events","FilterExpression":"kind = :x","ExpressionAttributeValues":{":x":{"S":"x"},":y":{"S":"x"}}}`,
	`Scan {"TableName":"absent"}`,
	`ListTables {}`,
	`ListTables {"Limit":1}`,
	`ListTables {"ExclusiveStartTableName":"events"}`,
	// Time to live.
	`DescribeTimeToLive {"TableName":"events"}`,
	`UpdateTimeToLive {"TableName":"events","TimeToLiveSpecification":{"AttributeName":"expiration","Enabled":true}}`,
	`DescribeTimeToLive {"TableName":"events"}`,
	`UpdateTimeToLive {"TableName":"events","TimeToLiveSpecification":{"AttributeName":"expiration","Enabled":false}}`,
	`DescribeTimeToLive {"TableName":"events"}`,
	`DescribeTimeToLive {"TableName":"absent"}`,
}

// exchangeFaults are the exchanges about which moto is wrong, and why.
var exchangeFaults = map[string]string{
	`GetItem {"TableName":"records","Key":{"id":{"N":"1"}}}`:       "moto does not check the type of a key that it reads",
	`UpdateItem {"TableName":"records","Key":{"id":{"S":"born"}}}`: "moto crashes on an update without an expression, which makes an item of its key",
	`UpdateItem {"TableName":"records","Key":{"id":{"S":"born by addition"}},"UpdateExpression":"ADD a :a","ExpressionAttributeValues":{":a":{"N":"1"}},"ReturnValues":"UPDATED_NEW"}`: "moto counts the key of a new item as updated",
	`PutItem {"TableName":"records","Item":{"id":{"S":"1"}},"ExpressionAttributeValues":{":unused":{"N":"1"}}}`:                                                                        unusedFault,
	`PutItem {"TableName":"records","Item":{"id":{"S":"1"}},"ConditionExpression":"attribute_not_exists(id)","ExpressionAttributeValues":{":unused":{"N":"1"}}}`:                       unusedFault,
	`Scan {"TableName":"events","FilterExpression":"kind = :x","ExpressionAttributeValues":{":x":{"S":"x"},":y":{"S":"x"}}}`:                                                           unusedFault,
	`PutItem {"TableName":"records","Item":{"id":{"S":"1"},"a":{"SS":["a","a"]}}}`:                                                                                                     "moto stores sets with duplicates, which the service refuses",
	`Scan {"TableName":"events","Select":"COUNT"}`:               "moto sends the items that were only to be counted",
	`Scan {"TableName":"events","FilterExpression":"kind = :x"}`: "moto crashes where a value is not defined",
	`DescribeTimeToLive {"TableName":"events"}`:                  "moto goes on naming the attribute of a time to live that is disabled",
	`DescribeTimeToLive {"TableName":"absent"}`:                  "moto has an error code without Exception here",
}

const unusedFault = "moto does not look for unused values in a put or a scan"

func TestExchangesAgreeWithTheJudge(t *testing.T) {
	t.Parallel()
	j := newJudge(t)
	for _, exchange := range exchanges {
		operation, input, _ := strings.Cut(exchange, " ")
		j.compare(exchange, exchangeFaults[exchange], operation, input)
	}
	j.report("exchanges")
}

func TestEveryReservedWordIsRefusedAsTheJudgeRefusesIt(t *testing.T) {
	t.Parallel()
	j := newJudge(t)
	words := append(reservedWords(t), "identifier", "expiration", "in_progress_expiration", "validation", "kind", "lease", "payload", "price", "quantity")
	for _, word := range words {
		word = strings.ToLower(word)
		j.compare(word, "", "UpdateItem", fmt.Sprintf(
			`{"TableName":"records","Key":{"id":{"S":"words"}},"UpdateExpression":"SET %s = :v","ExpressionAttributeValues":{":v":{"N":"1"}}}`, word))
	}
	j.report("words")
}

// reservedWords reads the list from the source, since it is no part of the package's interface.
func reservedWords(t *testing.T) []string {
	t.Helper()
	source, err := os.Open("reserved.go")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = source.Close() }()
	var words []string
	for lines := bufio.NewScanner(source); lines.Scan(); {
		if line := lines.Text(); strings.HasPrefix(line, "\t\t") && line == strings.ToUpper(line) {
			words = append(words, strings.Fields(line)...)
		}
	}
	if !slices.Contains(words, "STATUS") || len(words) != 573 {
		t.Fatalf("%d reserved words, want the 573 that are documented", len(words))
	}
	return words
}
