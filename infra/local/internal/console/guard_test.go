package console_test

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/console"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/demo"
)

// A page of another site that has its own name lead to this machine sends that name as the host.
func TestAHostThatIsNotThisMachineIsRefused(t *testing.T) {
	s := open(t, console.Config{}, nil)
	for _, host := range []string{"localhost", "localhost:8787", "LOCALHOST", "app.localhost:1", "localhost.", "127.0.0.1", "127.0.0.1:8787", "127.1.2.3:80", "[::1]", "[::1]:8787"} {
		if status, answer := s.ask(http.MethodGet, "executions", "", map[string]string{"Host": host}); status != http.StatusOK {
			t.Errorf("host %s is answered with %d: %s", host, status, answer)
		}
	}
	for _, host := range []string{"rebound.example", "rebound.example:8787", "127.0.0.1.rebound.example", "localhost.rebound.example", "notlocalhost", "192.168.1.2:8787", "0.0.0.0:8787", "[fe80::1]:80", "127.0.0.1@rebound.example"} {
		for _, path := range []string{"", "executions", "events", "console.js"} {
			s.refusesWith(http.StatusMisdirectedRequest, http.MethodGet, path, "", map[string]string{"Host": host}, "localhost")
		}
	}
}

func TestARequestFromAnotherSiteChangesNothing(t *testing.T) {
	upstream, err := demo.New(demo.DefaultSettings(), 1)
	if err != nil {
		t.Fatal(err)
	}
	called := false
	s := open(t, console.Config{Demo: upstream}, func(http.ResponseWriter, *http.Request) { called = true })
	const settings = `{"requests":9,"intervalSeconds":1,"failureShare":0,"delayMilliseconds":0}`
	const sending = `{"method":"GET","path":"/get"}`
	for _, headers := range []map[string]string{
		{"Sec-Fetch-Site": "cross-site"},
		{"Sec-Fetch-Site": "same-site"},
		{"Origin": "https://other.example"},
		{"Origin": "http://127.0.0.1:1"},
		{"Origin": "null"},
	} {
		s.refusesWith(http.StatusForbidden, http.MethodPut, "upstream", settings, headers, "another site")
		s.refusesWith(http.StatusForbidden, http.MethodPost, "requests", sending, headers, "another site")
	}
	// Other sites can have these types sent without asking.
	for _, mediaType := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data"} {
		headers := map[string]string{"Content-Type": mediaType}
		s.refusesWith(http.StatusUnsupportedMediaType, http.MethodPut, "upstream", settings, headers, "application/json", mediaType)
		s.refusesWith(http.StatusUnsupportedMediaType, http.MethodPost, "requests", sending, headers, "application/json", mediaType)
	}
	if upstream.Settings() != demo.DefaultSettings() || called {
		t.Error("it changed something all the same")
	}
	if status, answer := s.ask(http.MethodPut, "upstream", settings, map[string]string{"Sec-Fetch-Site": "same-origin"}); status != http.StatusOK {
		t.Errorf("the page itself is answered with %d: %s", status, answer)
	}
}

