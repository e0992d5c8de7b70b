package stack_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"pgregory.net/rapid"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// hookSecret signs the callbacks of the stacks in this process.
const hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// A vault holds that one secret.
type vault struct{}

func (vault) SecretString(context.Context, string) (*string, error) {
	secret := hookSecret
	return &secret, nil
}

// A notice is what a callback says.
type notice struct {
	id   string
	Type string
	Data struct {
		Status   string
		Links    map[string]string
		Response *struct{ StatusCode int }
	}
}

// take is the receiver of callbacks.
func (w *whole) take(rw http.ResponseWriter, r *http.Request, body []byte) {
	hook, err := standardwebhooks.NewWebhook(hookSecret)
	if err == nil {
		err = hook.VerifyIgnoringTimestamp(body, r.Header)
	}
	n := notice{id: r.Header.Get("Webhook-Id")}
	if err == nil {
		err = json.Unmarshal(body, &n)
	}
	if err != nil {
		w.broken = "a callback cannot be verified: " + err.Error()
	}
	w.told = append(w.told, n)
	if w.receiver != nil {
		w.receiver(len(w.told), rw)
	}
}

// notices are the callbacks that have come so far.
func (w *whole) notices() []notice {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]notice{}, w.told...)
}

// toCallback are the fields of a request that is told of.
func (w *whole) toCallback() []string {
	return []string{"prefer", "respond-async", "callback-url", "http://127.0.0.1/" + w.name + "/callback"}
}

func TestTheEndOfAnAsynchronousRequestIsToldOnce(t *testing.T) {
	w, end := newWhole(t, "", half)
	defer end()
	w.upstream = func(n int, rw http.ResponseWriter) {
		if n < 3 {
			rw.Header().Set("Retry-After", "600")
			rw.WriteHeader(http.StatusTooManyRequests)
		}
	}
	w.receiver = func(n int, rw http.ResponseWriter) {
		if n < 3 {
			rw.Header().Set("Retry-After", "300")
			rw.WriteHeader(http.StatusServiceUnavailable)
		}
	}
	location := w.ask("POST", "/pay", append(w.toCallback(), "idempotency-key", "k")...).Headers["location"]
	w.passes(2 * time.Hour)
	told := w.notices()
	if len(told) != 3 || told[0].id != told[2].id || told[2].Type != "execution.succeeded" || told[2].Data.Response.StatusCode != 200 || told[2].Data.Links["self"] != location {
		t.Fatalf("told was %+v of %s", told, location)
	}
	// A duplicate is handed the answer, and nobody is told of it.
	if again := w.ask("POST", "/pay", append(w.toCallback(), "idempotency-key", "k")...); again.Headers["idempotent-replayed"] != "true" || len(w.sent) != 3 {
		t.Errorf("the next request with the key is answered with %d %v, after %d", again.StatusCode, again.Headers, len(w.sent))
	}
	w.passes(2 * time.Hour)
	if n := len(w.notices()); n != 3 {
		t.Errorf("there were %d callbacks more", n-3)
	}
}

func TestACallbackThatNobodyTakesIsADeadLetterAndARedriveDeliversIt(t *testing.T) {
	w, end := newWhole(t, "", half)
	defer end()
	w.upstream = func(int, http.ResponseWriter) {}
	w.receiver = func(_ int, rw http.ResponseWriter) { rw.WriteHeader(http.StatusNotFound) }
	location := w.ask("POST", "/pay", w.toCallback()...).Headers["location"]
	w.passes(2 * time.Hour)
	letters := w.sentLetters()
	if len(letters) != 1 || letters[0].Summary.Reason != message.CallbackRefused || len(w.notices()) != 1 {
		t.Fatalf("after %d callbacks the letters are %+v", len(w.notices()), letters)
	}
	if response := w.ask("GET", location+"/response"); response.StatusCode != 200 {
		t.Errorf("the answer is %d %s", response.StatusCode, response.Body)
	}
	w.mu.Lock()
	w.receiver = nil
	w.mu.Unlock()
	for range 2 {
		if out, err := w.redrive(w.gateway, letters[0], false); err != nil {
			t.Fatalf("the redrive is answered with %+v, error %v", out, err)
		}
		w.passes(time.Hour)
	}
	if told := w.notices(); len(told) != 2 || told[0].id != told[1].id || len(w.sent) != 1 {
		t.Errorf("told was %+v, and the upstream asked %d times", told, len(w.sent))
	}
}

