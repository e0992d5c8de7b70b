package lambda

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// Dummy credentials, in the place of those of the execution role. They sign requests to local endpoints, which do not
// check them, and are worth nothing at AWS.
const (
	AccessKeyID     = "ASIALOCALLOCALLOCAL0"
	SecretAccessKey = "local"
	SessionToken    = "local"
)

// xrayDaemonAddress is where the X-Ray SDK sends its datagrams. Lambda has a daemon on 169.254.79.129:2000; there is
// none here, and nothing should leave this machine.
const (
	xrayDaemonHost = "127.0.0.1"
	xrayDaemonPort = "2000"
)

// reservedVariables cannot be set in a function's configuration ("Defined runtime environment variables" in the Lambda
// developer guide).
var reservedVariables = []string{
	"_HANDLER", "_X_AMZN_TRACE_ID",
	"AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV",
	"AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION",
	"AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME",
	"AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
	"AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
}

// environment returns the environment of one process, in the order of names. Nothing of the host's own environment is
// in it except PATH. As in Lambda, AWS_EXECUTION_ENV is not there (OS-only runtimes do not have it), and
// _X_AMZN_TRACE_ID is set by the runtime client for each invocation.
func (fn *function) environment(version, logStream, runtimeAPI string) []string {
	env := map[string]string{
		"_HANDLER":                        fn.Handler,
		"AWS_REGION":                      fn.host.config.Region,
		"AWS_DEFAULT_REGION":              fn.host.config.Region,
		"AWS_ACCESS_KEY_ID":               AccessKeyID,
		"AWS_SECRET_ACCESS_KEY":           SecretAccessKey,
		"AWS_SESSION_TOKEN":               SessionToken,
		"AWS_LAMBDA_FUNCTION_NAME":        fn.Name,
		"AWS_LAMBDA_FUNCTION_VERSION":     version,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(fn.MemorySize),
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME":       fn.LogGroup,
		"AWS_LAMBDA_LOG_STREAM_NAME":      logStream,
		"AWS_LAMBDA_LOG_FORMAT":           fn.LogFormat,
		"AWS_LAMBDA_RUNTIME_API":          runtimeAPI,
		"AWS_XRAY_CONTEXT_MISSING":        "LOG_ERROR",
		"AWS_XRAY_DAEMON_ADDRESS":         xrayDaemonHost + ":" + xrayDaemonPort,
		"_AWS_XRAY_DAEMON_ADDRESS":        xrayDaemonHost,
		"_AWS_XRAY_DAEMON_PORT":           xrayDaemonPort,
		"LAMBDA_TASK_ROOT":                filepath.Dir(fn.Path),
		"LAMBDA_RUNTIME_DIR":              "/var/runtime",
		"LANG":                            "en_US.UTF-8",
		"TZ":                              ":UTC",
		"PATH":                            os.Getenv("PATH"),
	}
	if fn.LogFormat == LogFormatJSON {
		env["AWS_LAMBDA_LOG_LEVEL"] = fn.LogLevel
	}
	maps.Copy(env, fn.Env)
	maps.Copy(env, fn.host.config.Env)
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}
