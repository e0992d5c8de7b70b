package stack

import (
	"context"
	"errors"
	"fmt"
	"log"
	"maps"
	"net"
	"net/http"
	"net/netip"
	neturl "net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudformation"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudwatch"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudwatchlogs"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/datafile"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/dynamodb"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/s3"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/secretsmanager"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/sqs"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/egress"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/faults"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack/timeshift"
)

// A Stack runs until it is closed.
type Stack struct {
	Template       *cloudformation.Stack
	Lambda         *lambda.Host
	StepFunctions  *stepfunctions.Service
	DynamoDB       *dynamodb.Store
	SecretsManager *secretsmanager.Store
	S3             *s3.Store
	SQS            *sqs.Store
	Logs           *cloudwatchlogs.Store
	CloudWatch     *cloudwatch.Store

	url       string
	urls      map[string]string // those of all function URLs, by their logical ids
	chosen    cloudformation.URL
	endpoint  string
	prefix    string // of the names of all functions
	instances []*Instance
	faults    *faults.Injector
	file      *datafile.File
	closers   []func()
}

// awsHost is the host under which the functions reach the AWS endpoints, through HTTP_PROXY. An address would not do:
// the SDK puts "sync-" before the host to call StartSyncExecution.
const awsHost = "aws.local"

// s3Host is the host under which they reach S3, whose requests tell no other way whom they are for.
const s3Host = "s3." + awsHost

// queueBaseURL is what the URLs of queues begin with. Requests are sent to the endpoint, whatever host a queue's URL has, and
// those that go to it all the same come from functions.
const queueBaseURL = "http://" + awsHost

// Load reads the cloud assembly in dir, for a stack whose only function URL is served at a listener. [Config.Load] is for one
// that may have several.
func Load(dir string, functionURL net.Listener) (*cloudformation.Stack, error) {
	c := Config{Listener: functionURL}
	if err := c.Load(dir, Selection{}); err != nil {
		return nil, err
	}
	c.Close() // Start says that there are others
	return c.Template, nil
}

// urlOf is where a listener can be reached from this machine. One that listens on all addresses is not reached under the
// one that stands for them.
func urlOf(listener net.Listener) string {
	address := listener.Addr()
	if all, ok := address.(*net.TCPAddr); ok && all.IP.IsUnspecified() {
		address = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: all.Port}
	}
	return "http://" + address.String()
}

// Start runs a stack. The error says all that is wrong with the template, or what this machine lacks.
func Start(config Config) (_ *Stack, err error) {
	s := &Stack{
		Template: config.Template, prefix: sharedPrefix(config.Template.Functions), instances: instancesOf(config.Template),
		urls: map[string]string{}, faults: faults.New(config.Faults),
	}
	s.takeOver(config.Listener)
	for _, listener := range config.others {
		s.takeOver(listener)
	}
	if config.EndpointListener != nil {
		s.takeOver(config.EndpointListener)
	}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if config.Clock != nil && config.Speed != 0 {
		return nil, errors.New("stack: Config has a Clock and a Speed; give one of them")
	}
	if err := s.listeners(&config); err != nil {
		return nil, err
	}
	if config.EndpointListener == nil {
		if config.EndpointListener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return nil, err
		}
		s.takeOver(config.EndpointListener)
	}
	s.url, s.endpoint = s.urls[s.chosen.ID], urlOf(config.EndpointListener)

	if err := s.openFile(config.DataFile); err != nil {
		return nil, err
	}
	if err := s.createTables(); err != nil {
		return nil, err
	}
	if err := s.createBuckets(); err != nil {
		return nil, err
	}
	if err := s.createSecrets(config); err != nil {
		return nil, err
	}
	if err := s.createQueues(config); err != nil {
		return nil, err
	}
	s.keepLogs(&config)
	if err := s.keepMetrics(&config); err != nil {
		return nil, err
	}
	if err := s.createFunctions(config); err != nil {
		return nil, err
	}
	if err := s.createStateMachines(config); err != nil {
		return nil, err
	}
	s.logStateMachines()

	if config.Prepare != nil {
		config.Prepare(s)
	}
	s.StepFunctions.Resume()

	s.serveURL(config, s.chosen, config.Listener)
	for _, url := range s.Template.URLs {
		if url.ID != s.chosen.ID {
			s.serveURL(config, url, config.others[url.ID])
		}
	}
	s.serve(config.EndpointListener, (&endpoints{
		lambda:         s.faults.Handler(faults.Lambda, s.Lambda),
		stepFunctions:  s.faults.Handler(faults.StepFunctions, s.StepFunctions),
		dynamoDB:       s.faults.Handler(faults.DynamoDB, s.DynamoDB),
		secretsManager: s.faults.Handler(faults.SecretsManager, s.SecretsManager),
		s3:             s.faults.Handler(faults.S3, s.S3),
		sqs:            s.faults.Handler(faults.SQS, s.SQS),
		logs:           s.Logs,
		cloudWatch:     s.CloudWatch,
	}).guarded(), config.EndpointIdleTimeout)
	if err := s.startEventSources(config); err != nil {
		return nil, err
	}
	return s, nil
}

