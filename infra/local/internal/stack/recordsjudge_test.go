package stack_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/gate"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/dynamostore"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/idempotencyhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/storetest"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/dynamodb"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// sdkClient is a client of the SDK, as the functions have one, of an endpoint.
func sdkClient(endpoint string) *awsdynamodb.Client {
	return awsdynamodb.New(awsdynamodb.Options{
		Region:       "us-east-1",
		BaseEndpoint: &endpoint,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}, nil
		}),
	})
}

func TestTheLocalDynamoDBIsAStoreOfRecords(t *testing.T) {
	t.Parallel()
	key := dynamodb.KeyAttribute{Name: "id", Type: "S"}
	for _, c := range []struct {
		name    string
		sortKey dynamodb.KeyAttribute
		options []dynamostore.Option
	}{
		{name: "with the attributes of Powertools"},
		{
			name:    "with a sort key and other names",
			sortKey: dynamodb.KeyAttribute{Name: "sk", Type: "S"},
			options: []dynamostore.Option{dynamostore.WithSortKey("idempotency#orders"), dynamostore.WithAttributes(dynamostore.Attributes{
				Status: "status_", Owner: "who", LeaseEnd: "until", Expiration: "ttl", Data: "value", Fingerprint: "hash",
			})},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t *testing.T) idempotency.Store {
				local := dynamodb.New()
				if err := local.CreateTable(dynamodb.TableDefinition{Name: "records", PartitionKey: key, SortKey: c.sortKey, TTLAttribute: "expiration"}); err != nil {
					t.Fatal(err)
				}
				server := httptest.NewServer(local)
				t.Cleanup(server.Close)
				return dynamostore.New(sdkClient(server.URL), "records", c.options...)
			})
		})
	}
}

// A table is that of a stack, as somebody else's program sees it.
type table struct {
	t      testing.TB
	stack  *stack.Stack
	client *awsdynamodb.Client
	name   string
}

func tableOf(t testing.TB, s *stack.Stack) table {
	return table{t: t, stack: s, client: sdkClient(s.Endpoint()), name: s.Template.Tables[0].Name}
}

type item = map[string]types.AttributeValue

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

// items are those in the table, without those of the gate.
func (d table) items() []item {
	d.t.Helper()
	out, err := d.client.Scan(context.Background(), &awsdynamodb.ScanInput{TableName: &d.name, ConsistentRead: aws.Bool(true)})
	if err != nil {
		d.t.Fatal(err)
	}
	return slices.DeleteFunc(out.Items, func(i item) bool {
		return strings.HasPrefix(i["id"].(*types.AttributeValueMemberS).Value, gate.ItemPrefix)
	})
}

// item is the only one in the table.
func (d table) item() item {
	d.t.Helper()
	all := d.items()
	if len(all) != 1 {
		d.t.Fatalf("there are %d records, want 1", len(all))
	}
	return all[0]
}

// record is the only one in the table, as package idempotency reads it.
func (d table) record() idempotency.Record {
	d.t.Helper()
	id := d.item()["id"].(*types.AttributeValueMemberS).Value
	r, err := dynamostore.New(d.client, d.name).Get(context.Background(), id)
	if err != nil || r == nil {
		d.t.Fatalf("the record %s is %v, %v", id, r, err)
	}
	return *r
}

// put writes an item.
func (d table) put(i item) {
	d.t.Helper()
	if _, err := d.client.PutItem(context.Background(), &awsdynamodb.PutItemInput{TableName: &d.name, Item: i}); err != nil {
		d.t.Fatal(err)
	}
}

// set changes an attribute of the only record: it moves its times, as if time had passed.
func (d table) set(attribute string, value types.AttributeValue) {
	d.t.Helper()
	if _, err := d.client.UpdateItem(context.Background(), &awsdynamodb.UpdateItemInput{
		TableName:                 &d.name,
		Key:                       item{"id": d.item()["id"]},
		UpdateExpression:          aws.String("SET #a = :v"),
		ExpressionAttributeNames:  map[string]string{"#a": attribute},
		ExpressionAttributeValues: item{":v": value},
	}); err != nil {
		d.t.Fatal(err)
	}
}

