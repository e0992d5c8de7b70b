package sqs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/sqs"
)

// motoStartTimeout is how long moto_server has to answer for the first time.
const motoStartTimeout = 60 * time.Second

// A moto is the SQS of moto, an independent implementation in Python that judges this one.
type moto struct{ url string }

// startMoto runs moto_server until the test ends, or skips the test where it is not installed.
func startMoto(t *testing.T) *moto {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: moto_server is not asked")
	}
	path, err := exec.LookPath("moto_server")
	if err != nil {
		t.Skip("moto_server is not installed (pip install 'moto[server]'), so there is no judge to compare with")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	listener.Close()
	// The shell ends the server when its input ends, so that nothing is left behind even if this process is killed.
	process := exec.Command("sh", "-c", `"$@" & read -r _; kill $!`, "sh", path, "-H", "127.0.0.1", "-p", port)
	lifeline, err := process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = lifeline.Close()
		_ = process.Wait()
	})
	m := &moto{url: "http://" + address + "/"}
	ctx, cancel := context.WithTimeout(t.Context(), motoStartTimeout)
	defer cancel()
	for {
		if _, err := m.send(ctx, "ListQueues", `{}`); err == nil {
			return m
		} else if ctx.Err() != nil {
			t.Fatalf("moto_server does not answer: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (m *moto) send(ctx context.Context, operation, input string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url, strings.NewReader(input))
	if err != nil {
		return nil, err
	}
	request.Header.Set("X-Amz-Target", sqs.TargetPrefix+operation)
	request.Header.Set("Content-Type", "application/x-amz-json-1.0")
	// Moto finds the service by the scope in the signature, and verifies nothing else in it.
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=local/20231114/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=0")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return io.ReadAll(response.Body)
}

// A judge runs operations in moto and in a store of its own, and compares what they come to.
type judge struct {
	t        *testing.T
	moto     *moto
	store    *sqs.Store
	compared int
	faults   map[string]bool // by reason, whether moto differed at least once
	differed int

	// theirs and ours are the receipt handles of the last message that each has given.
	theirs, ours string
}

// lastHandle is what an input has in the place of the last receipt handle.
const lastHandle = "LAST-HANDLE"

// compare runs an operation whose outcome has to be the same in both. A fault is the reason why it may not be, where moto is
// wrong; it has to show at least once in a test, so that the list of faults stays true.
func (j *judge) compare(fault, operation, input string) {
	j.t.Helper()
	theirs, err := j.moto.send(j.t.Context(), operation, strings.ReplaceAll(input, lastHandle, j.theirs))
	if err != nil {
		j.t.Fatal(err)
	}
	ours, err := j.store.Call(j.t.Context(), operation, json.RawMessage(strings.ReplaceAll(input, lastHandle, j.ours)))
	if err != nil {
		if ours, err = json.Marshal(err); err != nil {
			j.t.Fatal(err)
		}
	}
	different := cmp.Diff(j.comparable(theirs, &j.theirs), j.comparable(ours, &j.ours))
	j.compared++
	switch {
	case fault != "":
		j.faults[fault] = j.faults[fault] || different != ""
		if different != "" {
			j.differed++
		}
	case different != "":
		j.t.Errorf("%s %s: -moto +store\n%s", operation, input, different)
	}
}

// made is what each implementation makes up for itself, or reads off its clock.
var made = regexp.MustCompile(`"(MessageId|ReceiptHandle|SenderId|SentTimestamp|ApproximateFirstReceiveTimestamp|CreatedTimestamp|LastModifiedTimestamp)":\s*"[^"]+"`)

var (
	handleIn = regexp.MustCompile(`"ReceiptHandle":\s*"([^"]+)"`)
	hostIn   = regexp.MustCompile(`https?://[^/"]+/`)
)

// comparable is an answer in a form in which two can be compared. The receipt handle in it is noted.
func (j *judge) comparable(body []byte, lastHandle *string) any {
	j.t.Helper()
	if found := handleIn.FindSubmatch(body); found != nil {
		*lastHandle = string(found[1])
	}
	body = made.ReplaceAll(body, []byte(`"$1":"made"`))
	body = hostIn.ReplaceAll(body, []byte("http://host/"))
	if len(body) == 0 {
		body = []byte("{}") // of operations that answer with nothing
	}
	var fields map[string]any
	if err := json.Unmarshal(body, &fields); err != nil {
		j.t.Fatalf("%v in %s", err, body)
	}
	if kind, failed := fields["__type"].(string); failed {
		kind = kind[strings.LastIndex(kind, "#")+1:]
		message := fmt.Sprint(fields["message"])
		for _, own := range []string{j.theirs, j.ours} {
			if own != "" {
				message = strings.ReplaceAll(message, own, "a handle")
			}
		}
		return kind + ": " + message
	}
	empty(fields)
	return fields
}

// empty leaves out what holds nothing, which one has and the other has not.
func empty(fields map[string]any) {
	for name, value := range fields {
		switch v := value.(type) {
		case map[string]any:
			if empty(v); len(v) == 0 {
				delete(fields, name)
			}
		case []any:
			for _, element := range v {
				if m, isMap := element.(map[string]any); isMap {
					empty(m)
				}
			}
			if len(v) == 0 {
				delete(fields, name)
			}
		case nil:
			delete(fields, name)
		}
	}
}

func TestQueuesAgreeWithTheJudge(t *testing.T) {
	t.Parallel()
	j := &judge{t: t, moto: startMoto(t), store: sqs.New(sqs.Config{AccountID: "123456789012"}), faults: map[string]bool{}}
	for _, input := range []string{
		`{"QueueName":"orders-dead"}`,
		`{"QueueName":"orders","Attributes":{"RedrivePolicy":"{\"deadLetterTargetArn\":\"` + deadARN + `\",\"maxReceiveCount\":2}"}}`,
	} {
		if answer, err := j.moto.send(t.Context(), "CreateQueue", input); err != nil || strings.Contains(string(answer), "__type") {
			t.Fatalf("create a queue in moto: %s %v", answer, err)
		}
	}
	if err := j.store.Create(queues...); err != nil {
		t.Fatal(err)
	}
	const (
		all = `,"MessageSystemAttributeNames":["All"],"MessageAttributeNames":["All"]`

		noSource   = "a dead letter does not say where it comes from; the API describes DeadLetterQueueSourceArn"
		noMessage  = "an error of ReceiveMessage has no message, and its code where the JSON protocol has the type; LocalStack has recorded both"
		otherWords = "the error for a receipt handle that is none has other words than repost.aws shows"
		anyBody    = "a body can be empty, or have any character; the API describes which it can have"
	)
	at := func(more string) string { return `{"QueueUrl":"` + orders + `"` + more + `}` }
	atDead := func(more string) string { return `{"QueueUrl":"` + dead + `"` + more + `}` }
	for _, c := range []struct{ fault, operation, input string }{
		{"", "GetQueueUrl", `{"QueueName":"orders"}`},
		{"", "GetQueueUrl", `{"QueueName":"absent"}`},
		{"", "ListQueues", `{"QueueNamePrefix":"orders-"}`},
		{"", "GetQueueAttributes", at(`,"AttributeNames":["VisibilityTimeout","QueueArn","DelaySeconds","ReceiveMessageWaitTimeSeconds","MessageRetentionPeriod","ApproximateNumberOfMessages"]`)},
		{"", "ReceiveMessage", at("")},
		{"", "SendMessage", at(`,"MessageBody":"a"`)},
		{"", "GetQueueAttributes", at(`,"AttributeNames":["ApproximateNumberOfMessages","ApproximateNumberOfMessagesNotVisible","ApproximateNumberOfMessagesDelayed"]`)},
		{"", "ReceiveMessage", at(all)},
		{"", "GetQueueAttributes", at(`,"AttributeNames":["ApproximateNumberOfMessages","ApproximateNumberOfMessagesNotVisible","ApproximateNumberOfMessagesDelayed"]`)},
		{"", "ReceiveMessage", at(all)},
		{"", "ChangeMessageVisibility", at(`,"ReceiptHandle":"` + lastHandle + `","VisibilityTimeout":0`)},
		{"", "ReceiveMessage", at(all)}, // the second time
		{"", "ChangeMessageVisibility", at(`,"ReceiptHandle":"` + lastHandle + `","VisibilityTimeout":0`)},
		{"", "ReceiveMessage", at(all)}, // which moves it
		{noSource, "ReceiveMessage", atDead(all)},
		{"", "DeleteMessage", atDead(`,"ReceiptHandle":"` + lastHandle + `"`)},
		{"", "GetQueueAttributes", atDead(`,"AttributeNames":["ApproximateNumberOfMessages","ApproximateNumberOfMessagesNotVisible"]`)},
		{otherWords, "DeleteMessage", at(`,"ReceiptHandle":"x"`)},
		{"", "SendMessage", at(`,"MessageBody":"b","MessageAttributes":{"k":{"DataType":"String","StringValue":"v"},"b":{"DataType":"Binary","BinaryValue":"AP8="},"n":{"DataType":"Number","StringValue":"7"}}`)},
		{"", "ReceiveMessage", at(all)},
		{"", "DeleteMessage", at(`,"ReceiptHandle":"` + lastHandle + `"`)},
		{"", "SendMessageBatch", at(`,"Entries":[{"Id":"1","MessageBody":"c"},{"Id":"2","MessageBody":"d"}]`)},
		{"", "SendMessageBatch", at(`,"Entries":[]`)},
		{"", "SendMessageBatch", at(`,"Entries":[{"Id":"1","MessageBody":"c"},{"Id":"1","MessageBody":"d"}]`)},
		{"", "SendMessageBatch", at(`,"Entries":[{"Id":"a:b","MessageBody":"c"}]`)},
		{"", "ReceiveMessage", at(`,"MaxNumberOfMessages":10` + all)},
		{noMessage, "ReceiveMessage", at(`,"MaxNumberOfMessages":11`)},
		{noMessage, "ReceiveMessage", at(`,"WaitTimeSeconds":21`)},
		{"", "PurgeQueue", at("")},
		{"", "GetQueueAttributes", at(`,"AttributeNames":["ApproximateNumberOfMessages","ApproximateNumberOfMessagesNotVisible"]`)},
		{"", "SendMessage", `{"QueueUrl":"` + orders + `-absent","MessageBody":"a"}`},
		{anyBody, "SendMessage", at(`,"MessageBody":""`)},
		{anyBody, "SendMessage", at(`,"MessageBody":"a\u0001"`)},
	} {
		j.compare(c.fault, c.operation, c.input)
	}
	for fault, shown := range j.faults {
		if !shown {
			t.Errorf("moto agrees wherever it is said that %s", fault)
		}
	}
	t.Logf("%d operations compared with moto, which agrees on %d, and is wrong about %d for one of %d listed reasons",
		j.compared, j.compared-j.differed, j.differed, len(j.faults))
}
