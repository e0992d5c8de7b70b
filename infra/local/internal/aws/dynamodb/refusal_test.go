package dynamodb_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/dynamodb"
)

// refusedConditions are conditions that are refused before the item is looked at, with the service's words for it after
// "Invalid ConditionExpression: ".
var refusedConditions = [][2]string{
	{"", "The expression can not be empty;"},
	{"s", `Syntax error; token: "<EOF>", near: "s"`},
	{"s =", `Syntax error; token: "<EOF>", near: "="`},
	{"= :five", `Syntax error; token: "=", near: "= :five"`},
	{"s = :five :five", `Syntax error; token: ":five", near: ":five :five"`},
	{"(s = :hello", `Syntax error; token: "<EOF>", near: ":hello"`},
	{"s = :hello)", `Syntax error; token: ")", near: ":hello)"`},
	{"s == :five", `Syntax error; token: "=", near: "== :five"`},
	{"s ! :five", `Syntax error; token: "!", near: "s ! :five"`},
	{"s AND n", `Syntax error; token: "AND", near: "s AND n"`},
	{"AND s = :hello", `Syntax error; token: "AND", near: "AND s"`},
	{"s = :hello AND", `Syntax error; token: "<EOF>", near: "AND"`},
	{"NOT", `Syntax error; token: "<EOF>", near: "NOT"`},
	{"NOT s", `Syntax error; token: "<EOF>", near: "s"`},
	{"s NOT = :hello", `Syntax error; token: "NOT", near: "s NOT ="`},
	{"s = 5", `Syntax error; token: "5", near: "= 5"`},
	{"s = 'hello'", `Syntax error; token: "'", near: "= 'hello"`},
	{"s = # AND n = :five", `Syntax error; token: "#", near: "= # AND"`},
	{"size(s)", `Syntax error; token: "<EOF>", near: ")"`},
	{"attribute_exists(s) = :true", `Syntax error; token: "=", near: ") = :true"`},
	{"attribute_exists()", `Syntax error; token: ")", near: "()"`},
	{"n BETWEEN :one", `Syntax error; token: "<EOF>", near: ":one"`},
	{"n BETWEEN :one OR :five", `Syntax error; token: "OR", near: ":one OR :five"`},
	{"n IN ()", `Syntax error; token: ")", near: "()"`},
	{"n IN :one", `Syntax error; token: ":one", near: "IN :one"`},
	{"n IN (:one, )", `Syntax error; token: ")", near: ", )"`},
	{"l[a] = :five", `Syntax error; token: "a", near: "[a]"`},
	{"l[-1] = :five", `Syntax error; token: "-", near: "[-1"`},
	{"m. = :five", `Syntax error; token: "=", near: ". = :five"`},
	{".m = :five", `Syntax error; token: ".", near: ".m"`},
	{"s = :hello; n = :five", `Syntax error; token: ";", near: ":hello; n"`},
	{"l[99999999999] = :five", "List index is not within the allowable range; index: [99999999999]"},
	{"s = :undefined", "An expression attribute value used in expression is not defined; attribute value: :undefined"},
	{"#undefined = :five", "An expression attribute name used in the document path is not defined; attribute name: #undefined"},
	{"status = :five", "Attribute name is a reserved keyword; reserved keyword: status"},
	{"m.Name = :five", "Attribute name is a reserved keyword; reserved keyword: Name"},
	{"status = :five AND", `Syntax error; token: "<EOF>", near: "AND"`}, // the grammar goes first
	{"unknown(s)", "Invalid function name; function: unknown"},
	{"Size(s) = :five", "Invalid function name; function: Size"},
	{"list_append(l, :list) = :list", "The function is not allowed in a condition expression; function: list_append"},
	{"if_not_exists(s, :a) = :a", "The function is not allowed in a condition expression; function: if_not_exists"},
	{"attribute_exists(s, n)", "Incorrect number of operands for operator or function; operator or function: attribute_exists, number of operands: 2"},
	{"begins_with(s)", "Incorrect number of operands for operator or function; operator or function: begins_with, number of operands: 1"},
	{"contains(s, :a, :b)", "Incorrect number of operands for operator or function; operator or function: contains, number of operands: 3"},
	{"attribute_exists(:five)", "Operator or function requires a document path; operator or function: attribute_exists"},
	{"attribute_type(s, :hello)", "Invalid attribute type name found; type: hello, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}"},
	{"attribute_type(s, :five)", "Incorrect operand type for operator or function; operator or function: attribute_type, operand type: N"},
	{"begins_with(s, :five)", "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N"},
	{"size(:five) = :five", "Incorrect operand type for operator or function; operator or function: size, operand type: N"},
	{"t < :true", "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL"},
	{"l BETWEEN :list AND :list", "Incorrect operand type for operator or function; operator or function: BETWEEN, operand type: L"},
	{"n BETWEEN :five AND :one", "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; " +
		"lower bound operand: AttributeValue: {N:5}, upper bound operand: AttributeValue: {N:1}"},
	{"n BETWEEN :one AND :hello", "The BETWEEN operator requires same data type for lower and upper bounds; " +
		"lower bound operand: AttributeValue: {N:1}, upper bound operand: AttributeValue: {S:hello}"},
	{"s = s", "The first operand must be distinct from the remaining operands for this operator or function; operator: =, first operand: [s]"},
	{"contains(m.a, m.a)", "The first operand must be distinct from the remaining operands for this operator or function; operator: contains, first operand: [m, a]"},
	{"n IN (:one, l[2], n)", "The first operand must be distinct from the remaining operands for this operator or function; operator: IN, first operand: [n]"},
	{"((s = :hello))", "The expression has redundant parentheses;"},
}