// endLease lets the lease of the only record end.
func (d table) endLease() {
	d.t.Helper()
	d.set("in_progress_expiration", number(time.Now().Add(-time.Millisecond).UnixMilli()))
}

// id is the ID of the record of order.
func (d table) id() string {
	for _, f := range d.stack.Template.Functions {
		if d.stack.ShortName(f.Name) == "gateway" {
			return idempotencyhttp.RecordID(f.Environment["RECORD_PREFIX"], idempotencyhttp.Request{Method: http.MethodPost, Path: "/orders"}, "order-1")
		}
	}
	d.t.Fatal("the stack has no gateway")
	return ""
}

// typesOf lists the attributes of an item with their types: "id S".
func typesOf(i item) []string {
	var list []string
	for name, value := range i {
		kind := fmt.Sprintf("%T", value)
		list = append(list, name+" "+kind[strings.LastIndex(kind, "Member")+len("Member"):])
	}
	slices.Sort(list)
	return list
}

func TestTheAttributesOfARecordHaveTheTypesOfPowertools(t *testing.T) {
	t.Parallel()
	upstream, called, release := held(respond(http.StatusCreated, `{"id":7}`, "Content-Type", "application/json"))
	url := serve(t, upstream)
	s := start(t, url)
	d := tableOf(t, s)
	began := time.Now()
	first := make(chan answer)
	go func() { first <- order(t, s, `{"item":"tea"}`, "Prefer", "wait=20") }()
	<-called

	in := d.item()
	want := []string{"expiration N", "id S", "in_progress_expiration N", "owner S", "status S", "validation S"}
	if got := typesOf(in); !slices.Equal(got, want) {
		t.Errorf("in progress the attributes are %q, want %q", got, want)
	}
	r := d.record()
	if r.ID != d.id() || r.Status != idempotency.InProgress {
		t.Errorf("the record is %+v, want %s in progress", r, d.id())
	}
	// The lease: the caller's 20 s, and 30 s for the record to be written.
	if left := r.LeaseEnd.Sub(began); left < 50*time.Second || left > time.Since(began)+50*time.Second {
		t.Errorf("the lease ends %v after the request was sent, want 50 s", left)
	}

	close(release)
	<-first
	done := d.item()
	want = []string{"data S", "expiration N", "id S", "in_progress_expiration N", "owner S", "status S", "validation S"}
	if got := typesOf(done); !slices.Equal(got, want) {
		t.Errorf("when it is completed the attributes are %q, want %q", got, want)
	}
	after := d.record()
	if after.Owner != r.Owner || after.Fingerprint != r.Fingerprint || !after.LeaseEnd.Equal(r.LeaseEnd) || after.Status != idempotency.Completed {
		t.Errorf("the record was %+v and became %+v", r, after)
	}
	if left := after.Expiration.Sub(began); left < 24*time.Hour-time.Second || left > 24*time.Hour+time.Since(began) {
		t.Errorf("the record expires %v after the request was sent, want 24 hours, in whole seconds", left)
	}
	var data struct {
		StatusCode      int
		Headers         map[string]string
		Body            string
		IsBase64Encoded *bool
	}
	if err := json.Unmarshal(after.Data, &data); err != nil {
		t.Fatalf("the data is %s: %v", after.Data, err)
	}
	if data.StatusCode != http.StatusCreated || data.Body != `{"id":7}` || data.Headers["content-type"] != "application/json" || data.IsBase64Encoded == nil {
		t.Errorf("the data is %s, want the answer as Lambda functions return one", after.Data)
	}
}

// powertools is the item that Powertools for AWS Lambda (Python) leaves behind, with the answer as a Python function
// returns it: json.dumps writes a space after colons and commas.
func powertools(id string, more item) item {
	i := item{
		"id":                     text(id),
		"status":                 text("COMPLETED"),
		"expiration":             number(time.Now().Add(time.Hour).Unix()),
		"in_progress_expiration": number(time.Now().Add(time.Second).UnixMilli()),
		"data": text(`{"statusCode": 201, "headers": {"content-type": "application/json", "x-order": "7"}, ` +
			`"body": "{\"id\": 7, \"name\": \"Zo\u00eb\"}", "isBase64Encoded": false}`),
	}
	for name, value := range more {
		if value == nil {
			delete(i, name)
		} else {
			i[name] = value
		}
	}
	return i
}

