package deployment_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// An account is moto_server, as an account without anything in it, and the CDK CLI, which sees nothing else.
type account struct {
	endpoint string
	log      *output // of the server
	home     string  // of the CLI

	// unpacked maps what Lambda calls CodeSha256 to directories with the code.
	unpacked map[string]string
}

// Where the account is: the local stack's, so that ARNs are the same.
const (
	accountID = "000000000000"
	region    = "us-east-1"
)

// newAccount starts moto_server with what testdata/moto_cloudformation.py adds to it, or skips the test.
func newAccount(t *testing.T) *account {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not on the PATH, so nothing checks the deployment")
	}
	if err := exec.Command(python, "-c", "import moto.server, flask").Run(); err != nil {
		t.Skip("moto is not installed (pip install 'moto[server]'), so nothing checks the deployment against another CloudFormation")
	}
	if _, err := os.Stat(cdk); err != nil {
		t.Skip("the CDK CLI is not installed (npm ci), so nothing checks the deployment")
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	_, port, _ := net.SplitHostPort(address)
	a := &account{endpoint: "http://" + address, log: &output{}, home: t.TempDir(), unpacked: map[string]string{}}
	server := exec.Command(python, filepath.Join("testdata", "moto_cloudformation.py"), "-H", "127.0.0.1", "-p", port)
	server.Env = append(os.Environ(), "MOTO_ACCOUNT_ID="+accountID, "PYTHONDONTWRITEBYTECODE=1")
	server.Stdout, server.Stderr = a.log, a.log
	ends, err := server.StdinPipe() // its end is the server's
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ends.Close()
		_ = server.Wait()
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		response, err := http.Get(a.endpoint + "/moto-api/")
		if err == nil {
			response.Body.Close()
			return a
		}
		if time.Now().After(deadline) {
			t.Fatalf("moto_server does not answer after a minute: %v\n%s", err, a.log)
		}
	}
}

// An output is what a process writes while it runs.
type output struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.Write(p)
}

// String is what is no line of a request that was answered.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var lines []string
	for line := range strings.Lines(o.buffer.String()) {
		if !strings.Contains(line, `HTTP/1.1" 2`) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-60):], "")
}

// query asks one of the services whose protocol is a form and XML.
func (a *account) query(t *testing.T, service, action string, parameters map[string]string, into any) error {
	t.Helper()
	form := url.Values{"Action": {action}}
	for name, value := range parameters {
		form.Set(name, value)
	}
	return a.ask(t, service, "application/x-www-form-urlencoded", "", strings.NewReader(form.Encode()), func(answer []byte) error {
		return xml.Unmarshal(answer, into)
	})
}

// json asks one of the services whose protocol is JSON.
func (a *account) json(t *testing.T, service, target string, parameters, into any) error {
	t.Helper()
	body, err := json.Marshal(parameters)
	if err != nil {
		t.Fatal(err)
	}
	return a.ask(t, service, "application/x-amz-json-1.1", target, bytes.NewReader(body), func(answer []byte) error {
		return json.Unmarshal(answer, into)
	})
}

func (a *account) ask(t *testing.T, service, contentType, target string, body io.Reader, decode func([]byte) error) error {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.endpoint+"/", body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	if target != "" {
		request.Header.Set("X-Amz-Target", target)
	}
	// moto finds the service by the scope, and looks at nothing else in it.
	request.Header.Set("Authorization",
		"AWS4-HMAC-SHA256 Credential=test/20260101/"+region+"/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s: %s", service, response.Status, answer)
	}
	return decode(answer)
}
