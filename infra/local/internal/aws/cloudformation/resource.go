package cloudformation

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"
)

// A resource is an entry of the template's Resources.
type resource struct {
	id string

	// path is that of its construct below the stack's; empty if the assembly does not say.
	path string

	Type       string
	Properties map[string]any
	Metadata   map[string]any
	Condition  string
}

// A loader walks through a template once.
type loader struct {
	stack     *Stack
	resources map[string]*resource
	assets    map[string]string
	options   Options
	problems  []error

	// leftOut are the resources that are not run, by their ids, and loading is the one that is loaded now, if one is.
	leftOut map[string]*LeftOut
	loading *resource
}

func (l *loader) problem(format string, args ...any) {
	l.problems = append(l.problems, fmt.Errorf(format, args...))
}

// A kind is a resource type that is known here.
type kind struct {
	// used are the properties that have a meaning here.
	used []string

	// without are the properties that have none, because nothing here does what they are about: permissions,
	// encryption, log delivery, tracing, descriptions. Of a kind that has no load, nothing runs, whatever its properties say.
	without []string

	// ref and attributes are what Ref and Fn::GetAtt give.
	ref        func(*loader, *resource) (any, error)
	attributes map[string]func(*loader, *resource) (any, error)

	// with are the properties that refer to what the resource is of. It is left out with that.
	with []string

	// load adds the resource to the stack. Nil if there is nothing to run.
	load func(l *loader, r *resource, properties map[string]any) error
}

// kinds are the resource types that are known here. It is filled by init because the functions in it refer to it.
var kinds map[string]kind

