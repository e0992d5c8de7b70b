package handler

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/largebody"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// objects are what is kept of large bodies, in memory. before and after are asked about each operation: their error is that of the
// operation, after which it has had no effect, or all of it.
type objects struct {
	largebody.MemoryStore
	before func(operation string) error
	after  func(operation string) error
	asked  int
}

func (o *objects) do(operation string, effect func() error) error {
	o.asked++
	if o.before != nil {
		if err := o.before(operation); err != nil {
			return err
		}
	}
	if err := effect(); err != nil {
		return err
	}
	if o.after != nil {
		return o.after(operation)
	}
	return nil
}

func (o *objects) Put(ctx context.Context, kind largebody.Kind, name string, body []byte) error {
	return o.do("put", func() error { return o.MemoryStore.Put(ctx, kind, name, body) })
}

func (o *objects) Get(ctx context.Context, kind largebody.Kind, name string) (body []byte, err error) {
	return body, o.do("get", func() error { body, err = o.MemoryStore.Get(ctx, kind, name); return err })
}

// requested puts the body of a request into the bucket, and returns the name of the object.
func (o *objects) requested(t testing.TB, body []byte) string {
	t.Helper()
	name := largebody.Name()
	if err := o.MemoryStore.Put(t.Context(), largebody.Requests, name, body); err != nil {
		t.Fatal(err)
	}
	return name
}

// withBucket makes a bench that keeps large bodies in memory.
func withBucket(t testing.TB, url string) (*bench, *objects) {
	t.Helper()
	b, o := newBench(t, url), new(objects)
	b.bodies = o
	return b, o
}

// only is the one object that there is.
func (o *objects) only(t testing.TB) (name string, body []byte) {
	t.Helper()
	all := o.Objects()
	if len(all) != 1 {
		t.Fatalf("there are the objects %q, want one", slices.Collect(maps.Keys(all)))
	}
	for name, body = range all {
	}
	return name, body
}

// randomBytes are so many bytes that are no text, the same ones in every run.
func randomBytes(n int) []byte {
	body := make([]byte, n)
	rand.NewChaCha8([32]byte{7}).Read(body)
	return body
}

// errBroken is the fault of a bucket.
var errBroken = errors.New("SlowDown")

func TestTheBodyOfARequestIsReadFromTheBucketForEachAttemptAndDoesNotTravelOn(t *testing.T) {
	t.Parallel()
	sent := randomBytes(4 << 20)
	var got [][]byte
	b, o := withBucket(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, body)
		w.WriteHeader(503)
	}))
	name := o.requested(t, sent)
	out := b.invoke(t, b.call(message.Request{Method: "PUT", BodyObject: name}))
	if out.Outcome != retry.Again || out.Call.Request.BodyObject != name || out.Call.Request.Body != "" || out.Version != 2 {
		t.Errorf("the next proxy is handed version %d of %s with the object %q and %d bytes", out.Version, out.Outcome, out.Call.Request.BodyObject, len(out.Call.Request.Body))
	}
	if len(got) != 1 || !bytes.Equal(got[0], sent) {
		t.Errorf("the upstream got %d requests, want one with the %d bytes", len(got), len(sent))
	}
}

func TestARequestThatIsRepeatedWithANewCredentialHasItsBodyAgain(t *testing.T) {
	t.Parallel()
	sent := randomBytes(1 << 20)
	var v *vault
	var got [][]byte
	b, o := withBucket(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, body)
		if r.Header.Get("Authorization") != "Bearer new" {
			v.put("orders/token", "new") // it is rotated
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	v = b.with(bearer, map[string]string{"orders/token": "old"})
	out := b.invoke(t, b.call(message.Request{Method: "POST", BodyObject: o.requested(t, sent)}))
	if out.StatusCode != 200 || len(got) != 2 || !bytes.Equal(got[0], sent) || !bytes.Equal(got[1], sent) || o.asked != 1 {
		t.Errorf("it ended with %d after %d requests and %d reads of the bucket", out.StatusCode, len(got), o.asked)
	}
}

// The next proxy tries it again, and knows that nothing was sent: also what is not safe to repeat goes on.
func TestABodyThatCannotBeReadIsProofThatNothingWasSent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bodies Bodies
		want   error
	}{
		"fault":     {&objects{before: func(string) error { return errBroken }}, errBroken},
		"gone":      {&objects{}, largebody.ErrNotFound},
		"no bucket": {nil, errNoBodies},
	} {
		b := newBench(t, serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the upstream was called") }))
		b.bodies = c.bodies
		in := b.call(message.Request{Method: "POST", BodyObject: largebody.Name()})
		_, err := b.Handle(t.Context(), in)
		unread, ok := err.(*message.RequestBodyError) // unwrapped: Lambda tells of it by the name of its type
		if !ok || !errors.Is(unread, c.want) {
			t.Errorf("%s: the error is %v, want one that says that %v", name, err, c.want)
		}
		in.Losses = &message.Losses{Count: 1, Allowed: 2, Proxy: "proxy-1", Error: "RequestBodyError", Before: &message.Losses{Allowed: 2}}
		history, decision := in.JudgeLosses(b.policy, in.Call.ForPolicy(3), morning, func() float64 { return 0 })
		if decision.Outcome != retry.Again || len(history) != 1 || history[0].MaybeProcessed {
			t.Errorf("%s: a POST without a key ends with %s after %+v", name, decision.Outcome, history)
		}
	}
}

