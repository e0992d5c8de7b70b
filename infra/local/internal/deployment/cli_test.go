package deployment_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// cdk is the CLI that package.json pins.
const cdk = "../../../../node_modules/.bin/cdk"

// cliTimeout is how long a command of the CLI may take. It waits for what never comes when moto loses a change set.
const cliTimeout = 2 * time.Minute

// cdk runs a command of the CLI and gives what it wrote, and the code that it ended with.
func (a *account) cdk(t *testing.T, arguments ...string) (output string, code int) {
	t.Helper()
	absolute, err := filepath.Abs(cdk)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), absolute, append([]string{"--no-notices", "--no-color"}, arguments...)...)
	command.Dir = a.home // not where cdk.json is, whose app would be run
	command.Env = append(environmentWithout("AWS_", "CDK_"),
		"AWS_ENDPOINT_URL="+a.endpoint,
		// moto takes the path of the template's URL for a bucket and a key if the host is one of AWS. Nothing asks there.
		"AWS_ENDPOINT_URL_S3_FOR_CLOUDFORMATION=http://s3."+region+".amazonaws.com",
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_REGION="+region, "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull,
		// Whatever else the CLI might ask of the internet finds nobody there.
		"HTTP_PROXY=http://127.0.0.1:1", "HTTPS_PROXY=http://127.0.0.1:1", "NO_PROXY=127.0.0.1",
		"CDK_HOME="+a.home, "CDK_DISABLE_CLI_TELEMETRY=true", "CDK_DISABLE_VERSION_CHECK=1", "CI=true",
	)
	var both bytes.Buffer
	command.Stdout, command.Stderr = &both, &both
	timer := time.AfterFunc(cliTimeout, func() { _ = command.Process.Kill() })
	defer timer.Stop()
	if err := command.Run(); command.ProcessState == nil {
		t.Fatal(err)
	}
	return both.String(), command.ProcessState.ExitCode()
}

// environmentWithout is this process's environment without the variables that begin in certain ways.
func environmentWithout(prefixes ...string) []string {
	var kept []string
	for _, variable := range os.Environ() {
		named := false
		for _, prefix := range prefixes {
			named = named || strings.HasPrefix(variable, prefix)
		}
		if !named {
			kept = append(kept, variable)
		}
	}
	return kept
}