// URL is the function URL at Config.Listener, without a slash at its end. It takes unsigned requests.
func (s *Stack) URL() string { return s.url }

// URLOf is the function URL of an instance, or of another function that has one, without a slash at its end. The name is as
// in [Selection.Instance].
func (s *Stack) URLOf(name string) (string, error) {
	url, err := newNames(s.Template).find(name)
	return s.urls[url.ID], err
}

// Chosen is what the template says of the function URL at Config.Listener.
func (s *Stack) Chosen() cloudformation.URL { return s.chosen }

// Others are the function URLs that are not the one at Config.Listener, without slashes at their ends, by the names that
// [Stack.URLOf] takes.
func (s *Stack) Others() map[string]string {
	named, others := newNames(s.Template), map[string]string{}
	for _, url := range s.Template.URLs {
		if url.ID != s.chosen.ID {
			others[named.of(url)] = s.urls[url.ID]
		}
	}
	return others
}

// listeners notes where each function URL is served.
func (s *Stack) listeners(config *Config) error {
	if config.chosen == "" && len(s.Template.URLs) == 1 {
		config.chosen = s.Template.URLs[0].ID
	}
	for _, url := range s.Template.URLs {
		listener := config.others[url.ID]
		if url.ID == config.chosen {
			s.chosen, listener = url, config.Listener
		}
		if listener == nil {
			return fmt.Errorf("stack: the template has %d function URLs, and nothing listens for that of %s", len(s.Template.URLs), url.FunctionName)
		}
		s.urls[url.ID] = urlOf(listener)
	}
	if s.chosen.ID == "" {
		return fmt.Errorf("stack: the template has %d function URLs; one can be served", len(s.Template.URLs))
	}
	return nil
}

// serveURL serves a function URL.
func (s *Stack) serveURL(config Config, url cloudformation.URL, listener net.Listener) {
	function := url.FunctionName
	if url.Qualifier != "" {
		function += ":" + url.Qualifier
	}
	authType := lambda.AuthNone
	if config.Signed {
		authType = lambda.AuthType(url.AuthType)
	}
	handler := lambda.FunctionURL(s.Lambda, function, lambda.URLConfig{AuthType: authType, CORS: (*lambda.CORS)(url.CORS)})
	if config.Middleware != nil && (url.ID == s.chosen.ID || s.instanceOf(url.FunctionName) != nil) {
		handler = config.Middleware(handler)
	}
	s.serve(listener, handler, config.URLIdleTimeout)
}

// Endpoint is where the AWS APIs are, for --endpoint-url of the AWS CLI.
func (s *Stack) Endpoint() string { return s.endpoint }

// Close ends everything that the stack runs: servers, executions, processes.
func (s *Stack) Close() {
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
	s.closers = nil
}

func (s *Stack) onClose(f func()) { s.closers = append(s.closers, f) }

func (s *Stack) takeOver(listener net.Listener) { s.onClose(func() { listener.Close() }) }

// readHeaderTimeout ends connections on which no request comes.
const readHeaderTimeout = 30 * time.Second

func (s *Stack) serve(listener net.Listener, handler http.Handler, idleTimeout time.Duration) {
	if idleTimeout == 0 {
		idleTimeout = DefaultIdleTimeout
	}
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, ErrorLog: log.New(discard{}, "", 0),
	}
	go func() { _ = server.Serve(listener) }()
	s.onClose(func() { server.Close() })
}

// discard swallows what net/http says of connections that broke.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// openFile opens the file in which tables, objects and queues are kept. Without one they are kept in memory.
func (s *Stack) openFile(path string) error {
	if path == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("stack: %w", err)
	}
	file, err := datafile.Open(path)
	if err != nil {
		return err
	}
	s.file = file
	s.onClose(func() { _ = file.Close() })
	return nil
}

func (s *Stack) createTables() error {
	s.DynamoDB = dynamodb.New(dynamodb.WithFile(s.file))
	var problems []error
	for _, t := range s.Template.Tables {
		definition := dynamodb.TableDefinition{Name: t.Name, ARN: t.ARN, TTLAttribute: t.TTLAttribute}
		for _, key := range t.Keys {
			attribute := dynamodb.KeyAttribute{Name: key.Name, Type: key.Type}
			if key.Role == "RANGE" {
				definition.SortKey = attribute
			} else {
				definition.PartitionKey = attribute
			}
		}
		problems = append(problems, s.DynamoDB.CreateTable(definition))
	}
	// DynamoDB deletes expired records within days. A stack does not run for so long, but its file may lie for longer.
	_, err := s.DynamoDB.DeleteExpired()
	return errors.Join(append(problems, err)...)
}

