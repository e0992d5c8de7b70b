package sqs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/sqs"
)

func TestEveryAnswerHasTheFormOfTheProtocol(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct {
		method, target, body string
		wantStatus           int
		want, wantQueryError string
	}{
		{"POST", "AmazonSQS.GetQueueUrl", `{"QueueName":"orders"}`, 200, `{"QueueUrl":"https://sqs.us-east-1.amazonaws.com/123456789012/orders"}`, ""},
		{"POST", "AmazonSQS.ReceiveMessage", `{"QueueUrl":"http://aws.local/123456789012/orders"}`, 200, `{}`, ""},
		{"POST", "AmazonSQS.GetQueueUrl", `{"QueueName":"absent"}`, 400,
			`{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not exist."}`, "AWS.SimpleQueueService.NonExistentQueue;Sender"},
		{"POST", "AmazonSQS.DeleteMessage", `{"QueueUrl":"` + orders + `","ReceiptHandle":"x"}`, 404,
			`{"__type":"com.amazonaws.sqs#ReceiptHandleIsInvalid","message":"The input receipt handle \"x\" is not a valid receipt handle."}`, "ReceiptHandleIsInvalid;Sender"},
		{"POST", "AmazonSQS.ReceiveMessage", `{"QueueUrl":"` + orders + `","WaitTimeSeconds":21}`, 400,
			`{"__type":"com.amazon.coral.service#InvalidParameterValueException","message":"Value 21 for parameter WaitTimeSeconds is invalid. Reason: Must be \u003e= 0 and \u003c= 20, if provided."}`, "InvalidParameterValue;Sender"},
		{"POST", "AmazonSQS.SendMessage", `{`, 400,
			`{"__type":"com.amazon.coral.service#SerializationException","message":"The request is not what the operation takes, as JSON"}`, "SerializationException;Sender"},
		{"POST", "AmazonSQS.SendMessage", `{"QueueUrl":7}`, 400,
			`{"__type":"com.amazon.coral.service#SerializationException","message":"The parameter QueueUrl has the wrong type"}`, "SerializationException;Sender"},
		{"POST", "AmazonSQS.SendMessage", `{"MessageGroupId":"g"}`, 400,
			`{"__type":"com.amazonaws.sqs#UnsupportedOperation","message":"The local SQS does not support the parameter MessageGroupId here"}`, "AWS.SimpleQueueService.UnsupportedOperation;Sender"},
		{"POST", "AmazonSQS.CreateQueue", `{}`, 400,
			`{"__type":"com.amazon.coral.service#UnknownOperationException","message":"The local SQS does not support the operation CreateQueue"}`, "UnknownOperationException;Sender"},
		{"POST", "", `Action=ListQueues`, 400,
			`{"__type":"com.amazon.coral.service#UnknownOperationException","message":"expected a POST with an X-Amz-Target that begins with AmazonSQS., as SDKs since the end of 2023 send it; got POST / with \"\""}`, "UnknownOperationException;Sender"},
		{"POST", "AmazonSQS.SendMessage", strings.Repeat(" ", 8<<20+1), 400,
			`{"__type":"com.amazon.coral.service#SerializationException","message":"read the request: http: request body too large"}`, "SerializationException;Sender"},
	} {
		request, err := http.NewRequestWithContext(t.Context(), c.method, b.url, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Amz-Target", c.target)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != c.wantStatus || string(body) != c.want {
			t.Errorf("%s %.60s: got %d %s, want %d %s", c.target, c.body, response.StatusCode, body, c.wantStatus, c.want)
		}
		header := response.Header
		if header.Get("Content-Type") != "application/x-amz-json-1.0" || header.Get("X-Amzn-Requestid") == "" || header.Get("X-Amzn-Query-Error") != c.wantQueryError {
			t.Errorf("%s %.60s: got the headers %v", c.target, c.body, header)
		}
	}
}

// own is an attribute of a type, with a text.
func own(kind, text string) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: &kind, StringValue: &text}
}

