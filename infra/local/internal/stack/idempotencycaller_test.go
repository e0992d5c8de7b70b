package stack_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// signedBy gives the fields of a request that is signed with an access key, anew at each call.
func signedBy(accessKey string, n int) []string {
	return []string{
		"Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/20261127/us-east-1/lambda/aws4_request, SignedHeaders=host;x-amz-date, Signature=%064x", accessKey, n),
		"X-Amz-Date", fmt.Sprintf("20261127T0000%02dZ", n), "X-Amz-Security-Token", fmt.Sprint("token-", n),
	}
}

// withIAM is the stack whose URL takes signed requests only.
func withIAM(t *testing.T) setting {
	source := from(edited(t, func(template map[string]any) {
		for _, url := range resources(template, "AWS::Lambda::Url") {
			url["AuthType"] = "AWS_IAM"
		}
	}))
	return func(t testing.TB, c *config) {
		source(t, c)
		c.Signed = true
	}
}

// telling is an upstream that tells who asked, and how often it was asked.
func telling(t *testing.T) (url string, calls *atomic.Int32) {
	t.Helper()
	calls = new(atomic.Int32)
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "session=of-"+r.Header.Get("Authorization")+r.Header.Get("X-Api-Key"))
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, "call %d, %s%s", calls.Add(1), r.Header.Get("Authorization"), r.Header.Get("X-Api-Key"))
	}), calls
}

// Security breach 1: whoever had the key was handed the answer, whatever credential they sent.
func TestTwoCallersWithOneKeyAreTwoOperations(t *testing.T) {
	t.Parallel()
	url, calls := telling(t)
	s := start(t, url)
	callers := [][]string{
		nil,
		{"Authorization", "Bearer ALICE"},
		{"Authorization", "Bearer MALLORY"},
		{"X-Api-Key", "alice"},
		{"Cookie", "session=alice"},
		{"Cookie", "session=mallory"},
		{"Upstream-Authorization", "Bearer BOB"},
	}
	for round, replayed := range []bool{false, true} {
		for i, fields := range callers {
			a := order(t, s, "amount=1", fields...)
			who := ""
			if len(fields) > 0 && fields[0] != "Cookie" {
				who = fields[1]
			}
			if want := fmt.Sprintf("call %d, %s", i+1, who); a.Status != http.StatusCreated || a.Body != want || a.replayed() != replayed {
				t.Errorf("round %d: %v is answered with %d %q, replayed %v, want %q", round, fields, a.Status, a.Body, a.replayed(), want)
			}
		}
	}
	if n := calls.Load(); n != int32(len(callers)) {
		t.Errorf("the upstream was called %d times by %d callers", n, len(callers))
	}
	// Another body is another request of the same caller, and no block for others.
	order(t, s, "amount=2", "Authorization", "Bearer ALICE").problem(t, http.StatusUnprocessableEntity, "idempotency-key-reused")
	if a := order(t, s, "amount=2", "Authorization", "Bearer EVE"); a.Status != http.StatusCreated || a.replayed() {
		t.Errorf("a caller whose first request it is is answered with %d", a.Status)
	}
}

// Without this, whoever comes first with a wrong credential would block the key, and their 401 would be everybody's.
func TestAWrongCredentialBlocksNobody(t *testing.T) {
	t.Parallel()
	s := start(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer RIGHT" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusCreated)
	}))
	for range 2 {
		if a := order(t, s, "{}", "Authorization", "Bearer WRONG"); a.Status != http.StatusUnauthorized || a.replayed() {
			t.Errorf("the wrong credential is answered with %d", a.Status)
		}
	}
	if a := order(t, s, "{}", "Authorization", "Bearer RIGHT"); a.Status != http.StatusCreated {
		t.Errorf("the right credential is answered with %d", a.Status)
	}
}

func TestARepeatThatIsSignedAnewIsTheSameRequestAndTheUpstreamSeesTheCallersOwnCredential(t *testing.T) {
	t.Parallel()
	url, calls := telling(t)
	s := start(t, url, withIAM(t))
	for n := range 3 {
		a := order(t, s, "{}", append(signedBy("AKIDALICE", n), "Upstream-Authorization", "Bearer TOKEN")...)
		if a.Status != http.StatusCreated || a.Body != "call 1, Bearer TOKEN" || a.replayed() != (n > 0) {
			t.Errorf("request %d is answered with %d %q, replayed %v", n+1, a.Status, a.Body, a.replayed())
		}
	}
	if a := order(t, s, "{}", append(signedBy("AKIDBOB", 7), "Upstream-Authorization", "Bearer TOKEN")...); a.replayed() {
		t.Error("another identity was handed the answer")
	}
	if a := order(t, s, "{}", append(signedBy("AKIDALICE", 8), "Upstream-Authorization", "Bearer OTHER")...); a.replayed() {
		t.Error("another credential of the same identity was handed the answer")
	}
	if n := calls.Load(); n != 3 {
		t.Errorf("the upstream was called %d times, want 3", n)
	}
	if a := order(t, s, "{}"); a.Status != http.StatusForbidden {
		t.Errorf("a request without a signature is answered with %d", a.Status)
	}
}

