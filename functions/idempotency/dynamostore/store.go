package dynamostore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/recordformat"
)

// MaxItemBytes is the size of the largest item that DynamoDB keeps, in bytes: names and values of all attributes
// together.
const MaxItemBytes = 400 << 10

// A Client is what a Store needs of *dynamodb.Client.
type Client interface {
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	DeleteItem(context.Context, *dynamodb.DeleteItemInput, ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)
}

// A Store is an [idempotency.Store] in a DynamoDB table.
type Store struct {
	client       Client
	table        string
	names        Attributes
	format       recordformat.Format
	problem      error  // with the configuration
	partition    string // with a sort key, the value of the partition key
	hasPartition bool
}

var (
	_ idempotency.Store     = (*Store)(nil)
	_ idempotency.Renewer   = (*Store)(nil)
	_ idempotency.Forgetter = (*Store)(nil)
)

// Attributes are the names of the attributes. An empty one stands for its default, which package recordformat names.
type Attributes struct {
	// ID is the partition key, or with [WithSortKey] the sort key. Default: "id" or "sk".
	ID string

	// Partition is the partition key of a table with a sort key. Default: "id". Used with [WithSortKey] only.
	Partition string

	Status      string // default: "status"
	Owner       string // default: "owner"
	LeaseEnd    string // default: "in_progress_expiration"
	Expiration  string // default: "expiration"
	Data        string // default: "data"
	Fingerprint string // default: "validation"
	Reference   string // default: "reference"
}

// An Option changes how a Store uses its table.
type Option func(*Store)

// WithAttributes gives attributes other names, for tables that exist.
func WithAttributes(names Attributes) Option { return func(s *Store) { s.names = names } }

// WithSortKey is for tables with a sort key: all records get the partition key value partition, and their IDs become
// sort keys.
func WithSortKey(partition string) Option {
	return func(s *Store) { s.partition, s.hasPartition = partition, true }
}

// WithFormat is the library whose records the Store's are like, so that functions in both languages share a table and
// replay each other's results. It decides on the form of `data`, and [idempotency.New] makes IDs and fingerprints as that
// library does. Default: [recordformat.Python].
//
// One table, or one prefix, has one format: text that was written in the one is another result in the other. In both,
// the Store reads values of DynamoDB's own types.
//
// In the format of TypeScript, a result that DynamoDB does not keep as such is kept as text that TypeScript does not
// understand: one nested deeper than 31 levels, with a number of more than 38 digits or outside 1e-130 to 9.99e125, or
// with an empty member name.
func WithFormat(format recordformat.Format) Option {
	return func(s *Store) { s.format = format }
}

// Format is what [WithFormat] has set.
func (s *Store) Format() recordformat.Format { return s.format }

// New makes a Store that uses a table. It does not ask DynamoDB. What is wrong with its arguments, such as a table
// without a name or two attributes with one, is an error of [Store.Check], of [idempotency.New], which asks that, and of
// every method.
func New(client Client, table string, options ...Option) *Store {
	s := &Store{client: client, table: table}
	for _, option := range options {
		option(s)
	}
	givesPartition := s.names.Partition != ""
	id := recordformat.ID
	if s.hasPartition {
		id = recordformat.SortKey
	}
	for _, name := range []struct {
		name         *string
		defaultValue string
	}{
		{&s.names.ID, id},
		{&s.names.Partition, recordformat.ID},
		{&s.names.Status, recordformat.Status},
		{&s.names.Owner, recordformat.Owner},
		{&s.names.LeaseEnd, recordformat.LeaseEnd},
		{&s.names.Expiration, recordformat.Expiration},
		{&s.names.Data, recordformat.Data},
		{&s.names.Fingerprint, recordformat.Fingerprint},
		{&s.names.Reference, recordformat.Reference},
	} {
		if *name.name == "" {
			*name.name = name.defaultValue
		}
	}
	s.problem = s.validate(givesPartition)
	return s
}

// Check says what is wrong with the arguments of [New].
func (s *Store) Check() error { return s.problem }