func TestARecordThatPowertoolsWroteIsReplayed(t *testing.T) {
	t.Parallel()
	body := `{"item":"tea"}`
	fingerprint := idempotencyhttp.Fingerprint(idempotencyhttp.Request{Method: http.MethodPost, Path: "/orders", Body: body})
	for _, c := range []struct {
		name string
		more item
	}{
		{"as it is", nil},
		{"without a lease, which Python writes for a deadline only", item{"in_progress_expiration": nil}},
		{"with the hash of the payload", item{"validation": text(fingerprint)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			u := play(t) // nothing may arrive
			s := start(t, u.URL)
			d := tableOf(t, s)
			d.put(powertools(d.id(), c.more))
			a := order(t, s, body)
			if a.Status != http.StatusCreated || a.Body != `{"id": 7, "name": "Zoë"}` || a.Header.Get("X-Order") != "7" || !a.replayed() {
				t.Errorf("the answer is %d %s %v, want the recorded one", a.Status, a.Body, a.Header)
			}
			if told, given := a.Header["Proxy-Status"]; given {
				t.Errorf("Proxy-Status is %q, although no proxy is known to have made an attempt", told)
			}
			tag := a.Header.Get("ETag")
			if tag == "" || a.Header.Get("Cache-Control") == "" || a.Header.Get("Vary") == "" {
				t.Errorf("the answer has the header %v, want ETag, Cache-Control and Vary", a.Header)
			}
			if a := order(t, s, body, "If-None-Match", tag); a.Status != http.StatusNotModified {
				t.Errorf("with If-None-Match the answer is %d", a.Status)
			}
		})
	}
}

func TestHeaderFieldsThatPowertoolsRecordedAreKnownInAnyCase(t *testing.T) {
	t.Parallel()
	u := play(t) // nothing may arrive
	s := start(t, u.URL, environment("gateway", "IDEMPOTENCY_SERVER_CACHE_HIT", "true"))
	d := tableOf(t, s)
	d.put(powertools(d.id(), item{"data": text(
		`{"statusCode": 200, "headers": {"Content-Type": "text/plain", "ETag": "\"v1\"", "Cache-Control": "no-store"}, "body": "{}"}`)}))
	a := order(t, s, "{}")
	if a.Status != http.StatusOK || a.Body != "{}" {
		t.Errorf("the answer is %d %s, want the text as it is", a.Status, a.Body)
	}
	for name, want := range map[string]string{"Content-Type": "text/plain", "Etag": `"v1"`, "Cache-Control": "no-store"} {
		if got := a.Header[name]; !slices.Equal(got, []string{want}) {
			t.Errorf("%s is %q, want %s", name, got, want)
		}
	}
	if a := order(t, s, "{}", "If-None-Match", `"v1"`); a.Status != http.StatusNotModified || a.Header.Get("Content-Type") != "" {
		t.Errorf("with If-None-Match the answer is %d %v", a.Status, a.Header)
	}
}

func TestThePayloadHashOfPowertoolsIsCompared(t *testing.T) {
	t.Parallel()
	u := play(t) // nothing may arrive
	s := start(t, u.URL)
	d := tableOf(t, s)
	d.put(powertools(d.id(), item{"validation": text("b8967642f95965b39f63f4bf20032dfc")}))
	order(t, s, "{}").problem(t, http.StatusUnprocessableEntity, "idempotency-key-reused")
}

func TestAResultOfPowertoolsThatIsNoHTTPAnswerIsNotRunAgain(t *testing.T) {
	t.Parallel()
	u := play(t) // nothing may arrive
	s := start(t, u.URL)
	d := tableOf(t, s)
	for _, data := range []types.AttributeValue{text(`{"paid": true}`), text("null"), text("not JSON"), nil} {
		d.put(powertools(d.id(), item{"data": data}))
		order(t, s, "{}").problem(t, http.StatusConflict, "idempotency-result-unavailable")
	}
}