func init() {
	kinds = map[string]kind{
		"AWS::CDK::Metadata": {},
		"AWS::IAM::Role": {
			ref:        logicalName,
			attributes: attributes{"Arn": func(l *loader, r *resource) (any, error) { return "arn:aws:iam::" + AccountID + ":role/" + r.id, nil }},
		},
		"AWS::IAM::Policy":        {ref: logicalName},
		"AWS::Lambda::Permission": {ref: logicalName},
		"AWS::KMS::Key": {
			ref:        logicalName,
			attributes: attributes{"Arn": func(l *loader, r *resource) (any, error) { return arn("kms", "key/"+r.id), nil }},
		},
		"AWS::KMS::Alias": {ref: physicalName("AliasName")},
		// Nothing fires here by itself: whoever tests such a trigger hands the function its event.
		"AWS::Events::Rule": {
			ref:        physicalName("Name"),
			attributes: attributes{"Arn": func(l *loader, r *resource) (any, error) { return arn("events", "rule/"+r.id), nil }},
		},
		"AWS::Scheduler::Schedule": {
			ref:        physicalName("Name"),
			attributes: attributes{"Arn": func(l *loader, r *resource) (any, error) { return arn("scheduler", "schedule/default/"+r.id), nil }},
		},
		"AWS::Lambda::EventInvokeConfig": {ref: logicalName},
		"AWS::Logs::LogGroup": {
			ref: physicalName("LogGroupName"),
			attributes: attributes{"Arn": func(l *loader, r *resource) (any, error) {
				name, err := physicalName("LogGroupName")(l, r)
				return arn("logs", "log-group:"+fmt.Sprint(name)+":*"), err
			}},
		},
		"AWS::Logs::MetricFilter": {
			used:    []string{"FilterPattern", "LogGroupName", "MetricTransformations"},
			without: []string{"FilterName", "ApplyOnTransformedLogs", "EmitSystemFieldDimensions", "FieldSelectionCriteria"},
			with:    []string{"LogGroupName"},
			ref:     logicalName,
			load:    loadMetricFilter,
		},
		"AWS::DynamoDB::GlobalTable": {
			used:    []string{"TableName", "AttributeDefinitions", "KeySchema", "TimeToLiveSpecification", "Replicas"},
			without: []string{"BillingMode", "SSESpecification", "StreamSpecification", "WriteOnDemandThroughputSettings"},
			ref:     physicalName("TableName"),
			attributes: attributes{"Arn": func(l *loader, r *resource) (any, error) {
				name, err := physicalName("TableName")(l, r)
				return arn("dynamodb", "table/"+fmt.Sprint(name)), err
			}},
			load: loadTable,
		},
		"AWS::Lambda::Function": {
			used:       []string{"FunctionName", "Code", "Environment", "Timeout", "MemorySize", "Handler", "Runtime", "Architectures", "PackageType", "ReservedConcurrentExecutions", "LoggingConfig", "TracingConfig"},
			without:    []string{"Role", "Description", "Tags", "KmsKeyArn", "VpcConfig"},
			ref:        physicalName("FunctionName"),
			attributes: attributes{"Arn": functionARN},
			load:       loadFunction,
		},
		"AWS::Lambda::Version": {
			used: []string{"FunctionName"}, with: []string{"FunctionName"},
			ref: func(l *loader, r *resource) (any, error) { return functionARNOf(l, r, "1") },
			attributes: attributes{
				"Version":     func(*loader, *resource) (any, error) { return "1", nil },
				"FunctionArn": func(l *loader, r *resource) (any, error) { return functionARNOf(l, r, "1") },
			},
		},
		"AWS::Lambda::Alias": {
			used: []string{"FunctionName", "FunctionVersion", "Name"}, without: []string{"Description", "ProvisionedConcurrencyConfig"},
			with: []string{"FunctionName"},
			ref: func(l *loader, r *resource) (any, error) {
				name, err := l.text(r.Properties["Name"])
				if err != nil {
					return nil, err
				}
				return functionARNOf(l, r, name)
			},
		},
		"AWS::Lambda::Url": {
			used: []string{"AuthType", "TargetFunctionArn", "Qualifier", "Cors"}, with: []string{"TargetFunctionArn"},
			ref: func(l *loader, r *resource) (any, error) { return l.text(r.Properties["TargetFunctionArn"]) },
			attributes: attributes{
				"FunctionUrl": func(l *loader, r *resource) (any, error) { return l.options.FunctionURLs[r.id], nil },
				"FunctionArn": func(l *loader, r *resource) (any, error) { return l.text(r.Properties["TargetFunctionArn"]) },
			},
			load: loadURL,
		},
		"AWS::Lambda::EventSourceMapping": {
			used:       []string{"EventSourceArn", "FunctionName", "BatchSize", "MaximumBatchingWindowInSeconds", "FunctionResponseTypes", "ScalingConfig", "Enabled"},
			without:    []string{"KmsKeyArn", "Tags"},
			with:       []string{"FunctionName", "EventSourceArn"},
			ref:        logicalName,
			attributes: attributes{"Id": logicalName},
			load:       loadEventSource,
		},
		// Objects are encrypted by nobody here, and whoever can reach the endpoint can read and write them.
		"AWS::S3::Bucket": {
			used:       []string{"BucketName", "LifecycleConfiguration"},
			without:    []string{"BucketEncryption", "PublicAccessBlockConfiguration", "OwnershipControls", "Tags"},
			ref:        bucketName,
			attributes: attributes{"Arn": bucketARN, "DomainName": bucketDomainName},
			load:       loadBucket,
		},
		"AWS::S3::BucketPolicy": {ref: logicalName},
		"AWS::SQS::Queue": {
			used: []string{
				"QueueName", "VisibilityTimeout", "MessageRetentionPeriod", "DelaySeconds", "ReceiveMessageWaitTimeSeconds", "MaximumMessageSize",
				"RedrivePolicy", "RedriveAllowPolicy",
			},
			without:    []string{"SqsManagedSseEnabled", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "Tags"},
			ref:        queueURL,
			attributes: attributes{"Arn": queueARN, "QueueName": queueName, "QueueUrl": queueURL},
			load:       loadQueue,
		},
		"AWS::SQS::QueuePolicy": {ref: logicalName},
		"AWS::SecretsManager::Secret": {
			used:       []string{"Name", "Description", "SecretString", "GenerateSecretString", "Tags"},
			without:    []string{"KmsKeyId", "ReplicaRegions", "Type"},
			ref:        secretARN,
			attributes: attributes{"Id": secretARN},
			load:       loadSecret,
		},
		"AWS::StepFunctions::StateMachine": {
			used:    []string{"StateMachineName", "StateMachineType", "DefinitionString", "LoggingConfiguration"},
			without: []string{"RoleArn", "TracingConfiguration", "EncryptionConfiguration", "Tags"},
			ref:     stateMachineARN,
			attributes: attributes{
				"Arn":                    stateMachineARN,
				"Name":                   physicalName("StateMachineName"),
				"StateMachineRevisionId": func(*loader, *resource) (any, error) { return "INITIAL", nil },
			},
			load: loadStateMachine,
		},
		// Nothing is deployed twice here, so that the first version is the only one.
		"AWS::StepFunctions::StateMachineVersion": {
			used:       []string{"StateMachineArn"},
			without:    []string{"StateMachineRevisionId", "Description"},
			ref:        stateMachineVersionARN,
			attributes: attributes{"Arn": stateMachineVersionARN},
		},
	}
}