func TestWhatIsReadTakesOfTheTimeThatTheCallerHas(t *testing.T) {
	t.Parallel()
	b, o := withBucket(t, "http://127.0.0.1:1")
	name := o.requested(t, []byte("tea"))
	o.before = func(string) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.time = b.time.Add(time.Minute)
		return nil
	}
	if out := b.invoke(t, b.call(message.Request{Method: "PUT", BodyObject: name})); out.Outcome != retry.Failed || out.Error != retry.DeadlineExceeded || len(out.Attempts) != 0 {
		t.Errorf("it ended with %s, %s after %d attempts", out.Outcome, out.Error, len(out.Attempts))
	}
}

func TestTheBodyOfAnAnswerGoesToTheBucketIfNoStateHoldsIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status   int
		body     []byte
		recorded bool
		kept     bool
	}{
		"small":                  {200, bytes.Repeat([]byte("a"), 200<<10), false, false},
		"a success":              {200, randomBytes(4 << 20), false, true},
		"a recorded success":     {201, randomBytes(4 << 20), true, true},
		"quotes, not recorded":   {200, bytes.Repeat([]byte(`"`), 100<<10), false, false},
		"quotes, for the record": {200, bytes.Repeat([]byte(`"`), 100<<10), true, true},
		"a final error":          {404, bytes.Repeat([]byte("a"), 300<<10), true, true},
		"the last error":         {500, bytes.Repeat([]byte("a"), 300<<10), true, true},
	} {
		b, o := withBucket(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Own", "1")
			w.WriteHeader(c.status)
			_, _ = w.Write(c.body)
		}))
		in := b.call(message.Request{Method: "GET"})
		in.Call.Recorded, in.Call.MaxAttempts = c.recorded, 1
		out := b.invoke(t, in)
		if out.StatusCode != c.status || out.Headers["x-own"] != "1" || out.Error != "" && out.Error != retry.AttemptsExhausted {
			t.Errorf("%s: it ended with %d %v, %s", name, out.StatusCode, out.Headers, out.Error)
		}
		if !c.kept {
			if got, _ := out.BodyBytes(); out.BodyObject != "" || out.Version != 1 || !bytes.Equal(got, c.body) || len(o.Objects()) != 0 {
				t.Errorf("%s: version %d has the object %q, and there are %d", name, out.Version, out.BodyObject, len(o.Objects()))
			}
			continue
		}
		if key, body := o.only(t); key != "answers/"+out.BodyObject || !bytes.Equal(body, c.body) || out.Body != "" || out.Version != 2 {
			t.Errorf("%s: version %d names %q, and %s has %d bytes", name, out.Version, out.BodyObject, key, len(body))
		}
		if last := out.Attempts[len(out.Attempts)-1]; last.Status != c.status || last.Error != "" {
			t.Errorf("%s: the attempt is %+v", name, last)
		}
		if settled := c.status < 500; c.recorded && (out.Expiration != 0 && !out.Release) != settled {
			t.Errorf("%s: it expires at %d, and is released: %v", name, out.Expiration, out.Release)
		}
	}
}

