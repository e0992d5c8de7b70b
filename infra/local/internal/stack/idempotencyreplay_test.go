package stack_test

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestWhatIsReplayedIsWhatCameByteForByte(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		status int
		media  string
		body   string
	}{
		{"bytes of every value", 200, "application/octet-stream", binary(100 * KiB)},
		{"as many bytes as a record holds", 200, "application/octet-stream", binary(180 * KiB)},
		{"text with what JSON and the state machine escape", 201, "text/plain; charset=utf-8", "\"\\\\ {} '{}' $.x \u2028 <&> Zoë 東京 😀\r\n\t"},
		{"JSON that looks like a reference", 200, "application/json", `{"a.$":"$.b","n":1e400,"big":12345678901234567890}`},
		{"bytes that are no text", 200, "text/plain", "\xff\x00\xfe"},
		{"an error", 422, "application/problem+json", `{"title":"sold out"}`},
		{"a redirect", 303, "", ""},
		{"nothing", 204, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fields := []string{"Set-Cookie", "a=1; Path=/; Expires=Wed, 21 Oct 2099 07:28:00 GMT", "Set-Cookie", `b="2, 3"`, "Location", "/orders/7",
				"X-List", "one", "X-List", "two", "Link", `</a>; rel="next"`}
			if c.media != "" {
				fields = append(fields, "Content-Type", c.media)
			}
			u := play(t, respond(c.status, c.body, fields...))
			s := start(t, u.URL)
			first, again := order(t, s, "{}"), order(t, s, "{}")
			if first.replayed() || !again.replayed() {
				t.Errorf("replayed is %v of the first answer and %v of the second", first.replayed(), again.replayed())
			}
			for i, a := range []answer{first, again} {
				if a.Status != c.status || a.Body != c.body {
					t.Errorf("answer %d is %d with %d bytes, want %d with %d", i+1, a.Status, len(a.Body), c.status, len(c.body))
				}
				if cookies := a.Header["Set-Cookie"]; !slices.Equal(cookies, []string{fields[1], fields[3]}) {
					t.Errorf("answer %d has the cookies %q", i+1, cookies)
				}
				if list := strings.Join(a.Header["X-List"], ", "); list != "one, two" {
					t.Errorf("answer %d has X-List: %s", i+1, list)
				}
			}
			// What differs is said of the transfer, not of the answer.
			for _, name := range []string{"Date", "X-Amzn-Requestid", "X-Amzn-Trace-Id", "Idempotent-Replayed", "Cache-Control"} {
				first.Header.Del(name)
				again.Header.Del(name)
			}
			for name, values := range first.Header {
				if !slices.Equal(values, again.Header[name]) {
					t.Errorf("%s is %q, and in the replay %q", name, values, again.Header[name])
				}
			}
			if len(first.Header) != len(again.Header) {
				t.Errorf("the header is %v, and in the replay %v", first.Header, again.Header)
			}
		})
	}
}

// maxAge reads max-age of Cache-Control.
func (a answer) maxAge(t testing.TB) int64 {
	t.Helper()
	text, found := strings.CutPrefix(a.Header.Get("Cache-Control"), "private, max-age=")
	age, err := strconv.ParseInt(text, 10, 64)
	if !found || err != nil {
		t.Fatalf("Cache-Control is %q, want private and max-age", a.Header.Get("Cache-Control"))
	}
	return age
}

func TestMaxAgeIsWhatTheRecordStillLives(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusCreated))
	s := start(t, u.URL)
	within := func(a answer, most int64) {
		t.Helper()
		if age := a.maxAge(t); age > most || age < most-30 {
			t.Errorf("max-age is %d, want %d or a little less", age, most)
		}
		if vary := a.Header.Get("Vary"); vary != "Idempotency-Key" {
			t.Errorf("Vary is %q", vary)
		}
	}
	within(order(t, s, "{}"), 24*60*60)
	d := tableOf(t, s)
	for _, left := range []int64{12 * 60 * 60, 90} {
		d.set("expiration", number(time.Now().Unix()+left))
		within(order(t, s, "{}"), left)
	}
}

func TestWhatTheUpstreamSaysOfCachesStays(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusOK, "ETag", `W/"v1"`, "Cache-Control", "no-store", "Vary", "Accept"))
	s := start(t, u.URL)
	for range 2 {
		a := order(t, s, "{}")
		if a.Header.Get("ETag") != `W/"v1"` || a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Vary") != "Accept" {
			t.Errorf("the answer has the header %v", a.Header)
		}
	}
	if a := order(t, s, "{}", "If-None-Match", `"v1"`); a.Status != http.StatusNotModified {
		t.Errorf("with If-None-Match the answer is %d", a.Status)
	}
}