func TestAStoppedRequestIsNotTold(t *testing.T) {
	w, end := newWhole(t, "", half)
	defer end()
	w.upstream = func(_ int, rw http.ResponseWriter) {
		rw.Header().Set("Retry-After", "600")
		rw.WriteHeader(http.StatusServiceUnavailable)
	}
	leave := w.clock.Enter() // else hours may pass between the two requests
	location := w.ask("POST", "/pay", w.toCallback()...).Headers["location"]
	_ = w.clock.Wait(t.Context(), time.Minute)
	stopped := w.ask("DELETE", location)
	leave()
	if !strings.Contains(stopped.Body, `"stopped"`) {
		t.Fatalf("the stop is answered with %d %s", stopped.StatusCode, stopped.Body)
	}
	w.passes(3 * time.Hour)
	if len(w.notices()) != 0 || len(w.sentLetters()) != 0 {
		t.Errorf("told was %+v, and the letters are %+v", w.notices(), w.sentLetters())
	}
}

// TestWhateverHappensTheEndOfARequestIsToldOrALetterSaysOtherwise lets the upstream and the receiver answer, limit and fail,
// proxies crash and be throttled, and the table and the queue fail before or after they have done what they were asked, in any
// order.
func TestWhateverHappensTheEndOfARequestIsToldOrALetterSaysOtherwise(t *testing.T) {
	var accepted, told, repeated, undelivered, stopped int
	rapid.Check(t, func(t *rapid.T) {
		c := drawCourse(t)
		c.kept = true
		var w *whole
		var end func()
		locked := func(f func()) {
			w.mu.Lock()
			defer w.mu.Unlock()
			f()
		}
		w, end = newWhole(t, `{"networkFailures":{"attempts":4}}`, func() (drawn float64) {
			locked(func() { drawn = c.random() })
			return drawn
		})
		defer end()
		c.of(w)
		failing := func(label string, most int) func() (bool, bool) {
			fates := rapid.SliceOfN(rapid.IntRange(0, 39), 0, most).Draw(t, label)
			return func() (bool, bool) {
				if len(fates) == 0 {
					return true, true
				}
				next := fates[0]
				fates = fates[1:]
				return next != 17, next != 23
			}
		}
		w.table, w.queue = failing("table", 80), failing("queue", 6)
		answers := rapid.SliceOfN(rapid.SampledFrom([]int{200, 204, 429, 500, 503, 301, 404, 410, 0}), 0, 8).Draw(t, "receiver")
		taken := 0
		w.receiver = func(n int, rw http.ResponseWriter) {
			status := 200
			if n <= len(answers) {
				status = answers[n-1]
			}
			switch {
			case status == 0:
				panic(http.ErrAbortHandler)
			case status < 300:
				taken++
			}
			rw.WriteHeader(status)
		}
		answer := w.ask("PUT", "/", w.toCallback()...)
		if answer.StatusCode != 202 {
			w.passes(8 * time.Hour)
			if len(w.notices()) > 0 {
				t.Fatalf("the request is answered with %d, and somebody is told of it", answer.StatusCode)
			}
			return
		}
		accepted++
		location := answer.Headers["location"]
		if rapid.IntRange(0, 9).Draw(t, "stop") == 7 {
			w.ask("DELETE", location)
		}
		w.passes(9 * time.Hour)
		locked(func() { w.table, w.queue = nil, nil })
		var status struct{ Status string }
		if looked := w.ask("GET", location); json.Unmarshal([]byte(looked.Body), &status) != nil || looked.StatusCode != 200 {
			t.Fatalf("the status is %d %s", looked.StatusCode, looked.Body)
		}
		notices, letters := w.notices(), w.sentLetters()
		for _, n := range notices {
			if n.id != notices[0].id || n.Data.Status != status.Status || n.Type != "execution."+status.Status || n.Data.Links["self"] != location {
				t.Fatalf("told was %+v of %s, which has %s", n, location, status.Status)
			}
		}
		ofCallback := 0
		for _, letter := range letters {
			if !strings.HasSuffix(letter.Item, letter.Execution) {
				t.Fatalf("the letter is %+v", letter)
			}
			if letter.Execution != execution.Name(strings.TrimPrefix(location, "/-/executions/")) {
				ofCallback++
			}
		}
		switch {
		case status.Status == "stopped":
			stopped++
			if len(notices) > 0 {
				t.Fatalf("it was stopped, and told was %+v", notices)
			}
		case taken == 0 && ofCallback == 0:
			t.Fatalf("it has %s, nobody has taken the callback, and there is no letter: %d tries, letters %+v", status.Status, len(notices), letters)
		case taken > 0:
			told++
			if taken > 1 {
				repeated++ // of a proxy that was lost with the receiver's answer, under the same id
			}
		default:
			undelivered++
		}
	})
	t.Logf("%d requests were accepted: of %d somebody was told, of %d more than once under one id, of %d a letter says that they were not, %d were stopped; of 0 neither",
		accepted, told, repeated, undelivered, stopped)
}
