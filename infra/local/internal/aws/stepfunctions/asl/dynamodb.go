package asl

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strconv"
)

// A DynamoDB updates items for the dynamodb:updateItem integration. UpdateItem must return when ctx is done.
//
// The input is the body of an UpdateItem request and the output that of its answer, in the JSON of the DynamoDB API. An
// error of the service is returned as a [*ServiceError], with a Code such as ConditionalCheckFailedException. Any other
// error is reported as DynamoDB.SdkClientException.
type DynamoDB interface {
	UpdateItem(ctx context.Context, input json.RawMessage) (json.RawMessage, error)
}

// A DynamoDBFunc is a function that serves as a [DynamoDB].
type DynamoDBFunc func(ctx context.Context, input json.RawMessage) (json.RawMessage, error)

// UpdateItem calls f.
func (f DynamoDBFunc) UpdateItem(ctx context.Context, input json.RawMessage) (json.RawMessage, error) {
	return f(ctx, input)
}

type dynamodbUpdateItem struct{}

// dynamodbErrors are the errors that Step Functions reports under their own names. Any other, such as a
// ValidationException, is an AmazonDynamoDBException.
var dynamodbErrors = map[string]bool{
	"ConditionalCheckFailedException": true, "InternalServerError": true, "ItemCollectionSizeLimitExceededException": true,
	"ProvisionedThroughputExceededException": true, "ReplicatedWriteConflictException": true, "RequestLimitExceeded": true,
	"ResourceNotFoundException": true, "ThrottlingException": true, "TransactionConflictException": true,
}

func (dynamodbUpdateItem) errorNames() serviceErrors {
	return serviceErrors{prefix: "DynamoDB", service: "AmazonDynamoDBv2", known: dynamodbErrors, other: "AmazonDynamoDBException"}
}

func (dynamodbUpdateItem) check(f *fields, parameters map[string]any) {
	checkNames(f, parameters, []string{"TableName", "Key"},
		"UpdateExpression", "ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues",
		"ReturnValues", "ReturnConsumedCapacity", "ReturnItemCollectionMetrics")
}

func (dynamodbUpdateItem) call(ctx context.Context, e *execution, parameters map[string]any) (any, error) {
	for _, name := range []string{"Key", "ExpressionAttributeValues"} {
		values, given := parameters[name]
		if !given {
			continue
		}
		object, ok := values.(map[string]any)
		if !ok {
			return nil, invalidParameters(parameters, fmt.Sprintf("The value for the field '%s' must be an object", name))
		}
		for _, attribute := range sortedNames(object) {
			if problem := checkAttributeValue(attribute, object[attribute]); problem != "" {
				return nil, invalidParameters(parameters, problem)
			}
		}
	}
	output, err := e.options.DynamoDB.UpdateItem(ctx, json.RawMessage(encode(parameters)))
	if err != nil {
		return nil, err
	}
	v, err := decode(output)
	result, ok := v.(map[string]any)
	if err != nil || !ok {
		return nil, fmt.Errorf("the answer to UpdateItem is not a JSON object: %.100q", output)
	}
	addMetadata(result, e.clock.Now(), UUID(e.options.Random), "application/x-amz-json-1.0", len(output), map[string]string{
		"Server":      "Server",
		"x-amz-crc32": strconv.FormatUint(uint64(crc32.ChecksumIEEE(output)), 10),
	})
	return result, nil
}

// checkAttributeValue looks whether a value has the form that DynamoDB's API demands, with numbers in strings: a number
// that a path brings as a number is refused by Step Functions before DynamoDB sees it.
func checkAttributeValue(name string, v any) string {
	object, ok := v.(map[string]any)
	if !ok {
		return fmt.Sprintf("The value for the field '%s' must be an object", name)
	}
	for _, kind := range sortedNames(object) {
		member := object[kind]
		ok, want := true, ""
		switch kind {
		case "S", "N", "B":
			_, ok = member.(string)
			want = "a STRING"
		case "BOOL", "NULL":
			_, ok = member.(bool)
			want = "a BOOLEAN"
		case "SS", "NS", "BS", "L":
			_, ok = member.([]any)
			want = "a LIST"
		case "M":
			_, ok = member.(map[string]any)
			want = "a MAP"
		default:
			return fmt.Sprintf("The field '%s' is not supported by Step Functions", kind)
		}
		if !ok {
			return fmt.Sprintf("The value for the field '%s' must be %s", kind, want)
		}
		if problem := checkElements(kind, member); problem != "" {
			return problem
		}
	}
	return ""
}

func checkElements(kind string, v any) string {
	switch v := v.(type) {
	case []any:
		for i, element := range v {
			if kind == "L" {
				if problem := checkAttributeValue(indexed(kind, i), element); problem != "" {
					return problem
				}
			} else if _, ok := element.(string); !ok {
				return fmt.Sprintf("The values of the field '%s' must be STRINGS", kind)
			}
		}
	case map[string]any:
		for _, name := range sortedNames(v) {
			if problem := checkAttributeValue(name, v[name]); problem != "" {
				return problem
			}
		}
	}
	return ""
}