func TestIfNoneMatchIsComparedWithWhatIsReplayed(t *testing.T) {
	t.Parallel()
	made := respond(http.StatusOK, "made", "Content-Type", "text/plain", "X-Order", "7")
	u := play(t, made, made)
	s := start(t, u.URL)
	tag := get(t, s, "/orders/7", "Idempotency-Key", "order-1").Header.Get("ETag")
	order(t, s, "{}")
	for _, c := range []struct {
		method, condition string
		status            int
	}{
		{"GET", tag, http.StatusNotModified},
		{"GET", "W/" + tag, http.StatusNotModified},
		{"GET", `"other", W/"another",` + tag, http.StatusNotModified},
		{"GET", "*", http.StatusNotModified},
		{"GET", `"other"`, http.StatusOK},
		{"GET", strings.Trim(tag, `"`), http.StatusOK},
		{"POST", tag, http.StatusNotModified},
		{"POST", "*", http.StatusOK}, // which asks that nothing be there, RFC 9110 section 13.1.2
	} {
		var a answer
		if c.method == "GET" {
			a = get(t, s, "/orders/7", "Idempotency-Key", "order-1", "If-None-Match", c.condition)
		} else {
			a = order(t, s, "{}", "If-None-Match", c.condition)
		}
		body := map[int]string{http.StatusOK: "made"}[c.status]
		if a.Status != c.status || a.Body != body || !a.replayed() {
			t.Errorf("%s with If-None-Match: %s is answered with %d %q %v, want a replay with %d", c.method, c.condition, a.Status, a.Body, a.Header, c.status)
		}
		// RFC 9110 section 15.4.5.
		if a.Header.Get("ETag") != tag || a.Header.Get("Vary") == "" || a.maxAge(t) == 0 {
			t.Errorf("the %d has the header %v, want ETag, Cache-Control and Vary as in a 200", a.Status, a.Header)
		}
	}
}

func TestAnErrorThatIsReplayedIsNeverNotModified(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusNotFound))
	s := start(t, u.URL)
	tag := get(t, s, "/orders/8", "Idempotency-Key", "k").Header.Get("ETag")
	for _, condition := range []string{tag, "*"} {
		if a := get(t, s, "/orders/8", "Idempotency-Key", "k", "If-None-Match", condition); a.Status != http.StatusNotFound || a.Body != "Not Found" || !a.replayed() {
			t.Errorf("with If-None-Match: %s the answer is %d %q %v", condition, a.Status, a.Body, a.Header)
		}
	}
}

func TestServerCacheHitIsInTheBodyOfReplaysThatAreJSONObjects(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ media, body, replayed string }{
		{"application/json", `{"id": 7}`, `{"id": 7,"serverCacheHit":true}`},
		{"application/vnd.api+json; charset=utf-8", `{}`, `{"serverCacheHit":true}`},
		{"application/json", `[1]`, `[1]`},
		{"text/plain", `{"id": 7}`, `{"id": 7}`},
	} {
		t.Run(c.media+" "+c.body, func(t *testing.T) {
			t.Parallel()
			u := play(t, respond(http.StatusCreated, c.body, "Content-Type", c.media))
			s := start(t, u.URL, environment("gateway", "IDEMPOTENCY_SERVER_CACHE_HIT", "true"))
			first, again := order(t, s, "{}"), order(t, s, "{}")
			if first.Body != c.body || again.Body != c.replayed || !again.replayed() {
				t.Errorf("the answers are %s and %s, want %s and %s", first.Body, again.Body, c.body, c.replayed)
			}
			tag := first.Header.Get("ETag")
			want := tag
			if c.replayed != c.body {
				want = "W/" + tag // another body, of which only the meaning is the same
			}
			if got := again.Header.Get("ETag"); tag == "" || got != want {
				t.Errorf("the entity tags are %s and %s, want %s for the replay", tag, got, want)
			}
			if a := order(t, s, "{}", "If-None-Match", tag); a.Status != http.StatusNotModified {
				t.Errorf("with If-None-Match the answer is %d %s", a.Status, a.Body)
			}
		})
	}
}

// proxies adds a variable to all proxies.
func proxies(name, value string) setting {
	return func(t testing.TB, c *config) {
		for _, function := range []string{"proxy-1", "proxy-2", "proxy-3"} {
			environment(function, name, value)(t, c)
		}
	}
}

func TestWhenTheRecordsTimeIsOverTheUpstreamIsAskedAgain(t *testing.T) {
	t.Parallel()
	u := play(t, status(http.StatusCreated), status(http.StatusAccepted))
	s := start(t, u.URL, proxies("IDEMPOTENCY_TTL", "1s"))
	first := order(t, s, "{}")
	if age := first.maxAge(t); first.Status != http.StatusCreated || age > 1 {
		t.Fatalf("the first answer is %d with max-age %d, want 201 and at most a second", first.Status, age)
	}
	expires := tableOf(t, s).record().Expiration
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		began := time.Now()
		a := order(t, s, "{}")
		if a.Status == http.StatusAccepted && !a.replayed() {
			// Expirations are whole seconds; through the second in which it expires a record is replayed.
			if ended := time.Now(); ended.Before(expires.Add(time.Second)) {
				t.Errorf("the upstream was asked again at %v, and the record expires with the second of %v", ended, expires)
			}
			return
		}
		if a.Status != http.StatusCreated || !a.replayed() {
			t.Fatalf("the answer is %d %s %v, want the recorded one, or then a new one", a.Status, a.Body, a.Header)
		}
		if began.After(deadline) {
			t.Fatalf("the record of 1 s is still replayed, with %v", a.Header)
		}
	}
}
