package stack_test

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/faults"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// largeRing is the stack whose bodies can be as large as what its URL carries, and whose requests can be asynchronous.
var largeRing = synthesised("large", map[string]any{"largebodies": "true", "async": "true"})

// MB is a million bytes.
const MB = 1_000_000

// bucket is the one bucket of a stack, asked without faults.
type bucket struct {
	*s3.Client
	name *string
}

func bucketIn(t testing.TB, s *stack.Stack) bucket {
	t.Helper()
	return bucket{
		s3.New(s3.Options{
			Region: "us-east-1", BaseEndpoint: aws.String(serve(t, s.S3.ServeHTTP)), UsePathStyle: true,
			Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
		}),
		&s.S3.BucketNames()[0],
	}
}

// keys are those of the objects in the bucket.
func (b bucket) keys(t testing.TB) []string {
	t.Helper()
	listed, err := b.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: b.name})
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, one := range listed.Contents {
		keys = append(keys, *one.Key)
	}
	return keys
}

// binaryType marks a body as one of bytes.
var binaryType = []string{"Content-Type", "application/octet-stream"}

func TestABodyOf4MBPassesBothWaysByteForByte(t *testing.T) {
	t.Parallel()
	sent, back := binary(4*MB), binary(4*MB + 7)[7:]
	for name, fields := range map[string][]string{"without a key": binaryType, "with a key": append([]string{"Idempotency-Key", "upload-1"}, binaryType...)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := play(t, status(http.StatusServiceUnavailable), respond(http.StatusCreated, back, "Content-Type", "image/png", "X-Own", "1"))
			s := start(t, u.URL, from(largeRing))
			a := send(t, s, http.MethodPut, "/blob", sent, fields...)
			if a.Status != http.StatusCreated || a.Body != back || a.Header.Get("Content-Type") != "image/png" || a.Header.Get("X-Own") != "1" {
				t.Errorf("the answer is %d with %d bytes and %v, want 201 and the %d that the upstream sent", a.Status, len(a.Body), a.Header, len(back))
			}
			if got := a.Header.Get("Proxy-Status"); got != "proxy-1; received-status=503, proxy-2; received-status=201" {
				t.Errorf("Proxy-Status is %q", got)
			}
			if name == "with a key" {
				again := send(t, s, http.MethodPut, "/blob", sent, fields...)
				if again.Status != http.StatusCreated || again.Body != back || !again.replayed() || again.Header.Get("Etag") != a.Header.Get("Etag") {
					t.Errorf("the replay is %d with %d bytes and %v", again.Status, len(again.Body), again.Header)
				}
				if not := send(t, s, http.MethodPut, "/blob", sent, append(fields, "If-None-Match", a.Header.Get("Etag"))...); not.Status != http.StatusNotModified || not.Body != "" {
					t.Errorf("whoever has it already is answered with %d and %d bytes", not.Status, len(not.Body))
				}
			}
			if got := u.received(); len(got) != 2 {
				t.Errorf("the upstream was called %d times, want 2", len(got))
			}
			for i, r := range u.received() {
				if r.Body != sent || r.Header.Get("Content-Type") != "application/octet-stream" {
					t.Errorf("attempt %d brought %d bytes, want the %d that were sent", i+1, len(r.Body), len(sent))
				}
			}
			keys := bucketIn(t, s).keys(t)
			if len(keys) != 2 || !regexp.MustCompile(`^Proxy/answers/[0-9a-f]{32} Proxy/requests/[0-9a-f]{32}$`).MatchString(strings.Join(keys, " ")) {
				t.Errorf("the objects are %q", keys)
			}
		})
	}
}

func TestSmallBodiesStayOutOfTheBucket(t *testing.T) {
	t.Parallel()
	s := start(t, play(t, respond(http.StatusOK, binary(100*KiB))).URL, from(largeRing))
	if a := send(t, s, http.MethodPut, "/blob", binary(100*KiB), binaryType...); a.Status != 200 || len(a.Body) != 100*KiB {
		t.Errorf("the answer is %d with %d bytes", a.Status, len(a.Body))
	}
	if keys := bucketIn(t, s).keys(t); len(keys) != 0 {
		t.Errorf("the objects are %q", keys)
	}
}

