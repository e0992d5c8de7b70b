// Package executionstore keeps executions, see package execution, in a DynamoDB table.
package executionstore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/recordformat"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// The attributes of items, beside those of package recordformat: the id, and the time to live.
const (
	executionAttribute = "execution" // S, an execution.Execution as JSON
	revisionAttribute  = "revision"  // N
	writerAttribute    = "writer"    // S, random, of whoever wrote the revision
	partAttribute      = "part"      // B, a request or an answer as JSON

)

// A Client is what a Store needs of *dynamodb.Client.
type Client interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
}

// A Store keeps executions in a table. It is safe for concurrent use.
type Store struct {
	client Client
	table  string
	prefix string
}

// New makes a Store. The ids of its items begin with prefix, up to a number sign.
func New(client Client, table, prefix string) *Store {
	return &Store{client, table, prefix}
}

func (s *Store) key(id string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{recordformat.ID: text(id)}
}

// Get reads an execution. The error is execution.ErrNotFound if there is none of that name.
func (s *Store) Get(ctx context.Context, name string) (*execution.Execution, error) {
	item, err := s.item(ctx, execution.ItemID(s.prefix, name))
	if err != nil {
		return nil, err
	}
	x, _, err := read(name, item)
	return x, err
}

func (s *Store) item(ctx context.Context, id string) (map[string]types.AttributeValue, error) {
	out, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.table, Key: s.key(id), ConsistentRead: aws.Bool(true)})
	switch {
	case err != nil:
		return nil, fmt.Errorf("executionstore: %w", err)
	case len(out.Item) == 0:
		return nil, execution.ErrNotFound
	}
	return out.Item, nil
}

// read reads an item, and who has written it.
func read(name string, item map[string]types.AttributeValue) (*execution.Execution, string, error) {
	x := &execution.Execution{Name: name}
	if err := json.Unmarshal([]byte(textOf(item[executionAttribute])), x); err != nil {
		return nil, "", fmt.Errorf("executionstore: the item is not one of an execution: %w", err)
	}
	var err error
	if x.Revision, err = numberOf(item[revisionAttribute]); err != nil {
		return nil, "", fmt.Errorf("executionstore: the item has no revision: %w", err)
	}
	x.Expiration, _ = numberOf(item[recordformat.Expiration])
	if lost := textOf(item[message.LostAttribute]); lost != "" {
		if x.Lost, err = message.Unmarshal([]byte(lost)); err != nil {
			return nil, "", fmt.Errorf("executionstore: the losses in the item cannot be read: %w", err)
		}
	}
	return x, textOf(item[writerAttribute]), nil
}

// Create writes an execution that was not there before. The error is execution.ErrChanged if it was.
func (s *Store) Create(ctx context.Context, x *execution.Execution) error {
	x.Revision = 0
	return s.Save(ctx, x)
}

// Save writes an execution, in the place of the one that was read. The error is execution.ErrChanged if somebody has written another one
// since. A write of which the reply is lost has not failed: the one that is there is recognised.
func (s *Store) Save(ctx context.Context, x *execution.Execution) error {
	return s.save(ctx, x, "#revision = :revision AND attribute_not_exists(#lost)", map[string]string{"#revision": revisionAttribute, "#lost": message.LostAttribute})
}

// Restart writes an execution that is started again, as Save does, although the state machine may have written there that its
// proxies were lost.
func (s *Store) Restart(ctx context.Context, x *execution.Execution) error {
	return s.save(ctx, x, "#revision = :revision", map[string]string{"#revision": revisionAttribute})
}