func TestARequestFromAnotherSiteReadsNothing(t *testing.T) {
	s := open(t, console.Config{}, nil)
	paths := []string{"definition", "executions", "executions/1", "records", "requests", "upstream", "events", "console.js", "console.css", "icon.svg"}
	for _, headers := range []map[string]string{
		{"Sec-Fetch-Site": "cross-site"},
		{"Sec-Fetch-Site": "same-site"},
		{"Origin": "https://other.example"},
		{"Origin": "http://127.0.0.1:1"},
		{"Origin": "null"},
		{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, // a link, but not to the page
	} {
		for _, path := range paths {
			s.refusesWith(http.StatusForbidden, http.MethodGet, path, "", headers, "another site")
		}
	}
	for _, path := range paths {
		if path == "events" || path == "executions/1" {
			continue // the first does not end, the second is not there
		}
		if status, answer := s.ask(http.MethodGet, path, "", map[string]string{"Sec-Fetch-Site": "same-origin"}); status != http.StatusOK {
			t.Errorf("%s is answered to the page itself with %d: %s", path, status, answer)
		}
	}
}

func TestALinkOnAnotherSiteOpensThePage(t *testing.T) {
	s := open(t, console.Config{}, nil)
	link := map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
	if status, answer := s.ask(http.MethodGet, "", "", link); status != http.StatusOK || !strings.Contains(answer, "<html") {
		t.Errorf("the page is answered with %d: %s", status, answer)
	}
	link["Sec-Fetch-Dest"] = "iframe"
	s.refusesWith(http.StatusForbidden, http.MethodGet, "", "", link, "another site")
}

func TestAnotherMachineIsRefusedWithAProblemThatSaysWhy(t *testing.T) {
	handler := console.New(console.Config{}).Middleware(http.NotFoundHandler())
	for _, path := range []string{"", "executions", "events", "console.js"} {
		r := httptest.NewRequest(http.MethodGet, console.Path+path, nil)
		r.Host, r.RemoteAddr = "localhost:8787", "192.168.1.7:50000"
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, r)
		if body := answer.Body.String(); answer.Code != http.StatusForbidden || answer.Header().Get("Content-Type") != "application/problem+json" ||
			!strings.Contains(body, "192.168.1.7") || !strings.Contains(body, "this machine only") {
			t.Errorf("%q is answered with %d: %s", path, answer.Code, body)
		}
	}
}

func TestThePageMayLoadOnlyWhatIsHere(t *testing.T) {
	s := open(t, console.Config{}, nil)
	for path, mediaType := range map[string]string{"": "text/html", "console.css": "text/css", "console.js": "text/javascript", "icon.svg": "image/svg+xml"} {
		response, err := http.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if got := response.Header.Get("Content-Type"); response.StatusCode != http.StatusOK || !strings.HasPrefix(got, mediaType) {
			t.Errorf("%q is answered with %d and the type %s, want %s", path, response.StatusCode, got, mediaType)
		}
		policy := response.Header.Get("Content-Security-Policy")
		for _, directive := range []string{"default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
			if !strings.Contains(policy, directive) {
				t.Errorf("the policy of %q lacks %s: %s", path, directive, policy)
			}
		}
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
			t.Errorf("the policy of %q is %s", path, policy)
		}
		if got := response.Header.Get("X-Content-Type-Options"); got != "nosniff" {
			t.Errorf("X-Content-Type-Options of %q is %q", path, got)
		}
	}
	embedsNothingElse(t, "page")
}

// embedsNothingElse checks that what is embedded names no other host and holds nothing that the policy would refuse.
func embedsNothingElse(t *testing.T, folder string) {
	t.Helper()
	otherHost := regexp.MustCompile(`(https?:)?//[a-z0-9.-]+\.[a-z]+`)
	inline := regexp.MustCompile(`(?i)<script>|<style|\sstyle=|\son[a-z]+=|javascript:|innerHTML|\beval\(`)
	files := os.DirFS(folder)
	err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, path)
		for _, found := range otherHost.FindAllString(string(text), -1) {
			if found != "http://www.w3.org" { // the name of a format
				t.Errorf("%s names %s", path, found)
			}
		}
		if found := inline.FindString(string(text)); found != "" {
			t.Errorf("%s holds %s", path, found)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestOnlyWhatIsBelowThePathIsTheConsoles(t *testing.T) {
	var got []string
	s := open(t, console.Config{}, func(_ http.ResponseWriter, r *http.Request) { got = append(got, r.Host+" "+r.RequestURI) })
	server := strings.TrimSuffix(s.url, console.Path)
	paths := []string{"/", "/-/", "/-/localx", "/-/executions/1", "/x/-/local/", "/x/../-/local/executions"}
	var want []string
	for _, path := range paths {
		request, err := http.NewRequest(http.MethodGet, server, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.URL.Opaque, request.Host = path, "other.example" // which is the URL's business
		response, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		want = append(want, "other.example "+path)
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the URL was asked\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	request, err := http.NewRequest(http.MethodGet, server+"/-/local", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusMovedPermanently || response.Header.Get("Location") != console.Path {
		t.Errorf("without the last slash the answer is %d to %s", response.StatusCode, response.Header.Get("Location"))
	}
}