func TestAnAsynchronousRequestOf4MBIsAnsweredWith4MB(t *testing.T) {
	t.Parallel()
	sent, back := binary(4*MB), binary(4*MB + 7)[7:]
	u := play(t, status(http.StatusServiceUnavailable), respond(http.StatusCreated, back))
	s := start(t, u.URL, from(largeRing))
	fields := append([]string{"Idempotency-Key", "upload-1"}, binaryType...)
	location, _ := accepted(t, s, http.MethodPut, "/blob", sent, fields...)
	if j := endOf(t, s, location); j.Status != "succeeded" || len(j.Attempts) != 2 {
		t.Errorf("the status is %+v", j)
	}
	if a := get(t, s, location+"/response"); a.Status != http.StatusCreated || a.Body != back {
		t.Errorf("the response is %d with %d bytes", a.Status, len(a.Body))
	}
	if a := send(t, s, http.MethodPut, "/blob", sent, fields...); a.Status != http.StatusCreated || a.Body != back || !a.replayed() {
		t.Errorf("the replay is %d with %d bytes", a.Status, len(a.Body))
	}
	if got := u.received(); len(got) != 2 || got[1].Body != sent {
		t.Errorf("the upstream was called %d times", len(got))
	}
}

func TestALargeLastErrorComesBackWhole(t *testing.T) {
	t.Parallel()
	body := binary(4 * MB)
	large := respond(http.StatusInternalServerError, body, "X-Order", "7", "Content-Type", "image/png")
	s := start(t, play(t, large, large, large, large, large, large).URL, from(largeRing))
	if a := get(t, s, "/report"); a.Status != 500 || a.Body != body || a.Header.Get("X-Order") != "7" || a.Header.Get("X-Should-Retry") != "false" {
		t.Errorf("the answer is %d with %d bytes and %v", a.Status, len(a.Body), a.Header)
	}
	location, _ := accepted(t, s, http.MethodGet, "/report", "")
	if j := endOf(t, s, location); j.Status != "failed" {
		t.Errorf("the status is %s, want failed", j.Status)
	}
	if a := get(t, s, location+"/response"); a.Status != 500 || a.Body != body || a.Header.Get("X-Order") != "7" {
		t.Errorf("the response is %d with %d bytes and %v", a.Status, len(a.Body), a.Header)
	}
}

// bare is an answer whose fields take a known room: one, X: 1.
func bare(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Date"], w.Header()["Content-Type"] = nil, nil
		w.Header().Set("X", "1")
		_, _ = w.Write([]byte(body))
	}
}

// The URL carries 6,291,456 bytes of JSON. 65,536 are left to the gateway, and 72 go to the status and to X: 1.
func TestTheLargestAnswerPassesAndOfOneMoreTheStatusAndTheFields(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ largest, more string }{
		"text":   {strings.Repeat("a", 6_225_848), strings.Repeat("a", 6_225_849)},
		"quotes": {strings.Repeat(`"`, 4_669_386), strings.Repeat(`"`, 4_669_387)},
		"bytes":  {binary(4_669_386), binary(4_669_387)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := play(t, bare(c.largest), bare(c.more))
			s := start(t, u.URL, from(largeRing))
			for range 2 { // with all that the gateway adds to what is recorded
				if a := send(t, s, http.MethodPost, "/", "", "Idempotency-Key", "largest", "Traceparent", strings.Repeat("a", 4000)); a.Status != 200 || a.Body != c.largest || a.Header.Get("X") != "1" {
					t.Errorf("the largest comes back as %d with %d bytes, want %d", a.Status, len(a.Body), len(c.largest))
				}
			}
			for _, replayed := range []bool{false, true} {
				a := send(t, s, http.MethodPost, "/", "", "Idempotency-Key", "more")
				p := a.problem(t, http.StatusOK, "answer-too-large")
				if a.replayed() != replayed || a.Header.Get("X") != "1" || len(p.Attempts) != 1 || p.Attempts[0].Error != "http_response_body_size" {
					t.Errorf("one more comes back with %v and %+v", a.Header, p)
				}
			}
			if n := len(u.received()); n != 2 {
				t.Errorf("the upstream was called %d times, want 2", n)
			}
		})
	}
}