// The URL carries 6,291,456 bytes of JSON, of which 65,536 are the gateway's. An answer with one field, X: 1, takes 72 beside the
// characters of its body.
func TestAnswersAreCarriedUpToWhatTheURLCarriesAndNotAByteMore(t *testing.T) {
	t.Parallel()
	const room = 6_291_456 - 65_536 - 72
	quotes := func(n int) []byte { // quotes, of which each takes two bytes, and letters
		return append(bytes.Repeat([]byte(`"`), n/6), bytes.Repeat([]byte("a"), n-n/6)...)
	}
	for name, c := range map[string]struct {
		largest, more []byte
	}{
		"text":       {bytes.Repeat([]byte("a"), room), bytes.Repeat([]byte("a"), room+1)},
		"bytes":      {randomBytes((room + 1) / 4 * 3), randomBytes((room+1)/4*3 + 1)}, // false takes a byte more than true
		"all quotes": {bytes.Repeat([]byte(`"`), (room+1)/4*3), bytes.Repeat([]byte(`"`), (room+1)/4*3+1)},
		"few quotes": {quotes(room / 7 * 6), quotes(room/7*6 + 8)},
		"separators": {bytes.Repeat([]byte("\u2028"), (room+1)/4), bytes.Repeat([]byte("\u2028"), (room+1)/4+1)},
	} {
		for size, body := range map[string][]byte{"the largest": c.largest, "one more": c.more} {
			b, o := withBucket(t, "http://127.0.0.1:1")
			response := message.Response{StatusCode: 200, Headers: map[string]string{"x": "1"}}
			response.SetBody(body)
			in := b.call(message.Request{Method: "GET"})
			in.Call.Recorded = true
			out, err := b.finish(t.Context(), nil, in.Call, upstreamAnswer{Response: response}, retry.Decision{Outcome: retry.Succeeded}, retry.Result{Status: 200, Received: morning}, make([]retry.Attempt, 1))
			if err != nil || out.StatusCode != 200 || out.Outcome != retry.Succeeded || out.Expiration == 0 || out.Release {
				t.Fatalf("%s of %s ended with %+v, error %v", size, name, out, err)
			}
			if carried := size == "the largest"; carried != (out.BodyObject != "") || carried == out.Bodiless || carried != (len(o.Objects()) == 1) {
				t.Errorf("%s of %s: the object is %q, without a body: %v, %d were written", size, name, out.BodyObject, out.Bodiless, len(o.Objects()))
			}
		}
	}
}

func TestAnEndlessAnswerKeepsItsStatusAndItsFields(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 404, 500} {
		b, o := withBucket(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Own", "1")
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(status)
			for range 7 {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		}))
		in := b.call(message.Request{Method: "GET"})
		in.Call.MaxAttempts = 1
		out := b.invoke(t, in)
		if out.StatusCode != status || !out.Bodiless || out.Version != 2 || out.Headers["x-own"] != "1" || out.Headers["content-encoding"] != "" || len(o.Objects()) != 0 {
			t.Errorf("%d ended with version %d of %d %v, without a body: %v", status, out.Version, out.StatusCode, out.Headers, out.Bodiless)
		}
		if last := out.Attempts[0]; last.Status != status || last.Error != retry.HTTPResponseBodySize || last.Details != "the answer is larger than the function URL can carry" {
			t.Errorf("the attempt is %+v", last)
		}
	}
}

func TestTheBucketIsTriedAgainUntilTheBodyIsThere(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]func(o *objects, failing func(string) error){
		"before": func(o *objects, failing func(string) error) { o.before = failing },
		"after":  func(o *objects, failing func(string) error) { o.after = failing },
	} {
		b, o := withBucket(t, serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) }))
		var pauses []time.Duration
		b.slept = func(d time.Duration) {
			if d > 0 {
				pauses = append(pauses, d)
			}
		}
		c(o, func(string) error {
			if o.asked < 4 {
				return errBroken
			}
			return nil
		})
		out := b.invoke(t, b.call(message.Request{Method: "POST"}))
		if key, _ := o.only(t); key != "answers/"+out.BodyObject || out.StatusCode != 200 {
			t.Errorf("%s: it ended with %d and the object %q", name, out.StatusCode, out.BodyObject)
		}
		if want := []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond}; !slices.Equal(pauses, want) {
			t.Errorf("%s: the pauses are %v, want %v", name, pauses, want)
		}
	}
}

