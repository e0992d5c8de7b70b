package lambda_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
)

func TestTheEnvironmentIsLambdasTheFunctionsAndTheHostsAdditions(t *testing.T) {
	t.Setenv("LEAKED_FROM_THE_HOST", "1")
	t.Setenv("AWS_PROFILE", "mine")
	host := newHost(t, lambda.Config{
		Region: "eu-central-1",
		Env:    map[string]string{"AWS_ENDPOINT_URL": "http://aws.local", "OVERRIDDEN": "by the host"},
	}, echo(func(f *lambda.Function) {
		f.MemorySize = 256
		f.Env = map[string]string{"TABLE": "records", "OVERRIDDEN": "by the function"}
		f.LogFormat = lambda.LogFormatJSON
		f.LogGroup = "/proxy/echo"
	}))
	got := make(map[string]string)
	for _, variable := range invokeReport(t, host, `{}`).Environment {
		name, value, _ := strings.Cut(variable, "=")
		got[name] = value
	}
	for name, pattern := range map[string]string{
		"AWS_LAMBDA_LOG_STREAM_NAME": `^\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}$`,
		"AWS_LAMBDA_RUNTIME_API":     `^127\.0\.0\.1:\d+$`,
		"_X_AMZN_TRACE_ID":           `^Root=`, // set by the runtime client
	} {
		if !regexp.MustCompile(pattern).MatchString(got[name]) {
			t.Errorf("%s is %q, want a match of %s", name, got[name], pattern)
		}
		delete(got, name)
	}
	want := map[string]string{
		"_HANDLER":                        "bootstrap",
		"AWS_REGION":                      "eu-central-1",
		"AWS_DEFAULT_REGION":              "eu-central-1",
		"AWS_ACCESS_KEY_ID":               lambda.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY":           lambda.SecretAccessKey,
		"AWS_SESSION_TOKEN":               lambda.SessionToken,
		"AWS_LAMBDA_FUNCTION_NAME":        "echo",
		"AWS_LAMBDA_FUNCTION_VERSION":     "$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME":       "/proxy/echo",
		"AWS_LAMBDA_LOG_FORMAT":           "JSON",
		"AWS_LAMBDA_LOG_LEVEL":            "INFO",
		"AWS_XRAY_CONTEXT_MISSING":        "LOG_ERROR",
		"AWS_XRAY_DAEMON_ADDRESS":         "127.0.0.1:2000",
		"_AWS_XRAY_DAEMON_ADDRESS":        "127.0.0.1",
		"_AWS_XRAY_DAEMON_PORT":           "2000",
		"LAMBDA_TASK_ROOT":                filepath.Dir(echoBinary),
		"LAMBDA_RUNTIME_DIR":              "/var/runtime",
		"LANG":                            "en_US.UTF-8",
		"TZ":                              ":UTC",
		"PATH":                            os.Getenv("PATH"),
		"TABLE":                           "records",
		"AWS_ENDPOINT_URL":                "http://aws.local",
		"OVERRIDDEN":                      "by the host",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}

func TestAProcessIsToldByItsNameAndRunsInItsDirectory(t *testing.T) {
	host := newHost(t, lambda.Config{}, echo(func(f *lambda.Function) { f.ProcessName = "proxy-1" }))
	r := invokeReport(t, host, `{}`)
	if len(r.Args) != 1 || r.Args[0] != "proxy-1" {
		t.Errorf("the command line is %q, want proxy-1", r.Args)
	}
	directory, err := filepath.EvalSymlinks(filepath.Dir(echoBinary))
	if err != nil {
		t.Fatal(err)
	}
	if r.Directory != directory {
		t.Errorf("the working directory is %s, want %s", r.Directory, directory)
	}
}