// What is larger is refused by the URL itself, before there is a gateway. An event takes some room beside the body.
func TestTheLargestRequestPasses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ media, body string }{
		"text":   {"text/plain", strings.Repeat("a", 6_290_000)},
		"quotes": {"application/json", strings.Repeat(`"`, 3_145_000)}, // the URL writes JSON as text
		"bytes":  {"application/octet-stream", binary(4_717_000)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := play(t, status(http.StatusNoContent))
			s := start(t, u.URL, from(largeRing))
			if a := send(t, s, http.MethodPut, "/", c.body, "Content-Type", c.media); a.Status != http.StatusNoContent {
				t.Fatalf("the answer is %d %s", a.Status, a.Body)
			}
			if got := u.received()[0]; got.Body != c.body {
				t.Errorf("the upstream got %d bytes, want %d", len(got.Body), len(c.body))
			}
			if a := send(t, s, http.MethodPut, "/", c.body+strings.Repeat(c.body[:1], 2000), "Content-Type", c.media); a.Status != http.StatusRequestEntityTooLarge {
				t.Errorf("2,000 more are answered with %d", a.Status)
			}
		})
	}
}

// withoutBucket has functions look for the bucket where there is none, so that S3 refuses to read and to write.
func withoutBucket(functions ...string) setting {
	return func(t testing.TB, c *config) {
		for _, function := range functions {
			environment(function, "LARGE_BODIES_BUCKET", "nowhere")(t, c)
		}
	}
}

var allProxies = []string{"proxy-1", "proxy-2", "proxy-3"}

func TestWhereTheBucketFailsBeforeNothingIsSent(t *testing.T) {
	t.Parallel()
	for name, functions := range map[string][]string{"for the gateway": {"gateway"}, "for the proxies": allProxies} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := play(t)
			s := start(t, u.URL, from(largeRing), withoutBucket(functions...), withoutBackoff)
			for range 2 { // the key is free
				a := send(t, s, http.MethodPost, "/blob", binary(1*MB), append([]string{"Idempotency-Key", "upload-1"}, binaryType...)...)
				a.problem(t, http.StatusServiceUnavailable, "large-bodies-unavailable")
				if !strings.Contains(a.Body, `"processed":"no"`) {
					t.Errorf("the problem is %s", a.Body)
				}
			}
			if n := len(u.received()); n != 0 {
				t.Errorf("the upstream was called %d times", n)
			}
		})
	}
}

func TestAProxyWithoutTheBodyLeavesTheAttemptToTheNext(t *testing.T) {
	t.Parallel()
	sent := binary(1 * MB)
	u := play(t, status(http.StatusNoContent))
	s := start(t, u.URL, from(largeRing), withoutBucket("proxy-1"), withoutBackoff)
	// It has no key: it is not safe to repeat, unless it is certain that nothing was sent.
	a := send(t, s, http.MethodPost, "/blob", sent, binaryType...)
	a.expect(t, http.StatusNoContent, "", `proxy-1; error=proxy_internal_error; details="RequestBodyError", proxy-2; received-status=204`)
	if got := u.received(); len(got) != 1 || got[0].Body != sent {
		t.Errorf("the upstream was called %d times", len(got))
	}
}

func TestWhereTheBucketFailsAfterwardsTheOperationIsSettled(t *testing.T) {
	t.Parallel()
	u := play(t, respond(http.StatusCreated, binary(1*MB)))
	s := start(t, u.URL, from(largeRing), withoutBucket(allProxies...))
	key := []string{"Idempotency-Key", "order-1"}
	p := send(t, s, http.MethodPost, "/orders", "tea", key...).problem(t, http.StatusBadGateway, "outcome-unknown")
	if len(p.Attempts) != 1 || p.Attempts[0].Status != http.StatusCreated || p.Attempts[0].Details != "the answer could not be written to the bucket" {
		t.Errorf("the attempts are %+v", p.Attempts)
	}
	send(t, s, http.MethodPost, "/orders", "tea", key...).problem(t, http.StatusConflict, "idempotency-result-unavailable")
	if n := len(u.received()); n != 1 {
		t.Errorf("the upstream was called %d times, want once", n)
	}
}