type attributes = map[string]func(*loader, *resource) (any, error)

func kindOf(r *resource) (kind, error) {
	k, found := kinds[r.Type]
	if !found {
		return kind{}, fmt.Errorf("resource %s has type %s, which is not known here", r.id, r.Type)
	}
	return k, nil
}

// load checks a resource and adds what it stands for to the stack. A problem with it says how to do without it.
func (l *loader) load(r *resource) {
	l.loading = r
	defer func() { l.loading = nil }()
	problem := func(format string, args ...any) {
		l.problem("%w%s", fmt.Errorf(format, args...), l.withoutIt(cmp.Or(r.path, r.id)))
	}
	k, err := kindOf(r)
	if err != nil {
		problem("%w", err)
		return
	}
	if r.Condition != "" && r.Type != "AWS::CDK::Metadata" {
		problem("resource %s depends on condition %s; conditions are not known here", r.id, r.Condition)
	}
	runs := k.load != nil || len(k.used) > 0
	var unknown []string
	for name := range r.Properties {
		if runs && !slices.Contains(k.used, name) && !slices.Contains(k.without, name) {
			unknown = append(unknown, name)
		}
	}
	sort.Strings(unknown)
	for _, name := range unknown {
		problem("resource %s (%s) has the property %s, which is not known here", r.id, r.Type, name)
	}
	properties := make(map[string]any, len(k.used))
	for _, name := range k.used {
		if value, given := r.Properties[name]; given {
			if properties[name], err = l.evaluate(value); err != nil {
				problem("resource %s, property %s: %w", r.id, name, err)
				return
			}
		}
	}
	if k.load == nil {
		return
	}
	if err := k.load(l, r, properties); err != nil {
		problem("resource %s (%s): %w", r.id, r.Type, err)
	}
}

// into converts evaluated properties to a struct, strictly.
func into(properties map[string]any, target any) error {
	text, err := json.Marshal(properties)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.DisallowUnknownFields()
	return decoder.Decode(target)
}