func TestConditionsThatMeanNothingAreRefusedInTheServicesWords(t *testing.T) {
	store := newStore(t)
	for _, c := range refusedConditions {
		input := fmt.Sprintf(`{"TableName":"records","Item":{"id":{"S":"x"}},"ConditionExpression":%q%s}`, c[0], attributes(c[0]))
		refusal := refused(t, store, "PutItem", input)
		if want := "Invalid ConditionExpression: " + c[1]; refusal.Code != dynamodb.CodeValidation || refusal.Message != want {
			t.Errorf("%s\n got %s: %s\nwant %s", c[0], refusal.Code, refusal.Message, want)
		}
	}
}

// refusedUpdates are updates that are refused before the item is looked at, with the service's words for it after
// "Invalid UpdateExpression: ".
var refusedUpdates = [][2]string{
	{"", "The expression can not be empty;"},
	{"  ", `Syntax error; token: "<EOF>", near: ""`},
	{"SET", `Syntax error; token: "<EOF>", near: "SET"`},
	{"s = :x", `Syntax error; token: "s", near: "s ="`},
	{"SET s :x", `Syntax error; token: ":x", near: "s :x"`},
	{"SET s = :x,", `Syntax error; token: "<EOF>", near: ","`},
	{"SET s = :x n = :five", `Syntax error; token: "n", near: ":x n ="`},
	{"SET s = :x + :one + :two", `Syntax error; token: "+", near: ":one + :two"`},
	{"SET s = list_append(n + :one, :list)", `Syntax error; token: "+", near: "n + :one"`},
	{"SET SET = :x", `Syntax error; token: "SET", near: "SET SET ="`},
	{"SET :x = :x", `Syntax error; token: ":x", near: "SET :x ="`},
	{"REMOVE s n", `Syntax error; token: "n", near: "s n"`},
	{"ADD n n", `Syntax error; token: "n", near: "n n"`},
	{"DELETE ss", `Syntax error; token: "<EOF>", near: "ss"`},
	{"SET s = :x SET n = :five", `The "SET" section can only be used once in an update expression;`},
	{"SET status = :x", "Attribute name is a reserved keyword; reserved keyword: status"},
	{"SET path = VALUE 1", `Syntax error; token: "1", near: "VALUE 1"`},
	{"SET s = :undefined", "An expression attribute value used in expression is not defined; attribute value: :undefined"},
	{"REMOVE #undefined", "An expression attribute name used in the document path is not defined; attribute name: #undefined"},
	{"SET s = size(n)", "The function is not allowed in an update expression; function: size"},
	{"SET s = unknown(n)", "Invalid function name; function: unknown"},
	{"SET s = if_not_exists(s)", "Incorrect number of operands for operator or function; operator or function: if_not_exists, number of operands: 1"},
	{"SET s = if_not_exists(:x, :x)", "Operator or function requires a document path; operator or function: if_not_exists"},
	{"SET s = n + :x", "Incorrect operand type for operator or function; operator or function: +, operand type: S"},
	{"SET s = :x - n", "Incorrect operand type for operator or function; operator or function: -, operand type: S"},
	{"SET l = list_append(l, :x)", "Incorrect operand type for operator or function; operator or function: list_append, operand type: S"},
	{"ADD n :x", "Incorrect operand type for operator or function; operator: ADD, operand type: STRING, typeSet: ALLOWED_FOR_ADD_OPERAND"},
	{"ADD l :list", "Incorrect operand type for operator or function; operator: ADD, operand type: LIST, typeSet: ALLOWED_FOR_ADD_OPERAND"},
	{"DELETE ss :one", "Incorrect operand type for operator or function; operator: DELETE, operand type: NUMBER, typeSet: ALLOWED_FOR_DELETE_OPERAND"},
	{"SET s = :x, s = :a", "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [s], path two: [s]"},
	{"SET m = :mapC REMOVE m.a", "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [m], path two: [m, a]"},
	{"SET m.b.c = :x, m.b = :x", "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [m, b, c], path two: [m, b]"},
	{"SET m.a = :x, m[1] = :a", "Two document paths conflict with each other; must remove or rewrite one of these paths; path one: [m, a], path two: [m, [1]]"},
}

