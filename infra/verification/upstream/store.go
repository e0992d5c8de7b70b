package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/verification/scripted"
)

// A store keeps scripts and arrivals in a table, since requests come to many sandboxes. The items of a script are
//
//	now                   the scene that requests come to: its number, its replies as JSON, and how many requests have come
//	arrival#SCENE#NUMBER  a request, as JSON
//	release#SCENE         says that the requests of a scene are released
type store struct {
	client *dynamodb.Client
	table  string
	now    func() time.Time
}

// The attributes of items.
const (
	attributeScript     = "script" // the name: partition key
	attributeItem       = "item"   // sort key
	attributeExpiration = "expiration"
	attributeScene      = "scene"
	attributeContent    = "content" // JSON
	attributeCame       = "came"
)

// currentItem is the item of the scene that requests come to.
const currentItem = "now"

// errNoScript says that nobody has written a script of that name.
var errNoScript = errors.New("there is no script of this name")

func text(value string) types.AttributeValue { return &types.AttributeValueMemberS{Value: value} }
func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func key(script, item string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{attributeScript: text(script), attributeItem: text(item)}
}

func arrivalItem(scene, n int) string { return fmt.Sprintf("arrival#%d#%06d", scene, n) }
func releaseItem(scene int) string    { return fmt.Sprintf("release#%d", scene) }

// put writes an item that holds content as JSON.
func (s *store) put(ctx context.Context, script, item string, content any, more map[string]types.AttributeValue) error {
	written, err := json.Marshal(content)
	if err != nil {
		return err
	}
	whole := key(script, item)
	whole[attributeContent] = text(string(written))
	whole[attributeExpiration] = number(s.now().Add(scripted.Retention).Unix())
	for name, value := range more {
		whole[name] = value
	}
	_, err = s.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &s.table, Item: whole})
	return err
}

// begin has the requests that come from now on come to a scene.
func (s *store) begin(ctx context.Context, script string, n int, scene scripted.Scene) error {
	return s.put(ctx, script, currentItem, scene, map[string]types.AttributeValue{
		attributeScene: number(int64(n)), attributeCame: number(0),
	})
}

// take counts a request, and gives the scene that it comes to and its number there, from 0.
func (s *store) take(ctx context.Context, script string) (scene, n int, whole scripted.Scene, err error) {
	output, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.table, Key: key(script, currentItem), ReturnValues: types.ReturnValueAllNew,
		ConditionExpression:       aws.String("attribute_exists(#script)"),
		UpdateExpression:          aws.String("ADD #came :one"),
		ExpressionAttributeNames:  map[string]string{"#script": attributeScript, "#came": attributeCame},
		ExpressionAttributeValues: map[string]types.AttributeValue{":one": number(1)},
	})
	var missing *types.ConditionalCheckFailedException
	if errors.As(err, &missing) {
		return 0, 0, whole, errNoScript
	}
	if err != nil {
		return 0, 0, whole, err
	}
	scene, errScene := integer(output.Attributes[attributeScene])
	came, errCame := integer(output.Attributes[attributeCame])
	return scene, came - 1, whole, errors.Join(errScene, errCame, decode(output.Attributes, &whole))
}

func integer(value types.AttributeValue) (int, error) {
	n, ok := value.(*types.AttributeValueMemberN)
	if !ok {
		return 0, fmt.Errorf("an item has %v where a number should be", value)
	}
	return strconv.Atoi(n.Value)
}

func decode(item map[string]types.AttributeValue, into any) error {
	content, ok := item[attributeContent].(*types.AttributeValueMemberS)
	if !ok {
		return fmt.Errorf("an item has %v where its content should be", item[attributeContent])
	}
	return json.Unmarshal([]byte(content.Value), into)
}

func (s *store) arrived(ctx context.Context, script string, scene, n int, a scripted.Arrival) error {
	return s.put(ctx, script, arrivalItem(scene, n), a, nil)
}

// arrivals are the requests that have come to a scene.
func (s *store) arrivals(ctx context.Context, script string, scene int) (scripted.Arrivals, error) {
	all := scripted.Arrivals{Arrivals: []scripted.Arrival{}}
	pages := dynamodb.NewQueryPaginator(s.client, &dynamodb.QueryInput{
		TableName: &s.table, ConsistentRead: aws.Bool(true),
		KeyConditionExpression:   aws.String("#script = :script AND begins_with(#item, :item)"),
		ExpressionAttributeNames: map[string]string{"#script": attributeScript, "#item": attributeItem},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":script": text(script), ":item": text(fmt.Sprintf("arrival#%d#", scene)),
		},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return all, err
		}
		for _, item := range page.Items {
			var a scripted.Arrival
			if err := decode(item, &a); err != nil {
				return all, err
			}
			all.Arrivals = append(all.Arrivals, a)
		}
	}
	return all, nil
}

func (s *store) release(ctx context.Context, script string, scene int) error {
	return s.put(ctx, script, releaseItem(scene), struct{}{}, nil)
}

func (s *store) released(ctx context.Context, script string, scene int) (bool, error) {
	output, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &s.table, ConsistentRead: aws.Bool(true), Key: key(script, releaseItem(scene)),
	})
	return err == nil && output.Item != nil, err
}
