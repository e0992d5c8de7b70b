package lambda

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Defaults and limits of a [Function]: those of Lambda.
const (
	// DefaultTimeout is the timeout of a function that names none.
	DefaultTimeout = 3 * time.Second

	// MaxTimeout is the longest timeout of a function.
	MaxTimeout = 15 * time.Minute

	// DefaultMemorySize is the memory of a function that names none, in MB.
	DefaultMemorySize = 128

	// MaxMemorySize is the largest memory of a function, in MB.
	MaxMemorySize = 10240

	// MaxEnvironment is the size that the function's own variables may have together, in bytes.
	MaxEnvironment = 4096

	// LatestVersion is the version of a function that was not published.
	LatestVersion = "$LATEST"
)

// Log formats of a function.
const (
	LogFormatText = "Text"
	LogFormatJSON = "JSON"
)

// DefaultLogLevel is the application log level of a function that logs JSON.
const DefaultLogLevel = "INFO"

// logLevels are the application log levels that Lambda knows.
var logLevels = []string{"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"}

// Function describes a function.
type Function struct {
	// Name is the function's name: 1 to 64 letters, digits, dashes and underscores.
	Name string

	// ARN is the unqualified ARN. Default: made of Config.Region, Config.AccountID and Name.
	ARN string

	// Path is the bootstrap binary, built for this machine.
	Path string

	// ProcessName is the first word of the process's command line, by which it can be told in a list of processes.
	// Default: Name.
	ProcessName string

	// Handler is passed as _HANDLER, which the OS-only runtimes leave to the binary. Default: "bootstrap".
	Handler string

	// Env holds the function's own environment variables: at most MaxEnvironment bytes, none of Lambda's reserved
	// names.
	Env map[string]string

	// Timeout ends an invocation. Lambda knows whole seconds; shorter ones are allowed here. Default: DefaultTimeout.
	Timeout time.Duration

	// MemorySize is told to the function and reported, in MB. It is not enforced. Default: DefaultMemorySize.
	MemorySize int

	// ReservedConcurrency is the number of invocations of this function that may run at once, whatever other functions
	// do; 0 stops it altogether, and nil has it share what of Config.Concurrency nobody has reserved.
	ReservedConcurrency *int

	// Aliases maps names of aliases to versions, such as "live" to "1". The versions exist by being named here. All
	// versions run the same binary, each in processes of its own, as in Lambda.
	Aliases map[string]string

	// LogFormat is LogFormatText or LogFormatJSON, told to the function as AWS_LAMBDA_LOG_FORMAT. Default:
	// LogFormatText.
	LogFormat string

	// LogLevel is told to a function that logs JSON as AWS_LAMBDA_LOG_LEVEL. Default: DefaultLogLevel.
	LogLevel string

	// LogGroup is the name of the log group. Default: "/aws/lambda/" and Name.
	LogGroup string

	// TracingActive marks traces that begin with this function as sampled.
	TracingActive bool
}

var (
	functionName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)
	functionARN  = regexp.MustCompile(`^arn:aws[a-zA-Z-]*:lambda:[a-z0-9-]+:\d{12}:function:([a-zA-Z0-9_-]{1,64})$`)
	aliasName    = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)
	versionName  = regexp.MustCompile(`^(\$LATEST|[0-9]+)$`)
)

// function is a Function with its sandboxes.
type function struct {
	Function
	host *Host

	active int // invocations that are running; guarded by the host's lock

	mu sync.Mutex

	// idle holds the sandboxes without work, by version. The last one to become idle is at the end and the first to be
	// taken.
	idle map[string][]*sandbox
}

func newFunction(h *Host, f Function) (*function, error) {
	if f.ARN == "" {
		f.ARN = fmt.Sprintf("arn:aws:lambda:%s:%s:function:%s", h.config.Region, h.config.AccountID, f.Name)
	}
	if f.ProcessName == "" {
		f.ProcessName = f.Name
	}
	if f.Handler == "" {
		f.Handler = "bootstrap"
	}
	if f.Timeout == 0 {
		f.Timeout = DefaultTimeout
	}
	if f.MemorySize == 0 {
		f.MemorySize = DefaultMemorySize
	}
	if f.LogFormat == "" {
		f.LogFormat = LogFormatText
	}
	if f.LogLevel == "" {
		f.LogLevel = DefaultLogLevel
	}
	if f.LogGroup == "" {
		f.LogGroup = "/aws/lambda/" + f.Name
	}
	f.Env = maps.Clone(f.Env)
	f.Aliases = maps.Clone(f.Aliases)
	if f.ReservedConcurrency != nil {
		n := *f.ReservedConcurrency
		f.ReservedConcurrency = &n
	}
	problems := f.problems()
	if path, err := filepath.Abs(f.Path); err != nil {
		problems = append(problems, fmt.Errorf("Function.Path: %w", err))
	} else {
		f.Path = path
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("lambda: function %q: %w", f.Name, err)
	}
	return &function{Function: f, host: h, idle: make(map[string][]*sandbox)}, nil
}