func TestUpdatesThatMeanNothingAreRefusedInTheServicesWords(t *testing.T) {
	store := newStore(t)
	for _, u := range refusedUpdates {
		input := fmt.Sprintf(`{"TableName":"records","Key":{"id":{"S":"x"}},"UpdateExpression":%q%s}`, u[0], attributes(u[0]))
		refusal := refused(t, store, "UpdateItem", input)
		if want := "Invalid UpdateExpression: " + u[1]; refusal.Code != dynamodb.CodeValidation || refusal.Message != want {
			t.Errorf("%s\n got %s: %s\nwant %s", u[0], refusal.Code, refusal.Message, want)
		}
	}
}

// refusals are requests that are refused, with the code and the words.
var refusals = []struct{ operation, input, want string }{
	// Tables and operations.
	{"GetItem", `{"TableName":"absent","Key":{"id":{"S":"x"}}}`, "ResourceNotFoundException: Requested resource not found"},
	{"DescribeTable", `{"TableName":"absent"}`, "ResourceNotFoundException: Requested resource not found: Table: absent not found"},
	{"DescribeTimeToLive", `{"TableName":"absent"}`, "ResourceNotFoundException: Requested resource not found: Table: absent not found"},
	{"GetItem", `{"Key":{"id":{"S":"x"}}}`, "ValidationException: 1 validation error detected: Value null at 'tableName' failed to satisfy constraint: Member must not be null"},
	{"GetItem", `{"TableName":"records"}`, "ValidationException: 1 validation error detected: Value null at 'key' failed to satisfy constraint: Member must not be null"},
	{"PutItem", `{"TableName":"records"}`, "ValidationException: 1 validation error detected: Value null at 'item' failed to satisfy constraint: Member must not be null"},
	{"TransactWriteItems", `{}`, "UnknownOperationException: The local DynamoDB does not support the operation TransactWriteItems"},
	{"CreateTable", `{}`, "UnknownOperationException: The local DynamoDB does not support the operation CreateTable"},
	{"GetItem", `{"TableName":`, "SerializationException: unexpected end of JSON input"},
	{"GetItem", `{"TableName":5}`, "SerializationException: TableName cannot be a JSON number"},
	{"GetItem", `[]`, "SerializationException: the request cannot be a JSON array"},
	{"PutItem", `{"TableName":"records","Item":[]}`, "SerializationException: an item or map cannot be a JSON array"},
	{"PutItem", `{"TableName":"records","Item":{"id":"x"}}`, "SerializationException: an attribute value cannot be a JSON string"},
	{"PutItem", `{"TableName":"records","Item":{"id":{"S":"x"},"":{"S":"x"}}}`, "ValidationException: The name of an attribute has to have 1 to 65535 bytes"},
	// Parameters that are not supported are named.
	{"UpdateTimeToLive", `{"TableName":"records","TimeToLiveSpecification":{"Attribute":"expiration"}}`, "SerializationException: json: unknown field \"Attribute\""},
	{"PutItem", `{"TableName":"records","Item":{"id":{"S":"x"}},"Expected":{}}`, "ValidationException: The local DynamoDB does not support the parameter Expected here"},
	{"UpdateItem", `{"TableName":"records","Key":{"id":{"S":"x"}},"AttributeUpdates":{}}`, "ValidationException: The local DynamoDB does not support the parameter AttributeUpdates here"},
	{"GetItem", `{"TableName":"records","Key":{"id":{"S":"x"}},"AttributesToGet":["a"]}`, "ValidationException: The local DynamoDB does not support the parameter AttributesToGet here"},
	{"GetItem", `{"tableName":"records","Key":{"id":{"S":"x"}}}`, "ValidationException: The local DynamoDB does not support the parameter tableName here"},
	{"Scan", `{"TableName":"records","Segment":0,"TotalSegments":2}`, "ValidationException: The local DynamoDB does not support the parameter Segment here"},
	{"Query", `{"TableName":"records","KeyConditions":{}}`, "ValidationException: The local DynamoDB does not support the parameter KeyConditions here"},
	{"Scan", `{"TableName":"records","IndexName":"by-status"}`, "ValidationException: The table does not have the specified index: by-status"},
	// Enumerations.
	{"PutItem", `{"TableName":"records","Item":{"id":{"S":"x"}},"ReturnValues":"SOME"}`, "ValidationException: 1 validation error detected: Value 'SOME' at 'returnValues' failed to satisfy constraint: Member must satisfy enum value set: [ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]"},
	{"PutItem", `{"TableName":"records","Item":{"id":{"S":"x"}},"ReturnValues":"ALL_NEW"}`, "ValidationException: Return values set to invalid value"},
	{"DeleteItem", `{"TableName":"records","Key":{"id":{"S":"x"}},"ReturnValues":"UPDATED_OLD"}`, "ValidationException: Return values set to invalid value"},
	{"DeleteItem", `{"TableName":"records","Key":{"id":{"S":"x"}},"ReturnValuesOnConditionCheckFailure":"ALL_NEW"}`, "ValidationException: 1 validation error detected: Value 'ALL_NEW' at 'returnValuesOnConditionCheckFailure' failed to satisfy constraint: Member must satisfy enum value set: [ALL_OLD, NONE]"},
	{"GetItem", `{"TableName":"records","Key":{"id":{"S":"x"}},"ReturnConsumedCapacity":"YES"}`, "ValidationException: 1 validation error detected: Value 'YES' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]"},
	// Keys.
	{"PutItem", `{"TableName":"records","Item":{"id":{"S":""}}}`, "ValidationException: One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: id"},
	{"GetItem", `{"TableName":"records","Key":{"id":{"S":""}}}`, "ValidationException: One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: id"},
	{"PutItem", `{"TableName":"records","Item":{"a":{"S":"x"}}}`, "ValidationException: One or more parameter values were invalid: Missing the key id in the item"},
	{"PutItem", `{"TableName":"records","Item":{"id":{"N":"1"}}}`, "ValidationException: One or more parameter values were invalid: Type mismatch for key id expected: S actual: N"},
	{"GetItem", `{"TableName":"records","Key":{"id":{"N":"1"}}}`, "ValidationException: The provided key element does not match the schema"},
	{"DeleteItem", `{"TableName":"records","Key":{"id":{"S":"1"},"other":{"S":"1"}}}`, "ValidationException: The provided key element does not match the schema"},
	{"UpdateItem", `{"TableName":"events","Key":{"source":{"S":"1"}}}`, "ValidationException: The provided key element does not match the schema"},
	{"UpdateItem", `{"TableName":"records","Key":{"id":{"S":"1"}},"UpdateExpression":"REMOVE id"}`, "ValidationException: One or more parameter values were invalid: Cannot update attribute id. This attribute is part of the key"},
	// Values.
	{"PutItem", `{"TableName":"records","Item":{"id":{}}}`, "ValidationException: Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"},
	{"PutItem", `{"TableName":"records","Item":{"id":{"X":"1"}}}`, "ValidationException: Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"},
	{"PutItem", `{"TableName":"records","Item":{"id":{"S":"1","N":"1"}}}`, "ValidationException: Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"},
	{"PutItem", `{"TableName":"records","Item":{"id":{"S":"1"},"a":{"NULL":false}}}`, "ValidationException: One or more parameter values were invalid: Null attribute value types must have the value of true"},
	{"PutItem", `{"TableName":"records","Item":{"id":{"S":"1"},"a":{"SS":[]}}}`, "ValidationException: One or more parameter values were invalid: An string set  may not be empty"},
	{"PutItem", `{"TableName":"records","Item":{"id":{"S":"1"},"a":{"NS":[]}}}`, "ValidationException: One or more parameter values were invalid: An number set  may not be empty"},
	{"PutItem", `{"TableName":"records","Item":{"id":{"S":"1"},"a":{"BS":[]}}}`, "ValidationException: One or more parameter values were invalid: Binary sets should not be empty"},
	{"PutItem", `{"TableName":"records","Item":{"id":{"S":"1"},"a":{"SS":["x","x"]}}}`, "ValidationException: One or more parameter values were invalid: Input collection [x, x] contains duplicates."},
	{"PutItem", `{"TableName":"records","Item":{"id":{"S":"1"},"a":{"NS":["1","1.0"]}}}`, "ValidationException: One or more parameter values were invalid: Input collection [1, 1] contains duplicates."},
	{"PutItem", `{"TableName":"records","Item":{"id":{"S":"1"},"a":{"N":"1"},"b":{"N":"one"}}}`, "ValidationException: The parameter cannot be converted to a numeric value: one"},
	{"PutItem", `{"TableName":"records","Item":{"id":{"S":"1"},"a":{"N":1}}}`, "SerializationException: the content of an attribute value cannot be a JSON number"},
	{"PutItem", `{"TableName":"records","Item":{"id":{"S":"1"},"a":{"B":"?"}}}`, "SerializationException: a B value is not base64: illegal base64 data at input byte 0"},
	// Placeholders.
	{"PutItem", `{"TableName":"records","Item":{"id":{"S":"1"}},"ExpressionAttributeNames":{"#a":"a"}}`, "ValidationException: ExpressionAttributeNames can only be specified when using expressions"},
	{"PutItem", `{"TableName":"records","Item":{"id":{"S":"1"}},"ExpressionAttributeValues":{":a":{"S":"a"}}}`, "ValidationException: ExpressionAttributeValues can only be specified when using expressions: ConditionExpression is null"},
	{"UpdateItem", `{"TableName":"records","Key":{"id":{"S":"1"}},"ExpressionAttributeValues":{":a":{"S":"a"}}}`, "ValidationException: ExpressionAttributeValues can only be specified when using expressions: UpdateExpression and ConditionExpression are null"},
	{"Scan", `{"TableName":"records","ExpressionAttributeValues":{":a":{"S":"a"}}}`, "ValidationException: ExpressionAttributeValues can only be specified when using expressions: FilterExpression is null"},
	{"UpdateItem", `{"TableName":"records","Key":{"id":{"S":"1"}},"UpdateExpression":"REMOVE a","ExpressionAttributeNames":{}}`, "ValidationException: ExpressionAttributeNames must not be empty"},
	{"UpdateItem", `{"TableName":"records","Key":{"id":{"S":"1"}},"UpdateExpression":"REMOVE a","ExpressionAttributeValues":{}}`, "ValidationException: ExpressionAttributeValues must not be empty"},
	{"UpdateItem", `{"TableName":"records","Key":{"id":{"S":"1"}},"UpdateExpression":"REMOVE a","ExpressionAttributeNames":{"a":"a"}}`, `ValidationException: ExpressionAttributeNames contains invalid key: Syntax error; key: "a"`},
	{"UpdateItem", `{"TableName":"records","Key":{"id":{"S":"1"}},"UpdateExpression":"REMOVE a","ExpressionAttributeValues":{":":{"S":"a"}}}`, `ValidationException: ExpressionAttributeValues contains invalid key: Syntax error; key: ":"`},
	{"UpdateItem", `{"TableName":"records","Key":{"id":{"S":"1"}},"UpdateExpression":"REMOVE a","ExpressionAttributeValues":{":a":{"N":"x"}}}`, "ValidationException: ExpressionAttributeValues contains invalid value: The parameter cannot be converted to a numeric value: x for key :a"},
	{"UpdateItem", `{"TableName":"records","Key":{"id":{"S":"1"}},"UpdateExpression":"REMOVE #a","ExpressionAttributeNames":{"#a":""}}`, "ValidationException: ExpressionAttributeNames contains invalid value: The name of an attribute has to have 1 to 65535 bytes for key #a"},
	{"UpdateItem", `{"TableName":"records","Key":{"id":{"S":"1"}},"UpdateExpression":"REMOVE a","ExpressionAttributeNames":{"#a":"a","#b":"b"}}`, "ValidationException: Value provided in ExpressionAttributeNames unused in expressions: keys: {#a, #b}"},
	{"UpdateItem", `{"TableName":"records","Key":{"id":{"S":"1"}},"UpdateExpression":"REMOVE a","ExpressionAttributeValues":{":a":{"S":"a"}}}`, "ValidationException: Value provided in ExpressionAttributeValues unused in expressions: keys: {:a}"},
	// Projections, scans and queries.
	{"GetItem", `{"TableName":"records","Key":{"id":{"S":"1"}},"ProjectionExpression":"a, status"}`, "ValidationException: Invalid ProjectionExpression: Attribute name is a reserved keyword; reserved keyword: status"},
	{"GetItem", `{"TableName":"records","Key":{"id":{"S":"1"}},"ProjectionExpression":"a b"}`, `ValidationException: Invalid ProjectionExpression: Syntax error; token: "b", near: "a b"`},
	{"GetItem", `{"TableName":"records","Key":{"id":{"S":"1"}},"ProjectionExpression":"a, a.b"}`, "ValidationException: Invalid ProjectionExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a, b]"},
	{"Scan", `{"TableName":"records","Limit":0}`, "ValidationException: 1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1"},
	{"Scan", `{"TableName":"records","Select":"SPECIFIC_ATTRIBUTES"}`, "ValidationException: One or more parameter values were invalid: Must specify the ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"},
	{"Scan", `{"TableName":"records","Select":"COUNT","ProjectionExpression":"a"}`, "ValidationException: One or more parameter values were invalid: Cannot specify the ProjectionExpression when choosing to get only the Count"},
	{"Scan", `{"TableName":"records","ExclusiveStartKey":{"x":{"S":"1"}}}`, "ValidationException: The provided starting key is invalid: The provided key element does not match the schema"},
	{"Query", `{"TableName":"records"}`, "ValidationException: Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."},
	{"Query", `{"TableName":"events","KeyConditionExpression":"#s = :a AND another = :a","ExpressionAttributeNames":{"#s":"source"},"ExpressionAttributeValues":{":a":{"S":"a"}}}`, "ValidationException: Query condition missed key schema element: at"},
	{"Query", `{"TableName":"events","KeyConditionExpression":"another = :a","ExpressionAttributeValues":{":a":{"S":"a"}}}`, "ValidationException: Query condition missed key schema element: source"},
	{"Query", `{"TableName":"events","KeyConditionExpression":"#s > :a","ExpressionAttributeNames":{"#s":"source"},"ExpressionAttributeValues":{":a":{"S":"a"}}}`, "ValidationException: Query key condition not supported"},
	{"Query", `{"TableName":"events","KeyConditionExpression":"#s = :a OR #s = :a","ExpressionAttributeNames":{"#s":"source"},"ExpressionAttributeValues":{":a":{"S":"a"}}}`, "ValidationException: Invalid KeyConditionExpression: Invalid operator used in KeyConditionExpression: OR"},
	{"Query", `{"TableName":"records","KeyConditionExpression":"NOT id = :a","ExpressionAttributeValues":{":a":{"S":"a"}}}`, "ValidationException: Invalid KeyConditionExpression: Invalid operator used in KeyConditionExpression: NOT"},
	{"Query", `{"TableName":"records","KeyConditionExpression":"id <> :a","ExpressionAttributeValues":{":a":{"S":"a"}}}`, "ValidationException: Invalid KeyConditionExpression: Invalid operator used in KeyConditionExpression: <>"},
	{"Query", `{"TableName":"records","KeyConditionExpression":"id IN (:a)","ExpressionAttributeValues":{":a":{"S":"a"}}}`, "ValidationException: Invalid KeyConditionExpression: Invalid operator used in KeyConditionExpression: IN"},
	{"Query", `{"TableName":"records","KeyConditionExpression":"contains(id, :a)","ExpressionAttributeValues":{":a":{"S":"a"}}}`, "ValidationException: Invalid KeyConditionExpression: Invalid operator used in KeyConditionExpression: contains"},
	{"Query", `{"TableName":"records","KeyConditionExpression":"attribute_not_exists(id)"}`, "ValidationException: Invalid KeyConditionExpression: Invalid operator used in KeyConditionExpression: attribute_not_exists"},
	{"Query", `{"TableName":"records","KeyConditionExpression":"id.a = :a","ExpressionAttributeValues":{":a":{"S":"a"}}}`, "ValidationException: Invalid KeyConditionExpression: KeyConditionExpressions cannot have conditions on nested attributes"},
	{"Query", `{"TableName":"records","KeyConditionExpression":"id = :a AND b = :a","ExpressionAttributeValues":{":a":{"S":"a"}}}`, "ValidationException: Query key condition not supported"},
	{"Query", `{"TableName":"records","KeyConditionExpression":"id = b"}`, "ValidationException: Query key condition not supported"},
	{"Query", `{"TableName":"records","KeyConditionExpression":"id = :a","ExclusiveStartKey":{"id":{"S":"b"}},"ExpressionAttributeValues":{":a":{"S":"a"}}}`, "ValidationException: The provided starting key is outside query boundaries based on provided conditions"},
	{"Query", `{"TableName":"events","KeyConditionExpression":"#s = :a AND #s = :a","ExpressionAttributeNames":{"#s":"source"},"ExpressionAttributeValues":{":a":{"S":"a"}}}`, "ValidationException: KeyConditionExpressions must only contain one condition per key"},
	{"Query", `{"TableName":"events","KeyConditionExpression":"#s = :a","ExpressionAttributeNames":{"#s":"source"},"ExpressionAttributeValues":{":a":{"N":"1"}}}`, "ValidationException: One or more parameter values were invalid: Condition parameter type does not match schema type"},
	{"Query", `{"TableName":"records","KeyConditionExpression":"id = :a","FilterExpression":"id <> :b","ExpressionAttributeValues":{":a":{"S":"1"},":b":{"S":"1"}}}`, "ValidationException: Filter Expression can only contain non-primary key attributes: Primary key attribute: id"},
	// Time to live.
	{"UpdateTimeToLive", `{"TableName":"records","TimeToLiveSpecification":{"AttributeName":"expiration","Enabled":true}}`, "ValidationException: TimeToLive is already enabled"},
	{"UpdateTimeToLive", `{"TableName":"records","TimeToLiveSpecification":{"AttributeName":"other","Enabled":true}}`, "ValidationException: TimeToLive is active on a different AttributeName: current AttributeName is expiration"},
	{"UpdateTimeToLive", `{"TableName":"events","TimeToLiveSpecification":{"AttributeName":"expiration","Enabled":false}}`, "ValidationException: TimeToLive is already disabled"},
	{"UpdateTimeToLive", `{"TableName":"events"}`, "ValidationException: 1 validation error detected: Value null at 'timeToLiveSpecification' failed to satisfy constraint: Member must not be null"},
}