func (s *Stack) createBuckets() error {
	s.S3 = s3.New(s3.Config{AccountID: cloudformation.AccountID, File: s.file})
	var problems []error
	for _, b := range s.Template.Buckets {
		problems = append(problems, s.S3.CreateBucket(s3.Bucket{Name: b.Name, Lifecycle: b.Lifecycle}))
	}
	// S3 would have deleted what expired while nothing ran.
	_, err := s.S3.DeleteExpired()
	return errors.Join(append(problems, err)...)
}

func (s *Stack) createSecrets(config Config) error {
	s.SecretsManager = secretsmanager.New(secretsmanager.Config{Region: cloudformation.Region, AccountID: cloudformation.AccountID})
	var problems []error
	for _, secret := range s.Template.Secrets {
		value, err := s.keptValue(secret)
		problems = append(problems, err, s.SecretsManager.Create(secretsmanager.Secret{
			Name: secret.Name, ARN: secret.ARN, Description: secret.Description, Tags: secret.Tags, String: value,
		}))
	}
	return errors.Join(append(problems, s.SecretsManager.Provide(config.Secrets))...)
}

// generatedSecrets is the bucket of the file in which secrets are kept that were generated, by their names.
const generatedSecrets = "secretsmanager:generated"

// keptValue is the value of a secret. One that was generated is what it was when the stack was created, which is when the file
// was.
func (s *Stack) keptValue(secret cloudformation.Secret) (string, error) {
	value := secret.Value
	if !secret.Generated {
		return value, nil
	}
	err := s.file.Read(generatedSecrets, secret.Name, func(kept []byte) error {
		if kept != nil {
			value = string(kept)
		}
		return nil
	})
	if err == nil && value == secret.Value {
		err = s.file.Write(datafile.Change{Bucket: generatedSecrets, Key: secret.Name, Value: []byte(value)})
	}
	return value, err
}

func (s *Stack) createFunctions(config Config) error {
	host, err := lambda.NewHost(lambda.Config{
		Region:      cloudformation.Region,
		AccountID:   cloudformation.AccountID,
		Log:         config.Log,
		Metric:      s.keepLambdaMetric,
		KeepRunning: config.KeepRunning,
		Concurrency: config.Concurrency,
		Env: map[string]string{
			"AWS_ENDPOINT_URL":    "http://" + awsHost,
			"AWS_ENDPOINT_URL_S3": "http://" + s3Host,
			"HTTP_PROXY":          s.endpoint,
		},
	})
	if err != nil {
		return err
	}
	s.Lambda = host
	s.onClose(func() { _ = host.Close() })

	upstreams, err := s.upstreams(config)
	if err != nil {
		return err
	}
	networks := loopbackAddresses(config.Upstream) // whatever its port is
	receivers := s.callbackReceivers(config)
	var problems []error
	for _, f := range s.Template.Functions {
		short := s.ShortName(f.Name)
		environment := maps.Clone(f.Environment)
		if url := upstreams[f.Name]; url != "" {
			environment[message.UpstreamVariable], environment[message.AllowedNetworksVariable] = url, networks
			auth, _ := message.UpstreamAuthFrom(func(name string) string { return environment[name] }) // the function says what is wrong
			if auth.TokenURL != "" {
				environment[message.AllowedNetworksVariable] = loopbackAddresses(config.Upstream, auth.TokenURL)
			}
		}
		if own := environment[message.UpstreamVariable]; s.isOwn(own) { // such as that of an upstream of the stack
			environment[message.AllowedNetworksVariable] = strings.Trim(environment[message.AllowedNetworksVariable]+","+loopbackAddresses(own), ",")
		}
		if _, told := environment[message.CallbackURLVariable]; told && config.CallbackURL != "" {
			environment[message.CallbackURLVariable] = config.CallbackURL
		}
		if _, calls := environment[message.CallbackSecretVariable]; calls && receivers != "" {
			environment[message.AllowedNetworksVariable] = strings.Trim(environment[message.AllowedNetworksVariable]+","+receivers, ",")
		}
		if _, rewrites := environment[message.LinksVariable]; rewrites && config.Upstream != "" {
			// An upstream may know itself by its own address, or by that of the proxy's way to it.
			environment[message.LinksVariable] = strings.Join(append(slices.Sorted(maps.Values(upstreams)), config.Upstream), " ")
		}
		if _, calls := f.Environment[message.UpstreamVariable]; calls && config.CertificateAuthority != "" {
			environment[message.AuthorityVariable] += config.CertificateAuthority
		}
		// Who calls here is no stranger: they wait for as long as the engine can hold.
		delete(environment, message.MaxAnonymousWaitVariable)
		maps.Copy(environment, config.Environment[f.Name])
		maps.Copy(environment, config.Environment[short])
		binary := filepath.Join(f.Code, "bootstrap")
		if other, given := config.Binaries[f.Name]; given {
			binary = other
		}
		if other, given := config.Binaries[short]; given {
			binary = other
		}
		problems = append(problems, host.Add(lambda.Function{
			Name:                f.Name,
			ARN:                 f.ARN,
			Path:                binary,
			ProcessName:         short,
			Env:                 environment,
			Timeout:             f.Timeout,
			MemorySize:          f.MemoryMiB,
			ReservedConcurrency: f.ReservedConcurrency,
			Aliases:             f.Aliases,
			LogFormat:           f.LogFormat,
			LogLevel:            f.LogLevel,
			LogGroup:            f.LogGroup,
			TracingActive:       f.TracingActive,
		}))
	}
	return errors.Join(problems...)
}