func TestAnAnswerThatCannotBeKeptIsAnErrorWithoutItsBodyOrNoAnswerAndSettlesTheOperation(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 404, 500} {
		b, o := withBucket(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write(make([]byte, 1<<20))
		}))
		o.before = func(string) error { return errBroken }
		in := b.call(message.Request{Method: "POST"})
		in.Call.Recorded, in.Call.MaxAttempts = true, 1
		out := b.invoke(t, in)
		last := out.Attempts[len(out.Attempts)-1]
		if last.Status != status || last.Error != retry.ProxyInternalError || last.Details != "the answer could not be written to the bucket" || message.Lost(last) {
			t.Errorf("the attempt is %+v", last)
		}
		if o.asked != 6 || out.BodyObject != "" || out.Bodiless {
			t.Errorf("the bucket was asked %d times, and the object is %q", o.asked, out.BodyObject)
		}
		switch {
		case status == 200 && (out.StatusCode != 0 || out.Error != message.AnswerNotKept || out.Outcome != retry.Succeeded || out.Expiration == 0 || out.Release):
			t.Errorf("a success ended with %d, %s, %s, and expires at %d", out.StatusCode, out.Error, out.Outcome, out.Expiration)
		case status == 404 && (out.StatusCode != 404 || out.Body != "" || out.Outcome != retry.Succeeded || out.Expiration == 0 || out.Release):
			t.Errorf("a final error ended with %d, %s, %s", out.StatusCode, out.Error, out.Outcome)
		case status == 500 && (out.StatusCode != 500 || out.Body != "" || out.Outcome != retry.Failed):
			t.Errorf("the last error ended with %d, %s, %s", out.StatusCode, out.Error, out.Outcome)
		}
	}
}

// The gateway waits for two seconds longer than its caller.
func TestForABodyThereIsASecondAfterTheDeadline(t *testing.T) {
	t.Parallel()
	var b *bench
	b, o := withBucket(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		b.time = b.time.Add(time.Minute) // up to the deadline
		b.mu.Unlock()
		_, _ = w.Write(make([]byte, 1<<20))
	}))
	o.before = func(string) error { return errBroken }
	b.invoke(t, b.call(message.Request{Method: "POST"}))
	if late := b.Now().Sub(morning.Add(time.Minute)); o.asked != 4 || late != 700*time.Millisecond {
		t.Errorf("it was tried %d times, until %v after the deadline; want 4 times, until 700ms after it", o.asked, late)
	}
}

func TestAnAsynchronousRequestWithALargeBodyBothWays(t *testing.T) {
	t.Parallel()
	sent, back := randomBytes(2<<20), randomBytes(3<<20)
	var got []byte
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got, _ = io.ReadAll(r.Body)
		_, _ = w.Write(back)
	})
	o := new(objects)
	b, k, in := keeping(t, url, message.Request{Method: http.MethodPost, Path: "/orders", BodyObject: o.requested(t, sent)})
	b.bodies = o
	o.before = func(string) error { return errBroken }
	if _, err := b.Handle(t.Context(), in); err == nil || k.now().Begun != nil {
		t.Errorf("without the body the error is %v, and an attempt was begun: %v", err, k.now().Begun)
	}
	o.before = nil
	out := b.invoke(t, in)
	if out.Stored == "" || out.BodyObject != "" || k.now().State != execution.Succeeded || !bytes.Equal(got, sent) {
		t.Errorf("it ended with %q, %s; the upstream got %d bytes", out.Stored, k.now().State, len(got))
	}
	answer, err := k.Answer(t.Context(), out.Stored)
	if err != nil {
		t.Fatal(err)
	}
	if body := o.Objects()["answers/"+answer.BodyObject]; !bytes.Equal(body, back) || answer.Body != "" {
		t.Errorf("the answer names %q, which has %d bytes", answer.BodyObject, len(body))
	}
}

func TestAnEnvironmentWithABucketNeedsTheSDKAndAPrefix(t *testing.T) {
	t.Parallel()
	environment := map[string]string{
		"PROXY_NAME": "proxy-1", "PROXY_COUNT": "3", "UPSTREAM_BASE_URL": "https://api.example.com", "LARGE_BODIES_BUCKET": "bodies",
	}
	_, err := New(func(name string) string { return environment[name] }, Dependencies{})
	if err == nil || !strings.Contains(err.Error(), "RECORD_PREFIX is empty; with LARGE_BODIES_BUCKET it must be") {
		t.Errorf("without a prefix the error is %v", err)
	}
	environment["RECORD_PREFIX"] = "orders"
	if _, err = New(func(name string) string { return environment[name] }, Dependencies{}); err == nil || !strings.Contains(err.Error(), "functions/proxy/withsdk") {
		t.Errorf("without the SDK the error is %v", err)
	}
	var asked string
	d := Dependencies{Bodies: func(bucket, prefix string) Bodies { asked = bucket + " " + prefix; return &objects{} }}
	if _, err = New(func(name string) string { return environment[name] }, d); err != nil || asked != "bodies orders" {
		t.Errorf("the error is %v, and the bucket and prefix are %q", err, asked)
	}
}
