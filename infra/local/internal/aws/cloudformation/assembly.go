package cloudformation

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"
)

// Where the stack pretends to be.
const (
	Partition = "aws"
	Region    = "us-east-1"
	AccountID = "000000000000"
	URLSuffix = "amazonaws.com"
)

// A Stack is what a template describes, with its references resolved.
type Stack struct {
	Name          string
	Functions     []Function
	StateMachines []StateMachine
	Tables        []Table
	Secrets       []Secret
	Buckets       []Bucket
	Queues        []Queue
	EventSources  []EventSource
	URLs          []URL
	MetricFilters []MetricFilter
	Outputs       map[string]string

	// LeftOut are the resources that are not run, by their logical ids.
	LeftOut []LeftOut
}

// A Function is an AWS::Lambda::Function.
type Function struct {
	Name        string
	ARN         string
	Path        string // of its construct below the stack's, such as Orders/gateway; empty if the assembly does not say
	Environment map[string]string
	Timeout     time.Duration
	MemoryMiB   int

	// Code is the directory that holds the unpacked code.
	Code string

	// Architecture is arm64 or x86_64.
	Architecture string

	// Metadata is the resource's metadata, as it stands in the template.
	Metadata map[string]any

	// ReservedConcurrency is the limit on concurrent invocations; nil if there is none.
	ReservedConcurrency *int

	// Aliases maps the names of the function's aliases to versions.
	Aliases map[string]string

	// LogFormat is Text or JSON, LogLevel the application's log level, LogGroup the log group's name; empty where the
	// template does not say.
	LogFormat, LogLevel, LogGroup string

	// TracingActive says whether the function begins traces.
	TracingActive bool
}

// A StateMachine is an AWS::StepFunctions::StateMachine.
type StateMachine struct {
	Name       string
	ARN        string
	Type       string // STANDARD or EXPRESS
	Definition string
	LogGroup   string // where its executions are logged, or empty
}

// A Table is an AWS::DynamoDB::GlobalTable with one replica.
type Table struct {
	Name         string
	ARN          string
	Keys         []Key
	TTLAttribute string
}

// A Key is one attribute of a table's primary key.
type Key struct {
	Name string
	Role string // HASH or RANGE
	Type string // S, N or B
}

// A URL is an AWS::Lambda::Url.
type URL struct {
	ID           string // the logical id
	Path         string // of its construct below the stack's; empty if the assembly does not say
	Address      string // what the template is told that it is, as Options has it
	FunctionName string
	Qualifier    string // the alias that is invoked, or empty
	AuthType     string // AWS_IAM or NONE
	CORS         *CORS  // nil if there is none
}

// A MetricFilter is an AWS::Logs::MetricFilter: each line of a log that matches a pattern adds a value to a metric.
type MetricFilter struct {
	ID       string // the logical id
	LogGroup string // the name of the log group
	Pattern  string
	Adds     []Addition
}

// An Addition is what a line adds.
type Addition struct {
	Namespace, Metric, Unit string
	Value                   float64
}

// A CORS says which pages of other origins may call a URL, as the property Cors has it.
type CORS struct {
	AllowCredentials                                        bool
	AllowHeaders, AllowMethods, AllowOrigins, ExposeHeaders []string
	MaxAge                                                  *int // in seconds
}

// Options says what the template does not know.
type Options struct {
	// FunctionURLs are the addresses under which the stack's function URLs will be reached, by their logical ids. One that is
	// not among them is an empty text.
	FunctionURLs map[string]string

	// Skip names resources that are left out: by a type, such as AWS::Kinesis::Stream, which may end in * for all that begin
	// so; by a logical id; or by the path of a construct below the stack's, for all that is in it. Outputs can be named by
	// their ids.
	Skip []string

	// SkipBy is how a caller writes what to skip, with %s in the place of the name. It is said where something is not known
	// here. Empty says nothing of it.
	SkipBy string

	// QueueBaseURL is what the URLs of queues begin with, without a slash at its end.
	QueueBaseURL string
}

// Load reads the one stack of the cloud assembly in dir. All problems of the template are in the error.
func Load(dir string, options Options) (*Stack, error) {
	var manifest struct {
		Artifacts map[string]struct {
			Type       string
			Properties struct {
				TemplateFile string
				StackName    string
			}
			Metadata               constructs
			AdditionalMetadataFile string
			DisplayName            string
		}
	}
	if err := readJSON(filepath.Join(dir, "manifest.json"), &manifest); err != nil {
		return nil, err
	}
	var names []string
	for name, artifact := range manifest.Artifacts {
		if artifact.Type == "aws:cloudformation:stack" {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	if len(names) != 1 {
		return nil, fmt.Errorf("template: the cloud assembly in %s has %d stacks (%s); one can be run at a time", dir, len(names), strings.Join(names, ", "))
	}
	artifact := manifest.Artifacts[names[0]]
	name := artifact.Properties.StackName
	if name == "" {
		name = names[0]
	}

	var document struct {
		Resources map[string]*resource
		Outputs   map[string]struct{ Value any }
	}
	if err := readJSON(filepath.Join(dir, artifact.Properties.TemplateFile), &document); err != nil {
		return nil, err
	}
	assets, err := readAssets(dir, names[0])
	if err != nil {
		return nil, err
	}
	described := artifact.Metadata
	if file := artifact.AdditionalMetadataFile; file != "" {
		if err := readJSON(filepath.Join(dir, file), &described); err != nil {
			return nil, err
		}
	}
	paths := described.paths(cmp.Or(artifact.DisplayName, names[0]))
	l := &loader{
		stack: &Stack{Name: name, Outputs: map[string]string{}}, resources: document.Resources, assets: assets, options: options,
		leftOut: map[string]*LeftOut{},
	}
	for _, id := range sortedKeys(document.Resources) {
		document.Resources[id].id, document.Resources[id].path = id, paths[id]
	}
	l.leaveOut(sortedKeys(document.Outputs))
	for _, id := range sortedKeys(document.Resources) {
		if l.leftOut[id] == nil {
			l.load(document.Resources[id])
		}
	}
	for _, id := range sortedKeys(document.Outputs) {
		if slices.Contains(options.Skip, id) {
			continue
		}
		value, err := l.text(document.Outputs[id].Value)
		if err != nil {
			l.problem("output %s: %w%s", id, err, l.withoutIt(id))
		}
		l.stack.Outputs[id] = value
	}
	for _, id := range sortedKeys(l.leftOut) {
		l.stack.LeftOut = append(l.stack.LeftOut, *l.leftOut[id])
	}
	if err := errors.Join(l.problems...); err != nil {
		return nil, fmt.Errorf("template: %s cannot be run here:\n%w", artifact.Properties.TemplateFile, err)
	}
	return l.stack, nil
}

// readAssets maps the hashes of file assets to their directories.
func readAssets(dir, stack string) (map[string]string, error) {
	var document struct {
		Files map[string]struct {
			Source struct{ Path string }
		}
	}
	if err := readJSON(filepath.Join(dir, stack+".assets.json"), &document); err != nil {
		return nil, err
	}
	assets := make(map[string]string, len(document.Files))
	for hash, file := range document.Files {
		assets[hash] = filepath.Join(dir, file.Source.Path)
	}
	return assets, nil
}

func readJSON(file string, into any) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("template: %w", err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("template: %s: %w", file, err)
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
