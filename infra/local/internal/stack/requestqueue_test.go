package stack_test

import (
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// requestQueue is the stack with a queue whose messages are requests.
var requestQueue = synthesised("request-queue", map[string]any{"queue": "true"})

// startRequestQueue starts it, with a clock of its queues that the test has entered.
func startRequestQueue(t *testing.T, upstream string) (s *stack.Stack, client *sqs.Client, requests, deadLetters string, passing *clock.Virtual) {
	t.Helper()
	passing = clock.NewVirtual(time.Unix(1_700_000_000, 0))
	t.Cleanup(passing.Enter())
	s = start(t, upstream, from(requestQueue), func(_ testing.TB, c *config) { c.QueueClock = passing })
	client = sqs.New(sqs.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(s.Endpoint()), Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
	for _, q := range s.Template.Queues {
		if q.Redrive != nil {
			requests = q.URL
		} else {
			deadLetters = q.URL
		}
	}
	return s, client, requests, deadLetters, passing
}

func sendMessage(t *testing.T, client *sqs.Client, queue, body string) {
	t.Helper()
	if _, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &queue, MessageBody: &body}); err != nil {
		t.Fatal(err)
	}
}

// pass lets time pass for queues, with all that comes of it.
func pass(t *testing.T, c *clock.Virtual, d time.Duration) {
	t.Helper()
	for _, d := range []time.Duration{d, time.Nanosecond} {
		if err := c.Wait(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
}

// left is how many messages a queue has, those that were delivered and not deleted among them.
func left(t *testing.T, client *sqs.Client, queue string) string {
	t.Helper()
	out, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &queue, AttributeNames: []types.QueueAttributeName{"All"}})
	if err != nil {
		t.Fatal(err)
	}
	return out.Attributes["ApproximateNumberOfMessages"] + " and " + out.Attributes["ApproximateNumberOfMessagesNotVisible"]
}

// until looks at something again and again, until it is as it should be.
func until(t *testing.T, what string, look func() (string, bool)) {
	t.Helper()
	seen := ""
	for range 500 {
		var done bool
		if seen, done = look(); done {
			return
		}
		time.Sleep(20 * time.Millisecond) // between looks
	}
	t.Fatalf("%s: it is %s at last", what, seen)
}

func TestARequestThatIsInTheQueueTwiceIsOneCallOfTheUpstream(t *testing.T) {
	t.Parallel()
	u := play(t, respond(201, "made"))
	_, client, requests, deadLetters, _ := startRequestQueue(t, u.URL)
	for range 2 { // as SQS delivers a message twice, with the same id and so the same key
		sendMessage(t, client, requests, `{"method":"POST","path":"/orders","body":{"tea":2},"idempotencyKey":"order-1"}`)
	}
	until(t, "the queue", func() (string, bool) { n := left(t, client, requests); return n, n == "0 and 0" })
	if got := u.received(); len(got) != 1 || got[0].Method != "POST" || got[0].Target != "/orders" || got[0].Body != `{"tea":2}` || got[0].Header.Get("Idempotency-Key") == "" {
		t.Errorf("the upstream got %+v, want one POST with a key", got)
	}
	if n := left(t, client, deadLetters); n != "0 and 0" {
		t.Errorf("there are %s dead letters", n)
	}
}

func TestAMessageWithoutAFinalAnswerIsDeliveredAgainAndEndsAmongTheDeadLetters(t *testing.T) {
	t.Parallel()
	u := play(t, slices.Repeat([]http.HandlerFunc{respond(500, "down")}, 15)...)
	_, client, requests, deadLetters, passing := startRequestQueue(t, u.URL)
	sendMessage(t, client, requests, `{"method":"GET","path":"/report"}`)
	for n := 1; n <= 5; n++ {
		until(t, "the calls", func() (string, bool) { got := len(u.received()); return strconv.Itoa(got), got == 3*n })
		until(t, "the queue", func() (string, bool) { n := left(t, client, requests); return n, n != "1 and 0" })
		pass(t, passing, 32*time.Minute)
	}
	until(t, "the dead letters", func() (string, bool) { n := left(t, client, deadLetters); return n, n == "1 and 0" })
	if n := left(t, client, requests); n != "0 and 0" {
		t.Errorf("the queue still has %s messages", n)
	}
}

func TestAMessageThatIsNoRequestDoesNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	u := play(t, respond(200, "ok"))
	_, client, requests, _, _ := startRequestQueue(t, u.URL)
	sendMessage(t, client, requests, `{"methd":"GET"}`)
	sendMessage(t, client, requests, `{"method":"GET","path":"/report"}`)
	until(t, "the queue", func() (string, bool) { n := left(t, client, requests); return n, n == "0 and 1" })
	if n := len(u.received()); n != 1 {
		t.Errorf("the upstream was called %d times, want once", n)
	}
}