func loadFunction(l *loader, r *resource, properties map[string]any) error {
	var p struct {
		FunctionName                 string
		Code                         struct{ S3Bucket, S3Key string }
		Environment                  struct{ Variables map[string]string }
		Timeout                      float64
		MemorySize                   int
		Handler, Runtime             string
		Architectures                []string
		PackageType                  string
		ReservedConcurrentExecutions *int
		LoggingConfig                struct{ LogFormat, LogGroup, ApplicationLogLevel, SystemLogLevel string }
		TracingConfig                struct{ Mode string }
	}
	if err := into(properties, &p); err != nil {
		return err
	}
	if p.Handler != handler {
		return fmt.Errorf("handler %s of runtime %s cannot be run here; %s can", p.Handler, p.Runtime, handler)
	}
	hash := strings.TrimSuffix(p.Code.S3Key, ".zip")
	code, found := l.assets[hash]
	if !found {
		return fmt.Errorf("its code %s is not an asset of the cloud assembly", p.Code.S3Key)
	}
	name, err := physicalName("FunctionName")(l, r)
	if err != nil {
		return err
	}
	function := Function{
		Name:                name.(string),
		ARN:                 arn("lambda", "function:"+name.(string)),
		Path:                r.path,
		Environment:         p.Environment.Variables,
		Timeout:             time.Duration(p.Timeout * float64(time.Second)),
		MemoryMiB:           p.MemorySize,
		Code:                code,
		Architecture:        "x86_64",
		Metadata:            r.Metadata,
		ReservedConcurrency: p.ReservedConcurrentExecutions,
		LogFormat:           p.LoggingConfig.LogFormat,
		LogLevel:            p.LoggingConfig.ApplicationLogLevel,
		LogGroup:            p.LoggingConfig.LogGroup,
		TracingActive:       p.TracingConfig.Mode == "Active",
		Aliases:             map[string]string{},
	}
	if function.Timeout == 0 {
		function.Timeout = defaultFunctionTimeout
	}
	if function.MemoryMiB == 0 {
		function.MemoryMiB = defaultFunctionMemoryMiB
	}
	if len(p.Architectures) > 0 {
		function.Architecture = p.Architectures[0]
	}
	for _, other := range l.resources {
		if other.Type != "AWS::Lambda::Alias" || l.leftOut[other.id] != nil {
			continue
		}
		if of, err := l.text(other.Properties["FunctionName"]); err != nil || of != function.Name {
			continue
		}
		alias, err := l.text(other.Properties["Name"])
		if err != nil {
			return err
		}
		if function.Aliases[alias], err = l.text(other.Properties["FunctionVersion"]); err != nil {
			return err
		}
	}
	l.stack.Functions = append(l.stack.Functions, function)
	return nil
}

// Lambda's defaults.
const (
	defaultFunctionTimeout   = 3 * time.Second
	defaultFunctionMemoryMiB = 128
)

// allowedMethods are the methods that the Cors of a URL can allow. Preflights are the URL's own matter.
var allowedMethods = []string{"GET", "PUT", "HEAD", "POST", "PATCH", "DELETE", "*"}

func loadURL(l *loader, r *resource, properties map[string]any) error {
	var p struct {
		AuthType, TargetFunctionArn, Qualifier string
		Cors                                   *CORS
	}
	if err := into(properties, &p); err != nil {
		return err
	}
	if p.Cors != nil {
		for _, method := range p.Cors.AllowMethods {
			if !slices.Contains(allowedMethods, method) {
				return fmt.Errorf("its Cors allows the method %s; CloudFormation takes %s", method, strings.Join(allowedMethods, ", "))
			}
		}
	}
	name := p.TargetFunctionArn[strings.LastIndex(p.TargetFunctionArn, ":")+1:]
	l.stack.URLs = append(l.stack.URLs, URL{ID: r.id, Path: r.path, Address: l.options.FunctionURLs[r.id], FunctionName: name, Qualifier: p.Qualifier, AuthType: p.AuthType, CORS: p.Cors})
	return nil
}