func TestTheUpstreamsCredentialWinsOverAuthorizationAndIsNotSentTwice(t *testing.T) {
	t.Parallel()
	u := play(t, status(200))
	s := start(t, u.URL)
	get(t, s, "/", "Authorization", "Basic ours", "Upstream-Authorization", "Bearer theirs")
	r := u.received()[0]
	if got := r.Header.Values("Authorization"); len(got) != 1 || got[0] != "Bearer theirs" || r.Header.Get("Upstream-Authorization") != "" {
		t.Errorf("the upstream was sent %v", r.Header)
	}
}

func TestFieldsMayStandForTheCallerInThePlaceOfTheirCredentials(t *testing.T) {
	t.Parallel()
	url, calls := telling(t)
	s := start(t, url, environment("gateway", "IDEMPOTENCY_CALLER", "X-Tenant"))
	for i, c := range []struct {
		tenant, token string
		replayed      bool
	}{
		{"a", "Bearer 1", false}, {"a", "Bearer 2", true}, {"b", "Bearer 1", false}, {"b", "Bearer 3", true},
	} {
		if a := order(t, s, "{}", "X-Tenant", c.tenant, "Authorization", c.token); a.Status != 201 || a.replayed() != c.replayed {
			t.Errorf("request %d is answered with %d, replayed %v", i+1, a.Status, a.replayed())
		}
	}
	// Without the field, the credentials count as they do by default.
	for i, token := range []string{"Bearer 1", "Bearer 2"} {
		if a := order(t, s, "{}", "Authorization", token); a.replayed() {
			t.Errorf("without a tenant, caller %d was handed another one's answer", i+1)
		}
	}
	if n := calls.Load(); n != 4 {
		t.Errorf("the upstream was called %d times, want 4", n)
	}
}

func TestAKeyMayHaveTheNameThatTheUpstreamKnows(t *testing.T) {
	t.Parallel()
	u := play(t, status(500), status(201))
	s := start(t, u.URL, environment("gateway", "IDEMPOTENCY_KEY_FIELDS", "PayPal-Request-Id,X-Idempotency-Key"))
	for i := range 2 {
		a := send(t, s, http.MethodPost, "/orders", "{}", "PayPal-Request-Id", "k")
		if a.Status != 201 || a.replayed() != (i == 1) {
			t.Errorf("answer %d is %d, replayed %v", i+1, a.Status, a.replayed())
		}
	}
	for i, r := range u.received() {
		if r.Header.Get("PayPal-Request-Id") != "k" || r.Header.Get("Idempotency-Key") != "" {
			t.Errorf("attempt %d was sent with %v", i+1, r.Header)
		}
	}
}

func TestWhatIsRecordedCanBeSaidByStatus(t *testing.T) {
	t.Parallel()
	settings := []setting{}
	for _, proxy := range []string{"proxy-1", "proxy-2", "proxy-3"} {
		settings = append(settings, environment(proxy, "IDEMPOTENCY_RECORDED", `{"404":false,"409":true}`))
	}
	s := start(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		code := http.StatusConflict
		if strings.HasSuffix(r.URL.Path, "/404") {
			code = http.StatusNotFound
		}
		w.WriteHeader(code)
	}), settings...)
	for target, recorded := range map[string]bool{"/404": false, "/409": true} {
		for i := range 2 {
			if a := send(t, s, http.MethodPost, target, "{}", "Idempotency-Key", "k"); a.replayed() != (recorded && i == 1) {
				t.Errorf("answer %d to %s is %d, replayed %v", i+1, target, a.Status, a.replayed())
			}
		}
	}
}

func TestRecordsCanBeKeptWithoutCookies(t *testing.T) {
	t.Parallel()
	without := edited(t, func(template map[string]any) {
		for _, machine := range resources(template, "AWS::StepFunctions::StateMachine") {
			text, err := json.Marshal(machine["DefinitionString"])
			if err != nil {
				t.Fatal(err)
			}
			// As the construct writes it with the prop OmitCookies.
			changed := strings.ReplaceAll(string(text), `States.JsonToString($)`,
				`States.JsonToString(States.JsonMerge($, States.StringToJson('{\\\"cookies\\\":[]}'), false))`)
			if changed == string(text) {
				t.Error("nothing is recorded in the template")
			}
			var definition any
			if err := json.Unmarshal([]byte(changed), &definition); err != nil {
				t.Fatal(err)
			}
			machine["DefinitionString"] = definition
		}
	})
	u := play(t, respond(201, "made", "Set-Cookie", "session=secret", "X-Order", "7"))
	s := start(t, u.URL, from(without))
	first, again := order(t, s, "{}"), order(t, s, "{}")
	if first.Header.Get("Set-Cookie") != "session=secret" || !again.replayed() || again.Body != "made" || again.Header.Get("X-Order") != "7" || again.Header.Get("Set-Cookie") != "" {
		t.Errorf("the first answer has %v, and the replay %v", first.Header, again.Header)
	}
	if data := string(tableOf(t, s).record().Data); strings.Contains(data, "secret") {
		t.Errorf("the record holds the cookie: %s", data)
	}
}