func TestTheSDKVerifiesTheDigestsOfBodyAndAttributes(t *testing.T) {
	b := newBench(t)
	body, queue := "körper 😀 \" < >\n", dead // from which nothing moves
	sent, err := b.SendMessage(t.Context(), &sdk.SendMessageInput{QueueUrl: &queue, MessageBody: &body, MessageAttributes: map[string]types.MessageAttributeValue{
		"General": own("String", "Kenobi"), "Hello": own("String", "There"), "Help.Me": own("String", "Me"),
	}})
	// The digest is one that the service gave for these attributes.
	if err != nil || *sent.MD5OfMessageAttributes != "4c360f3fdafd970e05fae2f149d997f5" {
		t.Fatalf("got %+v %v", sent, err)
	}
	for _, c := range []struct {
		names []string
		want  int
		md5   string
	}{
		{nil, 0, ""}, {[]string{"All"}, 3, "4c360f3fdafd970e05fae2f149d997f5"}, {[]string{".*"}, 3, "4c360f3fdafd970e05fae2f149d997f5"},
		{[]string{"General", "Hello", "Absent"}, 2, "fca026605781cb4126a1e9044df24232"}, {[]string{"Hel.*"}, 2, "83fee93c1bcd8b9a5a923ffacdc636c7"}, {[]string{"Absent"}, 0, ""},
	} {
		out, err := b.ReceiveMessage(t.Context(), &sdk.ReceiveMessageInput{QueueUrl: &queue, MessageAttributeNames: c.names})
		if err != nil || len(out.Messages) != 1 {
			t.Fatalf("%v: got %+v %v", c.names, out, err)
		}
		m := out.Messages[0]
		if *m.Body != body || len(m.MessageAttributes) != c.want || aws.ToString(m.MD5OfMessageAttributes) != c.md5 || m.Attributes != nil {
			t.Errorf("%v: got %q with %d attributes and the digest %s", c.names, *m.Body, len(m.MessageAttributes), aws.ToString(m.MD5OfMessageAttributes))
		}
		if err := b.hide(dead, m, 0); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBinaryAttributesArriveAsTheyWereSent(t *testing.T) {
	b := newBench(t)
	queue, value := orders, []byte("traceparent\x1e00-774062d6c37081a5a0b9b5b88e30627c-2d2482211f6489da-01")
	sent, err := b.SendMessage(t.Context(), &sdk.SendMessageInput{QueueUrl: &queue, MessageBody: aws.String("test"), MessageAttributes: map[string]types.MessageAttributeValue{
		"attr1": {DataType: aws.String("Binary"), BinaryValue: value},
	}})
	// The digest is one that the service gave for this attribute.
	if err != nil || *sent.MD5OfMessageAttributes != "8cbe4db156db8a94db8b801b7addb984" {
		t.Fatalf("got %+v %v", sent, err)
	}
	if got := b.one(orders).MessageAttributes["attr1"]; !bytes.Equal(got.BinaryValue, value) || got.StringValue != nil {
		t.Errorf("got %+v", got)
	}
}

func TestMessagesThatCannotBeAreRefused(t *testing.T) {
	b := newBench(t)
	many := map[string]types.MessageAttributeValue{}
	for i := range 11 {
		many[fmt.Sprint("a", i)] = own("String", "x")
	}
	for name, c := range map[string]struct {
		in   sdk.SendMessageInput
		want string
	}{
		"an empty body":       {sdk.SendMessageInput{MessageBody: aws.String("")}, "MissingParameter: The request must contain the parameter MessageBody."},
		"a control character": {sdk.SendMessageInput{MessageBody: aws.String("a\x01")}, "InvalidMessageContents: Invalid characters found."},
		"a noncharacter":      {sdk.SendMessageInput{MessageBody: aws.String("a\uffff")}, "InvalidMessageContents: Invalid characters found."},
		"too large a body":    {sdk.SendMessageInput{MessageBody: aws.String(strings.Repeat("x", 1<<20+1))}, "InvalidParameterValue: One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes."},
		"too large with its attribute": {sdk.SendMessageInput{MessageBody: aws.String(strings.Repeat("x", 1<<20-7)), MessageAttributes: map[string]types.MessageAttributeValue{"k": own("String", "v")}},
			"Message must be shorter than 1048576 bytes."},
		"too long a delay":    {sdk.SendMessageInput{MessageBody: aws.String("a"), DelaySeconds: 901}, "Value 901 for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900."},
		"too many attributes": {sdk.SendMessageInput{MessageBody: aws.String("a"), MessageAttributes: many}, "Number of message attributes [11] exceeds the allowed maximum [10]."},
		"an empty attribute": {sdk.SendMessageInput{MessageBody: aws.String("a"), MessageAttributes: map[string]types.MessageAttributeValue{"ErrorDetails": own("String", "")}},
			"Message (user) attribute 'ErrorDetails' must contain a non-empty value of type 'String'."},
		"an attribute of no type": {sdk.SendMessageInput{MessageBody: aws.String("a"), MessageAttributes: map[string]types.MessageAttributeValue{"k": own("Text", "v")}},
			"The message attribute 'k' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String."},
		"a number that is none": {sdk.SendMessageInput{MessageBody: aws.String("a"), MessageAttributes: map[string]types.MessageAttributeValue{"k": own("Number.int", "one")}},
			"Can't cast the value of message (user) attribute 'k' to a number."},
		"an attribute of the service's": {sdk.SendMessageInput{MessageBody: aws.String("a"), MessageAttributes: map[string]types.MessageAttributeValue{"AWS.k": own("String", "v")}}, "must not begin with AWS."},
		"an attribute with no name":     {sdk.SendMessageInput{MessageBody: aws.String("a"), MessageAttributes: map[string]types.MessageAttributeValue{"a..b": own("String", "v")}}, "attribute name 'a..b' must have"},
		"another queue":                 {sdk.SendMessageInput{MessageBody: aws.String("a"), QueueUrl: aws.String(orders + "-absent")}, "AWS.SimpleQueueService.NonExistentQueue: The specified queue does not exist."},
		"another account":               {sdk.SendMessageInput{MessageBody: aws.String("a"), QueueUrl: aws.String("https://sqs.us-east-1.amazonaws.com/1/orders")}, "The specified queue does not exist."},
		"no URL":                        {sdk.SendMessageInput{MessageBody: aws.String("a"), QueueUrl: aws.String("orders")}, "InvalidAddress: The address orders is not valid for this endpoint."},
	} {
		if c.in.QueueUrl == nil {
			c.in.QueueUrl = aws.String(orders)
		}
		if _, err := b.SendMessage(t.Context(), &c.in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
	if got := b.counts(orders); got != "0 0 0" {
		t.Errorf("the counts are %s", got)
	}
	b.send(orders, strings.Repeat("x", 1<<20))
}

func TestBatchesSucceedAndFailByTheirEntries(t *testing.T) {
	b := newBench(t)
	ctx, queue := t.Context(), orders
	sent, err := b.SendMessageBatch(ctx, &sdk.SendMessageBatchInput{QueueUrl: &queue, Entries: []types.SendMessageBatchRequestEntry{
		{Id: aws.String("1"), MessageBody: aws.String("a"), MessageAttributes: map[string]types.MessageAttributeValue{"k": own("Number", "1e3")}},
		{Id: aws.String("2"), MessageBody: aws.String("\x02")},
		{Id: aws.String("3"), MessageBody: aws.String("b")},
	}})
	if err != nil || len(sent.Successful) != 2 || *sent.Successful[1].Id != "3" || len(sent.Failed) != 1 ||
		*sent.Failed[0].Id != "2" || *sent.Failed[0].Code != "InvalidMessageContents" || !sent.Failed[0].SenderFault {
		t.Fatalf("the sent: got %+v %v", sent, err)
	}
	messages := b.receive(orders)
	hidden, err := b.ChangeMessageVisibilityBatch(ctx, &sdk.ChangeMessageVisibilityBatchInput{QueueUrl: &queue, Entries: []types.ChangeMessageVisibilityBatchRequestEntry{
		{Id: aws.String("1"), ReceiptHandle: messages[1].ReceiptHandle},
		{Id: aws.String("2"), ReceiptHandle: aws.String("x")},
	}})
	if err != nil || len(hidden.Successful) != 1 || len(hidden.Failed) != 1 || *hidden.Failed[0].Code != "ReceiptHandleIsInvalid" {
		t.Fatalf("the changes: got %+v %v", hidden, err)
	}
	b.expect(orders, "b")
	deleted, err := b.DeleteMessageBatch(ctx, &sdk.DeleteMessageBatchInput{QueueUrl: &queue, Entries: []types.DeleteMessageBatchRequestEntry{
		{Id: aws.String("1"), ReceiptHandle: messages[0].ReceiptHandle},
		{Id: aws.String("2"), ReceiptHandle: messages[1].ReceiptHandle}, // which is an older one now
		{Id: aws.String("3"), ReceiptHandle: aws.String("x")},
	}})
	if err != nil || len(deleted.Successful) != 2 || len(deleted.Failed) != 1 || *deleted.Failed[0].Id != "3" {
		t.Fatalf("the deletions: got %+v %v", deleted, err)
	}
	if got := b.counts(orders); got != "0 1 0" {
		t.Errorf("the counts are %s, want one message left", got)
	}
}

func TestWhatIsNoBatchIsRefusedAsTheSDKTypesIt(t *testing.T) {
	b := newBench(t)
	send := func(entries ...types.SendMessageBatchRequestEntry) error {
		_, err := b.SendMessageBatch(t.Context(), &sdk.SendMessageBatchInput{QueueUrl: aws.String(orders), Entries: entries})
		return err
	}
	entry := func(id, body string) types.SendMessageBatchRequestEntry {
		return types.SendMessageBatchRequestEntry{Id: &id, MessageBody: &body}
	}
	var eleven []types.SendMessageBatchRequestEntry
	for i := range 11 {
		eleven = append(eleven, entry(fmt.Sprint(i), "a"))
	}
	half := strings.Repeat("x", 1<<19)
	for name, c := range map[string]struct {
		err    error
		target any
		want   string
	}{
		"nothing":     {send([]types.SendMessageBatchRequestEntry{}...), new(*types.EmptyBatchRequest), "There should be at least one SendMessageBatchRequestEntry in the request."},
		"too many":    {send(eleven...), new(*types.TooManyEntriesInBatchRequest), "Maximum number of entries per request are 10. You have sent 11."},
		"the same id": {send(entry("1", "a"), entry("1", "b")), new(*types.BatchEntryIdsNotDistinct), "Id 1 repeated."},
		"no id":       {send(entry("a:b", "a")), new(*types.InvalidBatchEntryId), "A batch entry id can only contain"},
		"too large":   {send(entry("1", half), entry("2", half+"x")), new(*types.BatchRequestTooLong), "Batch requests cannot be longer than 1048576 bytes. You have sent 1048577 bytes."},
	} {
		if !errors.As(c.err, c.target) || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: got %v, want a %T with %s", name, c.err, c.target, c.want)
		}
	}
	if got := b.counts(orders); got != "0 0 0" {
		t.Errorf("the counts are %s", got)
	}
	if err := send(entry("1", half), entry("2", half)); err != nil {
		t.Error(err)
	}
}

func TestErrorsAreThoseThatTheSDKTypes(t *testing.T) {
	b := newBench(t)
	_, err := b.GetQueueUrl(t.Context(), &sdk.GetQueueUrlInput{QueueName: aws.String("absent")})
	if absent := (*types.QueueDoesNotExist)(nil); !errors.As(err, &absent) {
		t.Errorf("a queue that is not there: got %v", err)
	}
	_, err = b.GetQueueUrl(t.Context(), &sdk.GetQueueUrlInput{QueueName: aws.String("orders"), QueueOwnerAWSAccountId: aws.String("000000000001")})
	if absent := (*types.QueueDoesNotExist)(nil); !errors.As(err, &absent) {
		t.Errorf("a queue of another account: got %v", err)
	}
	b.send(dead, "a")
	_, err = b.DeleteMessage(t.Context(), &sdk.DeleteMessageInput{QueueUrl: aws.String(orders), ReceiptHandle: b.one(dead).ReceiptHandle})
	if wrong := (*types.ReceiptHandleIsInvalid)(nil); !errors.As(err, &wrong) {
		t.Errorf("a receipt handle of another queue: got %v", err)
	}
	_, err = b.GetQueueAttributes(t.Context(), &sdk.GetQueueAttributesInput{QueueUrl: aws.String(orders), AttributeNames: []types.QueueAttributeName{"FifoQueue"}})
	if wrong := (*types.InvalidAttributeName)(nil); !errors.As(err, &wrong) || wrong.ErrorMessage() != "Unknown Attribute FifoQueue." {
		t.Errorf("an attribute that is not there: got %v", err)
	}
	_, err = b.StartMessageMoveTask(t.Context(), &sdk.StartMessageMoveTaskInput{SourceArn: aws.String("arn:aws:sqs:us-east-1:123456789012:absent")})
	if absent := (*types.ResourceNotFoundException)(nil); !errors.As(err, &absent) {
		t.Errorf("the ARN of a queue that is not there: got %v", err)
	}
	_, err = b.SendMessage(t.Context(), &sdk.SendMessageInput{QueueUrl: aws.String(orders), MessageBody: aws.String("a"), MessageDeduplicationId: aws.String("d")})
	if unsupported := (*types.UnsupportedOperation)(nil); !errors.As(err, &unsupported) {
		t.Errorf("a parameter of FIFO queues: got %v", err)
	}
	_, err = b.ReceiveMessage(t.Context(), &sdk.ReceiveMessageInput{QueueUrl: aws.String(orders), MaxNumberOfMessages: 11})
	if wrong := smithy.APIError(nil); !errors.As(err, &wrong) || wrong.ErrorCode() != "InvalidParameterValue" ||
		wrong.ErrorMessage() != "Value 11 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided." {
		t.Errorf("too many messages: got %v", err)
	}
}

func TestTheAttributesOfAQueueAreThoseItWasCreatedWith(t *testing.T) {
	b := newBench(t)
	b.create(sqs.Queue{Name: "allowing", RedriveAllow: &sqs.RedriveAllow{Permission: "byQueue", SourceQueueARNs: []string{ordersARN}}})
	for url, want := range map[string]map[string]string{
		orders: {
			"VisibilityTimeout": "30", "MessageRetentionPeriod": "345600", "DelaySeconds": "0", "ReceiveMessageWaitTimeSeconds": "0", "MaximumMessageSize": "1048576",
			"QueueArn": ordersARN, "CreatedTimestamp": "1700000000", "RedrivePolicy": `{"deadLetterTargetArn":"` + deadARN + `","maxReceiveCount":2}`,
		},
		dead: {"MessageRetentionPeriod": "1209600"},
		strings.Replace(orders, "orders", "allowing", 1): {"RedriveAllowPolicy": `{"redrivePermission":"byQueue","sourceQueueArns":["` + ordersARN + `"]}`},
	} {
		out, err := b.GetQueueAttributes(t.Context(), &sdk.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{"All"}})
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range want {
			if out.Attributes[name] != value {
				t.Errorf("%s: %s is %q, want %q", url, name, out.Attributes[name], value)
			}
		}
	}
	// One that a queue does not have is left out.
	out, err := b.GetQueueAttributes(t.Context(), &sdk.GetQueueAttributesInput{QueueUrl: aws.String(dead), AttributeNames: []types.QueueAttributeName{"RedrivePolicy", "QueueArn"}})
	if err != nil || fmt.Sprint(out.Attributes) != "map[QueueArn:"+deadARN+"]" {
		t.Errorf("got %+v %v", out, err)
	}
}

func TestQueuesAreListedByTheirNamesInPages(t *testing.T) {
	b := newBench(t)
	b.create(sqs.Queue{Name: "a"}, sqs.Queue{Name: "orders-2"})
	for prefix, want := range map[string]string{"": "a orders orders-2 orders-dead", "orders-": "orders-2 orders-dead", "x": ""} {
		pages := sdk.NewListQueuesPaginator(b.Client, &sdk.ListQueuesInput{QueueNamePrefix: &prefix, MaxResults: aws.Int32(2)})
		var listed []string
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil || len(page.QueueUrls) > 2 {
				t.Fatalf("got %+v %v", page, err)
			}
			for _, url := range page.QueueUrls {
				listed = append(listed, strings.TrimPrefix(url, "https://sqs.us-east-1.amazonaws.com/123456789012/"))
			}
		}
		if strings.Join(listed, " ") != want {
			t.Errorf("with %q: got %v, want %s", prefix, listed, want)
		}
	}
}

func TestTheAwsCommandWorksUnmodified(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: the aws command is not tried")
	}
	command, err := exec.LookPath("aws")
	if err != nil {
		t.Skip("the aws command is not installed, so it cannot be tried")
	}
	b := newBench(t, func(c *sqs.Config) { c.BaseURL = "http://aws.local" })
	const url = "http://aws.local/123456789012/orders"
	// Its version 1 does not ask AWS_ENDPOINT_URL about SQS in us-east-1, which had another host once.
	environment := append(os.Environ(), "AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local",
		"AWS_DEFAULT_REGION=us-east-1", "AWS_PAGER=", "AWS_MAX_ATTEMPTS=1", "NO_PROXY=127.0.0.1")
	for _, c := range []struct{ arguments, want string }{
		{"get-queue-url --queue-name orders", url},
		{"send-message --queue-url " + url + ` --message-body {"method":"GET"} --message-attributes {"k":{"DataType":"Number","StringValue":"7"}} --query MD5OfMessageBody`, "aa33ceaf98a63b8bd52b3986a9ee06cb"},
		{"receive-message --queue-url " + url + " --wait-time-seconds 5 --attribute-names All --message-attribute-names k --visibility-timeout 0 --query Messages[].[Body,Attributes.ApproximateReceiveCount,MessageAttributes.k.StringValue]", "{\"method\":\"GET\"}\t1\t7"},
		{"get-queue-attributes --queue-url " + url + " --attribute-names ApproximateNumberOfMessages --query Attributes.ApproximateNumberOfMessages", "1"},
		{"purge-queue --queue-url " + url, ""},
		{"receive-message --queue-url " + url, ""},
		{"delete-message --queue-url " + url + " --receipt-handle x", "An error occurred (ReceiptHandleIsInvalid) when calling the DeleteMessage operation: The input receipt handle \"x\" is not a valid receipt handle."},
		{"send-message --queue-url " + url + "-absent --message-body x", "An error occurred (AWS.SimpleQueueService.NonExistentQueue) when calling the SendMessage operation: The specified queue does not exist."},
	} {
		process := exec.CommandContext(t.Context(), command, append([]string{"sqs", "--output", "text", "--endpoint-url", b.url}, strings.Fields(c.arguments)...)...)
		process.Env = environment
		output, err := process.CombinedOutput()
		if wantsError := strings.HasPrefix(c.want, "An error"); (err != nil) != wantsError || !strings.Contains(string(output), c.want) {
			t.Errorf("%s: got %s %v, want %s", c.arguments, output, err, c.want)
		}
	}
}