func loadStateMachine(l *loader, r *resource, properties map[string]any) error {
	var p struct {
		StateMachineName, StateMachineType, DefinitionString string
		LoggingConfiguration                                 struct {
			Destinations         []struct{ CloudWatchLogsLogGroup struct{ LogGroupArn string } }
			IncludeExecutionData bool   // nothing is logged with it
			Level                string // of anything but OFF, all is logged
		}
	}
	if err := into(properties, &p); err != nil {
		return err
	}
	name, err := physicalName("StateMachineName")(l, r)
	if err != nil {
		return err
	}
	machine := StateMachine{
		Name:       name.(string),
		ARN:        arn("states", "stateMachine:"+name.(string)),
		Type:       p.StateMachineType,
		Definition: p.DefinitionString,
	}
	if machine.Type == "" {
		machine.Type = "STANDARD"
	}
	if to := p.LoggingConfiguration.Destinations; len(to) > 0 && p.LoggingConfiguration.Level != "OFF" {
		_, group, _ := strings.Cut(to[0].CloudWatchLogsLogGroup.LogGroupArn, ":log-group:")
		machine.LogGroup = strings.TrimSuffix(group, ":*")
	}
	l.stack.StateMachines = append(l.stack.StateMachines, machine)
	return nil
}

func loadTable(l *loader, r *resource, properties map[string]any) error {
	var p struct {
		TableName            string
		AttributeDefinitions []struct{ AttributeName, AttributeType string }
		KeySchema            []struct{ AttributeName, KeyType string }
		Replicas             []struct {
			Region                            string
			PointInTimeRecoverySpecification  any // backups
			DeletionProtectionEnabled         any // deployments
			SSESpecification                  any // encryption
			Tags                              any
			ContributorInsightsSpecification  any
			ReadOnDemandThroughputSettings    any
			ReadProvisionedThroughputSettings any
		}
		TimeToLiveSpecification struct {
			AttributeName string
			Enabled       bool
		}
	}
	if err := into(properties, &p); err != nil {
		return err
	}
	if len(p.Replicas) > 1 {
		return fmt.Errorf("it has %d replicas; one can be run here", len(p.Replicas))
	}
	name, err := physicalName("TableName")(l, r)
	if err != nil {
		return err
	}
	table := Table{Name: name.(string), ARN: arn("dynamodb", "table/"+name.(string))}
	for _, key := range p.KeySchema {
		k := Key{Name: key.AttributeName, Role: key.KeyType}
		for _, definition := range p.AttributeDefinitions {
			if definition.AttributeName == k.Name {
				k.Type = definition.AttributeType
			}
		}
		table.Keys = append(table.Keys, k)
	}
	if p.TimeToLiveSpecification.Enabled {
		table.TTLAttribute = p.TimeToLiveSpecification.AttributeName
	}
	l.stack.Tables = append(l.stack.Tables, table)
	return nil
}

// physicalName gives the name that a property sets, or the one that is made from the logical id where CloudFormation
// would make one.
func physicalName(property string) func(*loader, *resource) (any, error) {
	return func(l *loader, r *resource) (any, error) {
		if value, given := r.Properties[property]; given {
			return l.text(value)
		}
		return l.stack.Name + "-" + r.id, nil
	}
}

func logicalName(l *loader, r *resource) (any, error) { return l.stack.Name + "-" + r.id, nil }

func functionARN(l *loader, r *resource) (any, error) {
	name, err := physicalName("FunctionName")(l, r)
	return arn("lambda", "function:"+fmt.Sprint(name)), err
}

// functionARNOf gives the ARN of a version or an alias of the function that a resource names.
func functionARNOf(l *loader, r *resource, qualifier string) (any, error) {
	name, err := l.text(r.Properties["FunctionName"])
	return arn("lambda", "function:"+name+":"+qualifier), err
}

func stateMachineARN(l *loader, r *resource) (any, error) {
	name, err := physicalName("StateMachineName")(l, r)
	return arn("states", "stateMachine:"+fmt.Sprint(name)), err
}

func stateMachineVersionARN(l *loader, r *resource) (any, error) {
	machine, err := l.text(r.Properties["StateMachineArn"])
	return machine + ":1", err
}

func arn(service, resource string) string {
	return strings.Join([]string{"arn", Partition, service, Region, AccountID, resource}, ":")
}