func TestAnAnswerThatIsGoneIsToldAsSuch(t *testing.T) {
	t.Parallel()
	u := play(t, respond(http.StatusCreated, binary(1*MB)))
	s := start(t, u.URL, from(largeRing))
	key := []string{"Idempotency-Key", "order-1"}
	if a := send(t, s, http.MethodPost, "/orders", "tea", key...); a.Status != http.StatusCreated {
		t.Fatalf("the answer is %d %s", a.Status, a.Body)
	}
	b := bucketIn(t, s)
	for _, k := range b.keys(t) {
		if _, err := b.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: b.name, Key: &k}); err != nil {
			t.Fatal(err)
		}
	}
	send(t, s, http.MethodPost, "/orders", "tea", key...).problem(t, http.StatusConflict, "idempotency-result-unavailable")
	if n := len(u.received()); n != 1 {
		t.Errorf("the upstream was called %d times, want once", n)
	}
}

func TestALargeBodyIsWholeOrNotThereWhateverCallsFail(t *testing.T) {
	t.Parallel()
	sent, back := binary(1*MB), binary(1*MB + 7)[7:]
	var half atomic.Int32
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); string(body) != sent {
			half.Add(1)
		}
		_, _ = w.Write([]byte(back))
	})
	s := start(t, u, from(largeRing), withoutBackoff, failing(faults.Settings{Throttle: 0.05, Failed: 0.05, Lost: 0.05, Cut: 0.1, Seed: 7}))
	whole := 0
	for range 12 {
		switch a := send(t, s, http.MethodPut, "/blob", sent, binaryType...); {
		case a.Status == http.StatusOK && a.Body == back:
			whole++
		case a.Status < 500:
			t.Errorf("the answer is %d with %d bytes, want %d", a.Status, len(a.Body), len(back))
		}
	}
	if whole < 4 || whole == 12 || half.Load() > 0 {
		t.Errorf("%d of 12 answers were whole, and %d requests were not", whole, half.Load())
	}
}

func TestNothingOfALargeBodyIsInHistoriesAndLogs(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var logs strings.Builder
	answer := strings.Repeat("CANARY-ANSWER ", 40_000)
	s := start(t, play(t, respond(http.StatusServiceUnavailable, answer), respond(http.StatusOK, answer), respond(http.StatusOK, answer)).URL, from(largeRing), logged(func(e lambda.LogEvent) {
		mu.Lock()
		defer mu.Unlock()
		logs.WriteString(e.Message + "\n")
	}))
	body := strings.Repeat("CANARY-BODY ", 40_000)
	send(t, s, http.MethodPut, "/blob", body, "Content-Type", "text/plain", "Idempotency-Key", "CANARY-KEY")
	location, _ := accepted(t, s, http.MethodPut, "/blob", body, "Content-Type", "text/plain")
	endOf(t, s, location)
	all, err := s.StepFunctions.Executions("", "")
	if err != nil || len(all) != 2 {
		t.Fatalf("there are %d executions, error %v", len(all), err)
	}
	kept := map[string]string{"the keys of objects": strings.Join(bucketIn(t, s).keys(t), " ")}
	for _, e := range all {
		kept["the history"] += e.Input + e.Output + ask(t, s, "AWSStepFunctions.GetExecutionHistory", `{"executionArn":"`+e.ARN+`","includeExecutionData":true}`)
	}
	s.Close()
	mu.Lock()
	defer mu.Unlock()
	kept["the logs"] = logs.String()
	for place, text := range kept {
		for _, canary := range []string{"CANARY-BODY", "CANARY-ANSWER"} {
			if strings.Contains(text, canary) {
				t.Errorf("%s: %s", place, canary)
			}
		}
	}
	if strings.Contains(kept["the keys of objects"], "CANARY-KEY") || !strings.Contains(kept["the logs"], `"attempt"`) || !strings.Contains(kept["the history"], "Proxy-2") {
		t.Error("a key of an object holds that of the request, or there is no log, or no history")
	}
}
