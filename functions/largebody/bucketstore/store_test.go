package bucketstore_test

import (
	"bytes"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/largebody"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/largebody/bucketstore"
)

// A service plays S3, as the answers say, one after the other. The last one is given to all further requests.
type service struct {
	mu      sync.Mutex
	paths   []string
	headers []http.Header
	answers []http.HandlerFunc
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	s.mu.Lock()
	answer := s.answers[min(len(s.paths), len(s.answers)-1)]
	s.paths, s.headers = append(s.paths, r.Method+" "+r.URL.EscapedPath()), append(s.headers, r.Header)
	s.mu.Unlock()
	answer(w, r)
}

// store keeps bodies in the bucket called bodies, with the answers of S3 that a test gives.
func store(t *testing.T, answers ...http.HandlerFunc) (*bucketstore.Store, *service) {
	t.Helper()
	s := &service{answers: answers}
	server := httptest.NewUnstartedServer(s)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // an answer that is broken off
	server.Start()
	t.Cleanup(server.Close)
	t.Setenv("AWS_ENDPOINT_URL_S3", server.URL)
	client := bucketstore.NewClient(aws.Config{
		Region: "eu-central-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
	})
	return bucketstore.New(client, "bodies", "gift cards"), s
}

// gives is an object.
func gives(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

// breaksOff is the beginning of an object.
func breaksOff(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
		_, _ = io.WriteString(w, body)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// refuses is an error of S3.
func refuses(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "<Error><Code>"+code+"</Code><Message>no</Message></Error>")
	}
}

const name = "0123456789abcdef0123456789abcdef"

func TestAnObjectStandsBelowThePrefixOfItsKindAndIsEncryptedByTheBucket(t *testing.T) {
	s, asked := store(t, gives(""))
	if err := s.Put(t.Context(), largebody.Requests, name, []byte("tea")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), largebody.Answers, name); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(asked.paths, ", "); got != "PUT /bodies/gift%20cards/requests/"+name+", GET /bodies/gift%20cards/answers/"+name {
		t.Errorf("S3 was asked for %s", got)
	}
	for field := range asked.headers[0] {
		if strings.HasPrefix(strings.ToLower(field), "x-amz-server-side") {
			t.Errorf("the object is written with %s", field)
		}
	}
}

func TestAnObjectThatBreaksOffIsReadAgain(t *testing.T) {
	s, asked := store(t, breaksOff("te"), breaksOff(""), gives("tea"))
	if body, err := s.Get(t.Context(), largebody.Answers, name); string(body) != "tea" || err != nil {
		t.Errorf("it is read as %q, error %v", body, err)
	}
	if len(asked.paths) != 3 {
		t.Errorf("S3 was asked %d times, want 3", len(asked.paths))
	}
	s, asked = store(t, breaksOff("te"))
	if body, err := s.Get(t.Context(), largebody.Answers, name); body != nil || !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, largebody.ErrNotFound) {
		t.Errorf("one that always breaks off is read as %q, error %v", body, err)
	}
	if len(asked.paths) != 3 {
		t.Errorf("S3 was asked %d times for it, want 3", len(asked.paths))
	}
}

func TestAFaultOfS3IsTriedAgainAndThenSaid(t *testing.T) {
	s, asked := store(t, refuses(503, "SlowDown"), gives(""))
	if err := s.Put(t.Context(), largebody.Answers, name, []byte("tea")); err != nil || len(asked.paths) != 2 {
		t.Errorf("after %d requests the error is %v", len(asked.paths), err)
	}
	s, _ = store(t, refuses(503, "SlowDown"))
	if err := s.Put(t.Context(), largebody.Answers, name, []byte("tea")); err == nil || !strings.Contains(err.Error(), "SlowDown") || strings.Contains(err.Error(), name) {
		t.Errorf("the error is %v, want one with the code and without the name", err)
	}
}

// Who may not list a bucket is not told that an object is gone.
func TestAnObjectThatIsGoneIsNotFound(t *testing.T) {
	for status, code := range map[int]string{404: "NoSuchKey", 403: "AccessDenied"} {
		s, asked := store(t, refuses(status, code))
		if _, err := s.Get(t.Context(), largebody.Answers, name); !errors.Is(err, largebody.ErrNotFound) || len(asked.paths) != 1 {
			t.Errorf("%s after %d requests is the error %v", code, len(asked.paths), err)
		}
	}
	s, _ := store(t, refuses(500, "InternalError"))
	if _, err := s.Get(t.Context(), largebody.Answers, name); err == nil || errors.Is(err, largebody.ErrNotFound) {
		t.Errorf("a fault is the error %v", err)
	}
}

func TestWhatIsNoNameLeadsNowhere(t *testing.T) {
	s, asked := store(t, gives("tea"))
	for _, text := range []string{"", "../answers/" + name, name + "0", strings.ToUpper(name), name[1:] + "/"} {
		if _, err := s.Get(t.Context(), largebody.Requests, text); !errors.Is(err, largebody.ErrNotFound) {
			t.Errorf("%q is read", text)
		}
		if err := s.Put(t.Context(), largebody.Requests, text, nil); err == nil {
			t.Errorf("%q is written", text)
		}
	}
	if len(asked.paths) != 0 {
		t.Errorf("S3 was asked for %q", asked.paths)
	}
}

func TestAnObjectOf6MBIsReadAndNoneThatIsLarger(t *testing.T) {
	whole := string(bytes.Repeat([]byte("x"), 6_291_456))
	s, _ := store(t, gives(whole), gives(whole+"x"))
	if body, err := s.Get(t.Context(), largebody.Answers, name); len(body) != 6_291_456 || err != nil {
		t.Errorf("%d bytes are read, error %v", len(body), err)
	}
	if _, err := s.Get(t.Context(), largebody.Answers, name); err == nil {
		t.Error("a larger one is read")
	}
}

func TestNamesAre128RandomBits(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		n := largebody.Name()
		if !largebody.IsName(n) || len(n) != 32 || seen[n] {
			t.Fatalf("%q is no name, or is one twice", n)
		}
		seen[n] = true
	}
}
