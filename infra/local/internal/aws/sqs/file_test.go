package sqs_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/sdkhttp"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/datafile"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/sqs"
)

// storeProcess names the file of a store that this binary serves in the place of running tests.
const storeProcess = "SQS_TEST_STORE_PROCESS"

func TestMain(m *testing.M) {
	if path := os.Getenv(storeProcess); path != "" {
		fmt.Fprintln(os.Stderr, serveStore(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// serveStore serves a store with a file, writes its address, and returns if that fails.
func serveStore(path string) error {
	file, err := datafile.Open(path)
	if err != nil {
		return err
	}
	store := sqs.New(sqs.Config{AccountID: "123456789012", File: file})
	if err := store.Create(queues...); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("http://" + listener.Addr().String())
	return http.Serve(listener, store)
}

// openFile opens a file until the test ends.
func openFile(t testing.TB, path string) *datafile.File {
	t.Helper()
	file, err := datafile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return file
}

// keptIn makes the store keep its messages in a file.
func keptIn(file *datafile.File) func(*sqs.Config) {
	return func(c *sqs.Config) { c.File = file }
}

func TestMessagesAreThereAgainWithAllThatIsKnownOfThem(t *testing.T) {
	file := openFile(t, filepath.Join(t.TempDir(), "data.db"))
	before := newBench(t, keptIn(file))
	before.toDead("dead")
	before.send(orders, "deleted")
	before.delete(orders, before.one(orders))
	if _, err := before.SendMessage(t.Context(), &sdk.SendMessageInput{QueueUrl: aws.String(orders), MessageBody: aws.String("hidden"),
		MessageAttributes: map[string]types.MessageAttributeValue{"k": {DataType: aws.String("Binary"), BinaryValue: []byte{0, 255}}}}); err != nil {
		t.Fatal(err)
	}
	held := before.one(orders)
	before.send(orders, "c", "b", "a")

	after := newBench(t, keptIn(file), func(c *sqs.Config) { c.Clock = before.clock })
	after.clock = before.clock
	if got := after.counts(orders); got != "3 1 0" {
		t.Errorf("the counts are %s, want 3 messages and a hidden one", got)
	}
	if m := after.one(dead); *m.Body != "dead" || m.Attributes["ApproximateReceiveCount"] != "3" || m.Attributes["DeadLetterQueueSourceArn"] != ordersARN {
		t.Errorf("the dead letter is %s with %v", *m.Body, m.Attributes)
	}
	if err := after.hide(orders, held, 0); err != nil {
		t.Errorf("the receipt handle from before: %v", err)
	}
	messages := after.receive(orders)
	if len(messages) != 4 {
		t.Fatalf("there are %d messages, want 4", len(messages))
	}
	for _, m := range messages {
		if *m.MessageId == *held.MessageId && (m.Attributes["ApproximateReceiveCount"] != "2" || string(m.MessageAttributes["k"].BinaryValue) != "\x00\xff") {
			t.Errorf("the message that was hidden has %v and %v", m.Attributes, m.MessageAttributes)
		}
	}
	if _, err := after.PurgeQueue(t.Context(), &sdk.PurgeQueueInput{QueueUrl: aws.String(orders)}); err != nil {
		t.Fatal(err)
	}
	if got := newBench(t, keptIn(file)).counts(orders); got != "0 0 0" {
		t.Errorf("after a purge the counts are %s", got)
	}
}

func TestAKilledProcessLosesNoMessageThatItSaidWasSent(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: no process is started")
	}
	path := filepath.Join(t.TempDir(), "data.db")
	process := exec.Command(os.Args[0])
	process.Env = append(os.Environ(), storeProcess+"="+path)
	output, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = process.Process.Kill(); _ = process.Wait() })
	address, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	client := sdk.New(sdk.Options{Region: "us-east-1", BaseEndpoint: aws.String(strings.TrimSpace(address)), RetryMaxAttempts: 1, HTTPClient: sdkhttp.Client(http.DefaultClient),
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", "")})

	// Eight send until the process is gone, and it is killed when 200 messages have been sent, in the midst of others.
	var mu sync.Mutex
	sent := map[string]bool{}
	var senders sync.WaitGroup
	for range 8 {
		senders.Go(func() {
			for {
				out, err := client.SendMessage(t.Context(), &sdk.SendMessageInput{QueueUrl: aws.String(orders), MessageBody: aws.String("a")})
				if err != nil {
					return
				}
				mu.Lock()
				sent[*out.MessageId] = true
				if len(sent) == 200 {
					_ = process.Process.Kill() // SIGKILL
				}
				mu.Unlock()
			}
		})
	}
	senders.Wait()
	if len(sent) < 200 {
		t.Fatalf("only %d messages were sent", len(sent))
	}
	_ = process.Wait()

	b := newBench(t, keptIn(openFile(t, path)))
	b.pass(time.Since(start)) // those who sent went by the real clock
	for messages := b.receive(orders); len(messages) > 0; messages = b.receive(orders) {
		for _, m := range messages {
			delete(sent, *m.MessageId)
		}
	}
	if len(sent) > 0 {
		t.Errorf("%d messages are lost", len(sent))
	}
}

func TestWhereTheFileTakesNothingNothingChanges(t *testing.T) {
	file := openFile(t, filepath.Join(t.TempDir(), "data.db"))
	b := newBench(t, keptIn(file))
	b.toDead("dead")
	b.send(orders, "there")
	m := b.one(orders)
	b.send(orders, "also there")
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	for operation, input := range map[string]string{
		"SendMessage":             `{"QueueUrl":"` + orders + `","MessageBody":"a"}`,
		"ReceiveMessage":          `{"QueueUrl":"` + orders + `"}`,
		"DeleteMessage":           `{"QueueUrl":"` + orders + `","ReceiptHandle":"` + *m.ReceiptHandle + `"}`,
		"ChangeMessageVisibility": `{"QueueUrl":"` + orders + `","ReceiptHandle":"` + *m.ReceiptHandle + `","VisibilityTimeout":0}`,
		"PurgeQueue":              `{"QueueUrl":"` + orders + `"}`,
		"StartMessageMoveTask":    `{"SourceArn":"` + deadARN + `"}`,
	} {
		if refusal := refused(t, b.store, operation, input); refusal.Code != sqs.CodeInternalFailure || refusal.StatusCode() != 500 {
			t.Errorf("%s: got %v", operation, refusal)
		}
	}
	output, err := b.store.Call(t.Context(), "SendMessageBatch", json.RawMessage(`{"QueueUrl":"`+orders+`","Entries":[{"Id":"1","MessageBody":"a"}]}`))
	if err != nil || !strings.Contains(string(output), `"Code":"InternalFailure"`) || !strings.Contains(string(output), `"SenderFault":false`) {
		t.Errorf("SendMessageBatch: got %s %v", output, err)
	}
	if got, gotDead := b.counts(orders), b.counts(dead); got != "1 1 0" || gotDead != "1 0 0" {
		t.Errorf("the counts are %s and %s", got, gotDead)
	}
}

func TestAFileWithWhatIsNoMessageIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data.db")
	file := openFile(t, path)
	if err := file.Write(datafile.Change{Bucket: "sqs:orders", Key: "id", Value: []byte(`{"ID":"other"}`)}); err != nil {
		t.Fatal(err)
	}
	err := sqs.New(sqs.Config{AccountID: "123456789012", File: file}).Create(queues...)
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "remove the file to start with empty queues") {
		t.Errorf("got %v", err)
	}
}