// isOwn says whether a URL is a function URL of the stack, or below one.
func (s *Stack) isOwn(url string) bool {
	for _, own := range s.urls {
		if url == own || strings.HasPrefix(url, own+"/") {
			return true
		}
	}
	return false
}

// callbackReceivers lists the loopback addresses of those who are called back.
func (s *Stack) callbackReceivers(config Config) string {
	urls := []string{config.CallbackURL}
	for _, f := range s.Template.Functions {
		for host := range strings.FieldsSeq(f.Environment[message.CallbackHostsVariable]) {
			urls = append(urls, "https://"+host)
		}
	}
	return loopbackAddresses(urls...)
}

// lookupTimeout is how long the host of an upstream may take to resolve.
const lookupTimeout = 2 * time.Second

// loopbackAddresses lists the loopback addresses that the hosts of URLs lead to, each alone, as the proxies want them named.
// They may call these here besides public addresses. A URL that is empty, or none, leads nowhere.
func loopbackAddresses(urls ...string) string {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	var prefixes []string
	for _, text := range urls {
		url, err := neturl.Parse(text)
		if err != nil || url.Host == "" {
			continue
		}
		// The addresses of a host that cannot be resolved are not this machine's.
		addresses, _ := net.DefaultResolver.LookupNetIP(ctx, "ip", url.Hostname())
		for _, address := range addresses {
			if address = address.Unmap().WithZone(""); address.IsLoopback() {
				prefixes = append(prefixes, netip.PrefixFrom(address, address.BitLen()).String())
			}
		}
	}
	slices.Sort(prefixes)
	return strings.Join(slices.Compact(prefixes), ",")
}

// upstreams gives the upstream of each function that calls it, by the functions' names. It is empty if that is as the
// template has it.
func (s *Stack) upstreams(config Config) (map[string]string, error) {
	urls := map[string]string{}
	for _, f := range s.Template.Functions {
		if _, calls := f.Environment[message.UpstreamVariable]; !calls || config.Upstream == "" {
			continue
		}
		urls[f.Name] = config.Upstream
		if !config.SourceAddresses {
			continue
		}
		url, forwarder, err := egress.For(config.Upstream, len(urls))
		if err != nil {
			return nil, err
		}
		if forwarder != nil {
			s.onClose(forwarder.Close)
		}
		urls[f.Name] = url
	}
	return urls, nil
}

func (s *Stack) createStateMachines(config Config) error {
	functions, tables, queues := s.Integrations()
	if len(config.ClocksAhead) > 0 {
		ahead, err := s.clocksAhead(config.ClocksAhead)
		if err != nil {
			return err
		}
		functions = timeshift.Ahead(functions, ahead)
	}
	passes := config.Clock
	if passes == nil {
		passes = clock.Faster(config.Speed)
	}
	shifting := timeshift.New(passes, time.Now)
	var err error
	s.StepFunctions, err = stepfunctions.Open(s.file, stepfunctions.Config{
		Lambda: shifting.Lambda(functions), DynamoDB: tables, SQS: queues, Starts: s.faults.StepFunctions, Clock: shifting,
	})
	if err != nil {
		return err
	}
	s.onClose(s.StepFunctions.Close)
	var problems []error
	for _, m := range s.Template.StateMachines {
		problems = append(problems, s.StepFunctions.CreateStateMachine(stepfunctions.StateMachine{
			Name: m.Name, ARN: m.ARN, Type: stepfunctions.Type(m.Type), Definition: m.Definition,
		}))
	}
	return errors.Join(problems...)
}
