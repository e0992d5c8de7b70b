package gatestore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
)

// A Client is what a Store needs of *dynamodb.Client.
type Client interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
}

// A Store is a [gate.Store] in a DynamoDB table.
type Store struct {
	client     Client
	table      string
	key        string
	expiration string
}

var _ gate.Store = (*Store)(nil)

// The names of the partition key and of the time-to-live attribute, unless an Option says otherwise.
const (
	DefaultKey        = "id"
	DefaultExpiration = string(gate.Expiration)
)

// An Option changes how a Store uses its table.
type Option func(*Store)

// WithNames gives the partition key and the time-to-live attribute other names, for tables that exist.
func WithNames(key, expiration string) Option {
	return func(s *Store) { s.key, s.expiration = key, expiration }
}

// New makes a Store that uses a table. It does not ask DynamoDB.
func New(client Client, table string, options ...Option) *Store {
	s := &Store{client: client, table: table, key: DefaultKey, expiration: DefaultExpiration}
	for _, option := range options {
		option(s)
	}
	return s
}

// once keeps the SDK from repeating a request: a gate that has to wait for its table is as if there were none, and a ticket
// that is taken twice leaves a gap.
func once(o *dynamodb.Options) { o.Retryer = aws.NopRetryer{} }

// send sends a request, and once more if it had no answer: the connection was perhaps closed while the sandbox was frozen. If the
// first one was carried out after all, a ticket that nobody has leaves a gap, and a vote counts twice, which does no harm.
func send[T any](request func() (T, error)) (T, error) {
	out, err := request()
	if unanswered := (*smithyhttp.RequestSendError)(nil); errors.As(err, &unanswered) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		return request()
	}
	return out, err
}

// Get implements [gate.Store] with one GetItem.
func (s *Store) Get(ctx context.Context, id string) (gate.Reply, error) {
	if err := s.check(); err != nil {
		return gate.Reply{}, err
	}
	out, err := send(func() (*dynamodb.GetItemOutput, error) {
		return s.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.table, Key: s.id(id)}, once)
	})
	if err != nil {
		return gate.Reply{}, fmt.Errorf("gatestore: reading %q: %w", id, err)
	}
	said, _ := awsmiddleware.GetServerTime(out.ResultMetadata)
	i, err := s.item(id, out.Item)
	return gate.Reply{Item: i, Time: said}, err
}

// Update implements [gate.Store] with one UpdateItem.
func (s *Store) Update(ctx context.Context, id string, u gate.Update) (gate.Reply, error) {
	if err := s.check(); err != nil {
		return gate.Reply{}, err
	}
	e := s.express(u)
	in := &dynamodb.UpdateItemInput{
		TableName:                           &s.table,
		Key:                                 s.id(id),
		UpdateExpression:                    aws.String(e.update()),
		ConditionExpression:                 e.condition(),
		ExpressionAttributeNames:            e.names,
		ExpressionAttributeValues:           e.valuesOrNil(),
		ReturnValues:                        types.ReturnValueAllNew,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	out, err := send(func() (*dynamodb.UpdateItemOutput, error) { return s.client.UpdateItem(ctx, in, once) })
	conflict := (*types.ConditionalCheckFailedException)(nil)
	switch {
	case err == nil:
		said, _ := awsmiddleware.GetServerTime(out.ResultMetadata)
		i, err := s.item(id, out.Attributes)
		return gate.Reply{Item: i, Applied: err == nil, Time: said}, err
	case errors.As(err, &conflict):
		i, itemErr := s.item(id, conflict.Item)
		return gate.Reply{Item: i, Time: dateOf(err)}, itemErr
	}
	return gate.Reply{}, fmt.Errorf("gatestore: %s of %q: %w", u.Operation, id, err)
}

// dateOf is the Date of an answer that is an error. Zero: it has none.
func dateOf(err error) time.Time {
	response := (*smithyhttp.ResponseError)(nil)
	if !errors.As(err, &response) || response.HTTPResponse() == nil {
		return time.Time{}
	}
	date, err := http.ParseTime(response.HTTPResponse().Header.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return date
}

func (s *Store) check() error {
	if s.table == "" {
		return errors.New("gatestore: the table name given to New is empty: pass the name of the table, such as from an " +
			"environment variable that the stack sets")
	}
	return nil
}

func (s *Store) id(id string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{s.key: &types.AttributeValueMemberS{Value: id}}
}

// name is what the table calls an attribute.
func (s *Store) name(a gate.Attribute) string {
	if a == gate.Expiration {
		return s.expiration
	}
	return string(a)
}

// item reads an item. Attributes that package gate knows nothing of, such as those of a later version, are left alone.
func (s *Store) item(id string, attributes map[string]types.AttributeValue) (gate.Item, error) {
	var i gate.Item
	for _, a := range gate.Attributes() {
		value, ok := attributes[s.name(a)]
		if !ok {
			continue
		}
		n, ok := value.(*types.AttributeValueMemberN)
		if !ok {
			return gate.Item{}, fmt.Errorf("gatestore: item %q of table %s is no item of a gate: attribute %q is not a number", id, s.table, s.name(a))
		}
		number, err := strconv.ParseInt(n.Value, 10, 64)
		if err != nil {
			return gate.Item{}, fmt.Errorf("gatestore: item %q of table %s is no item of a gate: attribute %q is %s, want a whole number",
				id, s.table, s.name(a), n.Value)
		}
		*i.Field(a) = number
	}
	return i, nil
}