func TestARecordInATableThatIsNoneOfOursIsAConflictAndSaysSo(t *testing.T) {
	t.Parallel()
	u := play(t) // nothing may arrive
	s := start(t, u.URL)
	d := tableOf(t, s)
	for _, more := range []item{
		{"status": text("DONE")}, {"status": nil}, {"expiration": text("tomorrow")}, {"in_progress_expiration": text("soon"), "status": text("INPROGRESS")},
	} {
		d.put(powertools(d.id(), more))
		order(t, s, "{}").problem(t, http.StatusConflict, "idempotency-record-unreadable")
	}
}

func TestARunOfPowertoolsIsWaitedForAndTakenOverWhenItsLeaseHasEnded(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusAccepted))
	s := start(t, u.URL)
	d := tableOf(t, s)
	running := item{"status": text("INPROGRESS"), "data": nil, "in_progress_expiration": number(time.Now().Add(time.Minute).UnixMilli())}
	d.put(powertools(d.id(), running))
	order(t, s, "{}", "Prefer", "wait=1").problem(t, http.StatusConflict, "idempotency-key-in-use")

	d.endLease()
	if a := order(t, s, "{}"); a.Status != http.StatusAccepted || a.replayed() {
		t.Errorf("after the lease's end the answer is %d %s %v, want the upstream's", a.Status, a.Body, a.Header)
	}
}

// powertoolsCondition is that of the conditional put of Powertools for AWS Lambda (Python) 3.
const powertoolsCondition = "attribute_not_exists(#id) OR #expiry < :now OR " +
	"(#status = :inprogress AND attribute_exists(#in_progress_expiry) AND #in_progress_expiry < :now_in_millis)"

// saveInProgress does what Powertools does to begin a run. It returns the record that is in the way, if there is one.
func (d table) saveInProgress() item {
	d.t.Helper()
	now := time.Now()
	_, err := d.client.PutItem(context.Background(), &awsdynamodb.PutItemInput{
		TableName: &d.name,
		Item: item{
			"id": text(d.id()), "status": text("INPROGRESS"), "expiration": number(now.Add(time.Hour).Unix()),
			"in_progress_expiration": number(now.Add(time.Minute).UnixMilli()),
		},
		ConditionExpression: aws.String(powertoolsCondition),
		ExpressionAttributeNames: map[string]string{
			"#id": "id", "#expiry": "expiration", "#in_progress_expiry": "in_progress_expiration", "#status": "status",
		},
		ExpressionAttributeValues: item{
			":now": number(now.Unix()), ":now_in_millis": number(now.UnixMilli()), ":inprogress": text("INPROGRESS"),
		},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var conflict *types.ConditionalCheckFailedException
	if err != nil && !errors.As(err, &conflict) {
		d.t.Fatal(err)
	}
	if conflict == nil {
		return nil
	}
	return conflict.Item
}

func TestPowertoolsFindsOurRecordsInItsWayWhileTheyAreAndNotAfterwards(t *testing.T) {
	t.Parallel()
	upstream, called, release := held(status(http.StatusCreated))
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/fails" {
			status(http.StatusInternalServerError)(w, r)
			return
		}
		upstream(w, r)
	})
	s := start(t, url)
	d := tableOf(t, s)
	first := make(chan answer)
	go func() { first <- order(t, s, "{}") }()
	<-called
	if found := d.saveInProgress(); found["status"] == nil || found["status"].(*types.AttributeValueMemberS).Value != "INPROGRESS" {
		t.Errorf("while the request runs, Powertools finds %v in its way", found)
	}
	close(release)
	<-first
	found := d.saveInProgress()
	if found["status"] == nil || found["status"].(*types.AttributeValueMemberS).Value != "COMPLETED" || found["data"] == nil {
		t.Errorf("when the request is completed, Powertools finds %v in its way", found)
	}
	d.set("expiration", number(time.Now().Add(-time.Second).Unix()))
	if found := d.saveInProgress(); found != nil {
		t.Errorf("when the record has expired, Powertools finds %v in its way", found)
	}
}

func TestPowertoolsMayRunWhatFailedHere(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusInternalServerError))
	s := start(t, u.URL, policy(`{"serverErrors":{"attempts":1}}`))
	order(t, s, "{}")
	d := tableOf(t, s)
	if d.record().ID != d.id() {
		t.Fatalf("the record is %+v", d.record())
	}
	if found := d.saveInProgress(); found != nil {
		t.Errorf("Powertools finds %v in its way", found)
	}
}