// validate returns all problems of the configuration in one error, or nil.
func (s *Store) validate(givesPartition bool) error {
	var problems []error
	problem := func(format string, a ...any) { problems = append(problems, fmt.Errorf(format, a...)) }

	if strings.TrimSpace(s.table) == "" {
		problem("the table name is empty: pass the name of the idempotency table, such as from an environment variable that the stack sets")
	}
	if s.format != recordformat.Python && s.format != recordformat.TypeScript {
		problem("the format is %d: recordformat.Python or recordformat.TypeScript", s.format)
	}
	if s.hasPartition && s.partition == "" {
		problem("the partition of WithSortKey is empty: DynamoDB takes no empty key")
	}
	if givesPartition && !s.hasPartition {
		problem("Attributes.Partition is %q, and there is no sort key: without WithSortKey the partition key is Attributes.ID", s.names.Partition)
	}
	uses := map[string]string{} // what an attribute is used for, by its name
	for _, attribute := range []struct{ field, name string }{
		{"ID", s.names.ID},
		{"Partition", s.names.Partition},
		{"Status", s.names.Status},
		{"Owner", s.names.Owner},
		{"LeaseEnd", s.names.LeaseEnd},
		{"Expiration", s.names.Expiration},
		{"Data", s.names.Data},
		{"Fingerprint", s.names.Fingerprint},
		{"Reference", s.names.Reference},
	} {
		if attribute.field == "Partition" && !s.hasPartition {
			continue
		}
		if other, used := uses[attribute.name]; used {
			problem("the attribute %q is used for Attributes.%s and for Attributes.%s: each needs one of its own", attribute.name, other, attribute.field)
		}
		uses[attribute.name] = attribute.field
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("dynamostore.New: %w", err)
	}
	return nil
}

// insertCondition holds if no live record is there. Unlike the condition of Powertools it does not let a record's
// expiration void a lease that has not ended.
const insertCondition = "attribute_not_exists(#id)" +
	" OR (#status = :inprogress AND attribute_exists(#lease) AND #lease < :now_ms)" +
	" OR (#expiration < :now_s AND (#status <> :inprogress OR attribute_not_exists(#lease)))"

// Insert implements [idempotency.Store] with one conditional PutItem. A conflict returns the record; if it does
// not, a consistent GetItem follows.
func (s *Store) Insert(ctx context.Context, r idempotency.Record, now time.Time) (bool, *idempotency.Record, error) {
	if s.problem != nil {
		return false, nil, s.problem
	}
	data, err := s.data(r.Data)
	if err != nil {
		return false, nil, err
	}
	out, err := s.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName:           &s.table,
		Item:                s.item(r, data),
		ConditionExpression: aws.String(insertCondition),
		ExpressionAttributeNames: map[string]string{
			"#id": s.names.ID, "#status": s.names.Status, "#lease": s.names.LeaseEnd, "#expiration": s.names.Expiration,
		},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":inprogress": text(string(idempotency.InProgress)),
			":now_ms":     number(now.UnixMilli()),
			":now_s":      number(now.Unix()),
		},
		ReturnValues:                        types.ReturnValueAllOld,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	conflict := (*types.ConditionalCheckFailedException)(nil)
	switch {
	case err == nil && len(out.Attributes) == 0:
		return true, nil, nil
	case err == nil:
		replaced, _ := s.record(r.ID, out.Attributes) // nil if it cannot be read: it is dead, and has been replaced
		return true, replaced, nil
	case !errors.As(err, &conflict):
		return false, nil, err
	case len(conflict.Item) > 0:
		existing, err := s.record(r.ID, conflict.Item)
		return false, existing, err
	}
	existing, err := s.Get(ctx, r.ID)
	if errors.Is(err, idempotency.ErrRecordUnreadable) {
		return false, nil, err
	}
	if err != nil {
		return false, nil, &idempotency.StoreError{Operation: "get", ID: r.ID, Err: err}
	}
	return false, existing, nil
}

// Get implements [idempotency.Store] with a consistent GetItem.
func (s *Store) Get(ctx context.Context, id string) (*idempotency.Record, error) {
	if s.problem != nil {
		return nil, s.problem
	}
	out, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.table, Key: s.key(id), ConsistentRead: aws.Bool(true)})
	if err != nil || len(out.Item) == 0 {
		return nil, err
	}
	return s.record(id, out.Item)
}