// problems checks a definition whose defaults are filled in.
func (f *Function) problems() []error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf("Function."+format, args...)) }
	if !functionName.MatchString(f.Name) {
		problem("Name is %q: 1 to 64 letters, digits, dashes and underscores are allowed", f.Name)
	}
	if m := functionARN.FindStringSubmatch(f.ARN); m == nil || m[1] != f.Name {
		problem("ARN is %q: arn:aws:lambda:REGION:ACCOUNT:function:%s is expected, without a qualifier", f.ARN, f.Name)
	}
	if f.Timeout < 0 || f.Timeout > MaxTimeout {
		problem("Timeout is %v: more than 0 and at most %v is allowed", f.Timeout, MaxTimeout)
	}
	if f.MemorySize < DefaultMemorySize || f.MemorySize > MaxMemorySize {
		problem("MemorySize is %d: %d to %d MB are allowed", f.MemorySize, DefaultMemorySize, MaxMemorySize)
	}
	if n := f.ReservedConcurrency; n != nil && *n < 0 {
		problem("ReservedConcurrency is %d: it must not be negative", *n)
	}
	if f.LogFormat != LogFormatText && f.LogFormat != LogFormatJSON {
		problem("LogFormat is %q: %q and %q are allowed", f.LogFormat, LogFormatText, LogFormatJSON)
	}
	if !slices.Contains(logLevels, f.LogLevel) {
		problem("LogLevel is %q: one of %s is allowed", f.LogLevel, strings.Join(logLevels, ", "))
	}
	if strings.ContainsRune(f.ProcessName, 0) {
		problem("ProcessName contains a NUL")
	}
	problems = append(problems, executable(f.Path)...)
	size := 0
	for _, name := range slices.Sorted(maps.Keys(f.Env)) {
		size += len(name) + len(f.Env[name])
		switch {
		case slices.Contains(reservedVariables, name):
			problem("Env[%q]: the name is reserved, Lambda sets it itself", name)
		case name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(f.Env[name], 0):
			problem("Env[%q]: a name must not be empty nor contain =, and no part a NUL", name)
		}
	}
	if size > MaxEnvironment {
		problem("Env has %d bytes: at most %d are allowed", size, MaxEnvironment)
	}
	for _, alias := range slices.Sorted(maps.Keys(f.Aliases)) {
		if _, err := strconv.Atoi(alias); err == nil || !aliasName.MatchString(alias) {
			problem("Aliases[%q]: an alias has letters, digits, dashes and underscores, and is not a number", alias)
		}
		if version := f.Aliases[alias]; !versionName.MatchString(version) {
			problem("Aliases[%q] is %q: a version number or %s is expected", alias, version, LatestVersion)
		}
	}
	return problems
}

func executable(path string) []error {
	if path == "" {
		return []error{errors.New("Function.Path is empty: the path of the bootstrap binary is needed")}
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return []error{fmt.Errorf("Function.Path: %w", err)}
	case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
		return []error{fmt.Errorf("Function.Path: %s is not an executable file (mode %v)", path, info.Mode())}
	}
	return nil
}

// version returns the version that a qualifier (an alias, a version, or nothing) stands for.
func (fn *function) version(qualifier string) (string, bool) {
	if qualifier == "" || qualifier == LatestVersion {
		return LatestVersion, true
	}
	if version, ok := fn.Aliases[qualifier]; ok {
		return version, true
	}
	return qualifier, slices.Contains(fn.publishedVersions(), qualifier)
}

// publishedVersions returns the numbered versions in their order.
func (fn *function) publishedVersions() []string {
	var versions []string
	for _, version := range fn.Aliases {
		if version != LatestVersion && !slices.Contains(versions, version) {
			versions = append(versions, version)
		}
	}
	slices.SortFunc(versions, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return versions
}
