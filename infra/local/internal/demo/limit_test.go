package demo_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/demo"
)

// callWith makes a request from an address, with a header field.
func callWith(u *demo.Upstream, address, field, value string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodGet, "/status/202", nil)
	request.RemoteAddr = address
	request.Header.Set(field, value)
	recorder := httptest.NewRecorder()
	u.ServeHTTP(recorder, request)
	return recorder
}

func TestALimitByKeyCountsCredentialsWhereverTheyComeFrom(t *testing.T) {
	u := upstream(t, demo.Settings{Requests: 1, IntervalSeconds: 3600, By: demo.ByKey}, 1)
	for _, c := range []struct {
		address, field, value string
		want                  int
	}{
		{"127.0.0.2:1", "Authorization", "Bearer c4nary-a", 202},
		{"127.0.0.3:1", "Authorization", "Bearer c4nary-a", 429}, // from elsewhere
		{"127.0.0.2:1", "Authorization", "Bearer c4nary-b", 202}, // another one
		{"127.0.0.2:1", "X-Api-Key", "c4nary-a", 202},
		{"127.0.0.4:1", "X-Api-Key", "c4nary-a", 429},
		{"127.0.0.2:1", "X-Anything", "1", 202}, // no credential
		{"127.0.0.9:1", "X-Anything", "2", 429}, // nor here
	} {
		r := callWith(u, c.address, c.field, c.value)
		if r.Code != c.want || !strings.HasPrefix(r.Header().Get("RateLimit"), `"key";`) || r.Header().Get("RateLimit-Policy") != `"key";q=1;w=3600` {
			t.Errorf("%s: %s from %s is answered with %d %v, want %d and a limit by key", c.field, c.value, c.address, r.Code, r.Header(), c.want)
		}
		if strings.Contains(fmt.Sprint(r.Header(), r.Body), "c4nary") {
			t.Errorf("the answer repeats the credential: %v %s", r.Header(), r.Body)
		}
	}
}

func TestTheProxiesReadWhatALimitIsBy(t *testing.T) {
	for by, want := range map[demo.Partition]retry.Scope{demo.ByAddress: retry.PerAddress, demo.ByKey: retry.PerAccount} {
		u := upstream(t, demo.Settings{Requests: 1, IntervalSeconds: 3600, By: by}, 1)
		call(u, "127.0.0.2:1")
		r := call(u, "127.0.0.2:1")
		if got := retry.ReadSignals(r.Header(), time.Now(), true); r.Code != 429 || got.Scope != want {
			t.Errorf("by %s, the answer %d %v is read as a limit %q, want %q", by, r.Code, r.Header(), got.Scope, want)
		}
	}
}

// The credential that Demand takes out of a request counts all the same.
func TestALimitByKeyIsByTheCredentialThatIsDemanded(t *testing.T) {
	u := upstream(t, demo.Settings{Requests: 1, IntervalSeconds: 3600, By: demo.ByKey}, 1)
	u.Demand(func(r *http.Request) bool {
		r.Header.Del("Authorization")
		return true
	})
	for i, want := range []int{202, 429} {
		if r := callWith(u, "127.0.0.2:1", "Authorization", "Bearer a"); r.Code != want {
			t.Errorf("request %d is answered with %d, want %d", i+1, r.Code, want)
		}
	}
	if r := callWith(u, "127.0.0.2:1", "Authorization", "Bearer b"); r.Code != 202 {
		t.Errorf("another credential is answered with %d, want httpbin's 202", r.Code)
	}
}

func TestABucketIsFilledAgainAtItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := upstream(t, demo.Settings{Requests: 4, IntervalSeconds: 2, Burst: 3}, 1) // two a second
		passed := func() (n int) {
			for call(u, "127.0.0.2:1").Code == 202 {
				n++
			}
			return n
		}
		if n := passed(); n != 3 {
			t.Errorf("of a full bucket %d requests pass, want the burst of 3", n)
		}
		r := call(u, "127.0.0.2:1")
		if r.Header().Get("Retry-After") != "1" || r.Header().Get("RateLimit") != `"address";r=0;t=1` || r.Header().Get("RateLimit-Policy") != `"address";q=4;w=2` {
			t.Errorf("half a second before there is a token, the answer is %v", r.Header())
		}
		time.Sleep(499 * time.Millisecond)
		if n := passed(); n != 0 {
			t.Errorf("after 0.499 s %d requests pass, want none", n)
		}
		time.Sleep(time.Millisecond)
		if n := passed(); n != 1 {
			t.Errorf("after half a second %d requests pass, want 1", n)
		}
		time.Sleep(time.Second)
		if n := passed(); n != 2 {
			t.Errorf("after a second more %d requests pass, want 2", n)
		}
		time.Sleep(time.Hour)
		if n := passed(); n != 3 {
			t.Errorf("after an hour %d requests pass, want the burst of 3", n)
		}
		if r := call(u, "127.0.0.3:1"); r.Code != 202 || r.Header().Get("RateLimit") != `"address";r=2;t=1` {
			t.Errorf("another address is answered with %d %v, want a bucket of its own", r.Code, r.Header())
		}
	})
}

func TestABucketIsFilledSoMuchFasterAsTimeRunsFaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := upstream(t, demo.Settings{Requests: 1, IntervalSeconds: 3600, Burst: 1}, 100)
		call(u, "127.0.0.2:1")
		if r := call(u, "127.0.0.2:1"); r.Code != 429 || r.Header().Get("Retry-After") != "3600" {
			t.Errorf("the answer is %d %v, want 429 and an hour", r.Code, r.Header())
		}
		time.Sleep(36*time.Second - time.Millisecond)
		if r := call(u, "127.0.0.2:1"); r.Code != 429 {
			t.Errorf("a moment before 36 s the answer is %d, want 429", r.Code)
		}
		time.Sleep(time.Millisecond)
		if r := call(u, "127.0.0.2:1"); r.Code != 202 {
			t.Errorf("after 36 s the answer is %d, want httpbin's 202", r.Code)
		}
	})
}

func TestWithoutRateLimitFieldsOnlyRetryAfterSaysWhenToComeAgain(t *testing.T) {
	for _, burst := range []int{0, 1} {
		u := upstream(t, demo.Settings{Requests: 1, IntervalSeconds: 3600, Burst: burst, OmitRateLimit: true}, 1)
		first, second := call(u, "127.0.0.2:1"), call(u, "127.0.0.2:1")
		if second.Code != 429 || second.Header().Get("Retry-After") != "3600" || first.Header().Get("Retry-After") != "" {
			t.Errorf("the answers are %v and %d %v, want Retry-After with the 429 only", first.Header(), second.Code, second.Header())
		}
		for _, r := range []*httptest.ResponseRecorder{first, second} {
			for name := range r.Header() {
				if strings.HasPrefix(strings.ToLower(name), "ratelimit") {
					t.Errorf("%s is there", name)
				}
			}
		}
	}
}

func TestBucketsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := upstream(t, demo.Settings{Requests: 1, IntervalSeconds: 3600, Burst: 1, By: demo.ByKey}, 1)
		passed := func(from, to int) (n int) {
			for i := from; i < to; i++ {
				if callWith(u, "127.0.0.2:1", "X-Api-Key", fmt.Sprint(i)).Code == 202 {
					n++
				}
			}
			return n
		}
		if first, second := passed(0, 1_000), passed(0, 1_000); first != 1_000 || second != 0 {
			t.Errorf("of 1000 keys %d pass, and then %d; want all, and then none", first, second)
		}
		// One that is new takes the place of one that is not.
		if first, second := passed(1_000, 1_001), passed(1_000, 1_001); first != 1 || second != 0 {
			t.Errorf("of one more %d pass, and then %d; want one, and then none", first, second)
		}
		if again := passed(0, 1_000); again == 0 {
			t.Error("no bucket was forgotten, so there are more than 1000")
		}
		// Those that are full are forgotten first.
		time.Sleep(time.Hour)
		if first, second := passed(2_000, 2_100), passed(2_000, 2_100); first != 100 || second != 0 {
			t.Errorf("of 100 keys after an hour %d pass, and then %d; want all, and then none", first, second)
		}
	})
}