func TestWrongRequestsAreRefusedInTheServicesWords(t *testing.T) {
	store := newStore(t)
	for _, r := range refusals {
		if refusal := refused(t, store, r.operation, r.input); refusal.Error() != r.want {
			t.Errorf("%s %s\n got %s\nwant %s", r.operation, r.input, refusal, r.want)
		}
	}
}

func TestARefusedRequestChangesNothing(t *testing.T) {
	store := newStore(t)
	call(t, store, "PutItem", `{"TableName":"records","Item":{"id":{"S":"k"},"n":{"N":"1"},"s":{"S":"x"}}}`)
	// The first action of each could be done, the second cannot.
	for _, update := range []string{"SET n = :five, added = absent", "SET added = :five REMOVE s.part", "ADD n :five, s :five"} {
		refused(t, store, "UpdateItem", fmt.Sprintf(
			`{"TableName":"records","Key":{"id":{"S":"k"}},"UpdateExpression":%q,"ExpressionAttributeValues":{":five":{"N":"5"}}}`, update))
	}
	equalJSON(t, "the item", call(t, store, "GetItem", `{"TableName":"records","Key":{"id":{"S":"k"}}}`),
		`{"Item":{"id":{"S":"k"},"n":{"N":"1"},"s":{"S":"x"}}}`)
}

func TestATableDefinitionIsRefusedWithAllItsProblems(t *testing.T) {
	err := dynamodb.New().CreateTable(dynamodb.TableDefinition{
		Name: "no spaces", PartitionKey: dynamodb.KeyAttribute{Name: "k", Type: "BOOL"}, SortKey: dynamodb.KeyAttribute{Name: "k", Type: "S"}})
	for _, want := range []string{`table name "no spaces"`, `partition key "k"`, "allowed are S, N and B", `both keys of table "no spaces" are called "k"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to say %s", err, want)
		}
	}
	store := newStore(t)
	if err := store.CreateTable(records); err == nil || !strings.Contains(err.Error(), dynamodb.CodeResourceInUse) {
		t.Errorf("a table that exists: got %v", err)
	}
}