// Complete implements [idempotency.Store] with one conditional UpdateItem.
func (s *Store) Complete(ctx context.Context, r idempotency.Record) error {
	if s.problem != nil {
		return s.problem
	}
	data, err := s.data(r.Data)
	if err != nil {
		return err
	}
	r.Status = idempotency.Completed
	if size := itemBytes(s.item(r, data)); size > MaxItemBytes {
		return fmt.Errorf("%w: the item would have %d bytes, and DynamoDB keeps at most %d", idempotency.ErrTooLarge, size, MaxItemBytes)
	}
	names := map[string]string{
		"#status": s.names.Status, "#expiration": s.names.Expiration, "#data": s.names.Data, "#owner": s.names.Owner,
	}
	values := map[string]types.AttributeValue{
		":completed":  text(string(idempotency.Completed)),
		":expiration": number(r.Expiration.Unix()),
		":me":         text(r.Owner),
	}
	update := "SET #status = :completed, #expiration = :expiration, #data = :data"
	if data == nil {
		update = "SET #status = :completed, #expiration = :expiration REMOVE #data"
	} else {
		values[":data"] = data
	}
	_, err = s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 &s.table,
		Key:                       s.key(r.ID),
		UpdateExpression:          &update,
		ConditionExpression:       aws.String("#owner = :me"),
		ExpressionAttributeNames:  names,
		ExpressionAttributeValues: values,
	})
	switch {
	case err == nil:
		return nil
	case errors.As(err, new(*types.ConditionalCheckFailedException)):
		return fmt.Errorf("%w: %w", idempotency.ErrOwnershipLost, err)
	case isTooLarge(err):
		return fmt.Errorf("%w: %w", idempotency.ErrTooLarge, err)
	default:
		return err
	}
}

// Release implements [idempotency.Store] with one conditional DeleteItem.
func (s *Store) Release(ctx context.Context, id, owner string) error {
	if s.problem != nil {
		return s.problem
	}
	_, err := s.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName:           &s.table,
		Key:                 s.key(id),
		ConditionExpression: aws.String("attribute_not_exists(#id) OR (#owner = :me AND #status = :inprogress)"),
		ExpressionAttributeNames: map[string]string{
			"#id": s.names.ID, "#owner": s.names.Owner, "#status": s.names.Status,
		},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":me": text(owner), ":inprogress": text(string(idempotency.InProgress)),
		},
	})
	if errors.As(err, new(*types.ConditionalCheckFailedException)) {
		return fmt.Errorf("%w: %w", idempotency.ErrOwnershipLost, err)
	}
	return err
}

// Renew implements [idempotency.Renewer] with one conditional UpdateItem.
func (s *Store) Renew(ctx context.Context, r idempotency.Record) error {
	if s.problem != nil {
		return s.problem
	}
	_, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:           &s.table,
		Key:                 s.key(r.ID),
		UpdateExpression:    aws.String("SET #lease = :lease, #expiration = :expiration"),
		ConditionExpression: aws.String("#owner = :me AND #status = :inprogress"),
		ExpressionAttributeNames: map[string]string{
			"#lease": s.names.LeaseEnd, "#expiration": s.names.Expiration, "#owner": s.names.Owner, "#status": s.names.Status,
		},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":lease": number(r.LeaseEnd.UnixMilli()), ":expiration": number(r.Expiration.Unix()),
			":me": text(r.Owner), ":inprogress": text(string(idempotency.InProgress)),
		},
	})
	if errors.As(err, new(*types.ConditionalCheckFailedException)) {
		return fmt.Errorf("%w: %w", idempotency.ErrOwnershipLost, err)
	}
	return err
}

// forgetCondition holds if no record in progress is there that is live.
const forgetCondition = "NOT (#status = :inprogress AND ((attribute_exists(#lease) AND #lease >= :now_ms)" +
	" OR (attribute_not_exists(#lease) AND #expiration >= :now_s)))"

// Forget implements [idempotency.Forgetter] with one conditional DeleteItem.
func (s *Store) Forget(ctx context.Context, id string, now time.Time) (*idempotency.Record, error) {
	if s.problem != nil {
		return nil, s.problem
	}
	_, err := s.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName:           &s.table,
		Key:                 s.key(id),
		ConditionExpression: aws.String(forgetCondition),
		ExpressionAttributeNames: map[string]string{
			"#status": s.names.Status, "#lease": s.names.LeaseEnd, "#expiration": s.names.Expiration,
		},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":inprogress": text(string(idempotency.InProgress)), ":now_ms": number(now.UnixMilli()), ":now_s": number(now.Unix()),
		},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	conflict := (*types.ConditionalCheckFailedException)(nil)
	if !errors.As(err, &conflict) {
		return nil, err
	}
	if len(conflict.Item) == 0 {
		return nil, fmt.Errorf("the record is in progress, and DynamoDB did not say what is in it: %w", err)
	}
	return s.record(id, conflict.Item)
}

// isTooLarge recognises DynamoDB's own judgement of the size, should it differ from itemBytes.
func isTooLarge(err error) bool {
	invalid := smithy.APIError(nil)
	return errors.As(err, &invalid) && invalid.ErrorCode() == "ValidationException" &&
		strings.Contains(strings.ToLower(invalid.ErrorMessage()), "item size")
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}