func (s *Store) save(ctx context.Context, x *execution.Execution, condition string, names map[string]string) error {
	content, err := json.Marshal(x)
	if err != nil {
		return fmt.Errorf("executionstore: %w", err)
	}
	writer := token()
	put := &dynamodb.PutItemInput{
		TableName: &s.table,
		Item: map[string]types.AttributeValue{
			recordformat.ID:         text(execution.ItemID(s.prefix, x.Name)),
			recordformat.Expiration: number(x.Expiration),
			executionAttribute:      text(string(content)),
			revisionAttribute:       number(x.Revision + 1),
			writerAttribute:         text(writer),
		},
		ConditionExpression:                 aws.String("attribute_not_exists(#id)"),
		ExpressionAttributeNames:            map[string]string{"#id": recordformat.ID},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	if x.Ended() {
		put.Item[message.EndedAttribute] = text(string(x.State))
	}
	if x.Revision > 0 {
		put.ConditionExpression, put.ExpressionAttributeNames = &condition, names
		put.ExpressionAttributeValues = map[string]types.AttributeValue{":revision": number(x.Revision)}
	}
	_, err = s.client.PutItem(ctx, put)
	var conflict *types.ConditionalCheckFailedException
	if errors.As(err, &conflict) {
		item := conflict.Item
		if len(item) == 0 {
			if item, err = s.item(ctx, execution.ItemID(s.prefix, x.Name)); err != nil {
				return err
			}
		}
		if textOf(item[writerAttribute]) != writer {
			return execution.ErrChanged
		}
		err = nil
	}
	if err != nil {
		return fmt.Errorf("executionstore: %w", err)
	}
	x.Revision++
	return nil
}

// HoldRecord locks the idempotency record of a request until a moment, if it is still its owner's. The error is execution.ErrChanged if
// it is not: the lease with which it was acquired had ended, and somebody else has the key.
func (s *Store) HoldRecord(ctx context.Context, record message.Record, until time.Time) error {
	_, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:           &s.table,
		Key:                 s.key(record.ID),
		UpdateExpression:    aws.String("SET #lease = :until, #expiration = :expiration"),
		ConditionExpression: aws.String("#owner = :me AND #status = :inprogress"),
		ExpressionAttributeNames: map[string]string{
			"#lease": recordformat.LeaseEnd, "#expiration": recordformat.Expiration, "#owner": recordformat.Owner, "#status": recordformat.Status,
		},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":until": number(until.UnixMilli()), ":me": text(record.Owner), ":inprogress": text(recordformat.InProgress),
			":expiration": number(until.Unix() + 1), // the table must not delete it before
		},
	})
	if errors.As(err, new(*types.ConditionalCheckFailedException)) {
		return execution.ErrChanged
	}
	if err != nil {
		return fmt.Errorf("executionstore: %w", err)
	}
	return nil
}

func (s *Store) requestID(name string) string { return s.prefix + "#request:" + name }

// PutRequest keeps the request of an execution until a time in seconds since the Unix epoch. The error is execution.ErrTooLarge if it is.
func (s *Store) PutRequest(ctx context.Context, name string, request *message.Request, expiration int64) error {
	content, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("executionstore: %w", err)
	}
	return s.putPart(ctx, s.requestID(name), content, expiration)
}

// Request reads the request of an execution.
func (s *Store) Request(ctx context.Context, name string) (*message.Request, error) {
	content, err := s.part(ctx, s.requestID(name))
	if err != nil {
		return nil, err
	}
	request := new(message.Request)
	if err := json.Unmarshal(content, request); err != nil {
		return nil, fmt.Errorf("executionstore: the request cannot be read: %w", err)
	}
	return request, nil
}

// PutAnswer keeps what came of an execution until a time in seconds since the Unix epoch, and returns the name of the part.
// number is that of the last attempt. The error is execution.ErrTooLarge if it is.
func (s *Store) PutAnswer(ctx context.Context, name string, number int, answer *message.Envelope, expiration int64) (string, error) {
	content, err := message.Marshal(answer)
	if err != nil {
		return "", err
	}
	part := "answer:" + name + ":" + strconv.Itoa(number)
	return part, s.putPart(ctx, s.prefix+"#"+part, content, expiration)
}

// Answer reads what came of an execution.
func (s *Store) Answer(ctx context.Context, part string) (*message.Envelope, error) {
	content, err := s.part(ctx, s.prefix+"#"+part)
	if err != nil {
		return nil, err
	}
	return message.Unmarshal(content)
}

func (s *Store) putPart(ctx context.Context, id string, content []byte, expiration int64) error {
	if len(content) > execution.MaxPartBytes {
		return fmt.Errorf("%w: it takes %d bytes as JSON, and may take %d", execution.ErrTooLarge, len(content), execution.MaxPartBytes)
	}
	_, err := s.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &s.table,
		Item: map[string]types.AttributeValue{
			recordformat.ID:         text(id),
			recordformat.Expiration: number(expiration),
			partAttribute:           &types.AttributeValueMemberB{Value: content},
		},
	})
	if err != nil {
		return fmt.Errorf("executionstore: %w", err)
	}
	return nil
}

func (s *Store) part(ctx context.Context, id string) ([]byte, error) {
	item, err := s.item(ctx, id)
	if err != nil {
		return nil, err
	}
	part, ok := item[partAttribute].(*types.AttributeValueMemberB)
	if !ok {
		return nil, errors.New("executionstore: the item holds no part of an execution")
	}
	return part.Value, nil
}

// token tells one write from another.
func token() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func textOf(value types.AttributeValue) string {
	s, _ := value.(*types.AttributeValueMemberS)
	if s == nil {
		return ""
	}
	return s.Value
}

func numberOf(value types.AttributeValue) (int64, error) {
	n, _ := value.(*types.AttributeValueMemberN)
	if n == nil {
		return 0, errors.New("there is no number")
	}
	return strconv.ParseInt(n.Value, 10, 64)
}
