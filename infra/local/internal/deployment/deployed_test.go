package deployment_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamodbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudformation"
)

func (a *account) config() aws.Config {
	return aws.Config{
		Region: region, BaseEndpoint: &a.endpoint,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	}
}

func (a *account) lambda() *lambda.Client { return lambda.NewFromConfig(a.config()) }

func (a *account) stepFunctions() *sfn.Client { return sfn.NewFromConfig(a.config()) }

func (a *account) dynamoDB() *dynamodb.Client { return dynamodb.NewFromConfig(a.config()) }

func (a *account) s3() *s3.Client {
	return s3.NewFromConfig(a.config(), func(o *s3.Options) { o.UsePathStyle = true })
}

// deployed reads what the services have, as the local stack wants it: what the gateway's URL and the state machines lead to, in
// the versions that they lead to, with the code that Lambda has. Metadata are those of the template, which is all that nobody
// deploys.
func (a *account) deployed(t *testing.T, description *stackDescription, template *cloudformation.Stack) *cloudformation.Stack {
	t.Helper()
	stack := &cloudformation.Stack{Name: template.Name, Outputs: description.Outputs}
	a.addFunctions(t, stack, template)
	a.addStateMachines(t, stack)
	physical := slices.Collect(maps.Values(description.Resources))
	for _, table := range a.tables(t) {
		if slices.Contains(physical, table) { // not what an earlier stack has left
			a.addTable(t, stack, table)
		}
	}
	return stack
}

func (a *account) addFunctions(t *testing.T, stack, template *cloudformation.Stack) {
	t.Helper()
	client := a.lambda()
	list, err := client.ListFunctions(t.Context(), &lambda.ListFunctionsInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, latest := range list.Functions {
		name := *latest.FunctionName
		aliases, err := client.ListAliases(t.Context(), &lambda.ListAliasesInput{FunctionName: &name})
		if err != nil {
			t.Fatal(err)
		}
		f := cloudformation.Function{Name: name, ARN: *latest.FunctionArn, Aliases: map[string]string{}}
		if len(aliases.Aliases) != 1 {
			t.Fatalf("%s has %d aliases; 1 is expected", name, len(aliases.Aliases))
		}
		alias := aliases.Aliases[0]
		f.Aliases[*alias.Name] = *alias.FunctionVersion
		version, err := client.GetFunction(t.Context(), &lambda.GetFunctionInput{FunctionName: &name, Qualifier: alias.FunctionVersion})
		if err != nil {
			t.Fatalf("%s:%s leads to version %s: %v", name, *alias.Name, *alias.FunctionVersion, err)
		}
		c := version.Configuration
		// A version that nobody publishes any more, or an alias that is not moved, is what an update must not leave.
		if difference := differs(c, &latest); difference != "" {
			t.Errorf("%s:%s is version %s, which is not what was deployed last: %s", name, *alias.Name, *alias.FunctionVersion, difference)
		}
		f.Timeout, f.MemoryMiB = time.Duration(*c.Timeout)*time.Second, int(*c.MemorySize)
		f.Architecture = string(c.Architectures[0])
		if c.Environment != nil {
			f.Environment = c.Environment.Variables
		}
		if logging := c.LoggingConfig; logging != nil {
			f.LogFormat, f.LogLevel, f.LogGroup = string(logging.LogFormat), string(logging.ApplicationLogLevel), aws.ToString(logging.LogGroup)
		}
		f.TracingActive = c.TracingConfig.Mode == lambdatypes.TracingModeActive
		if version.Concurrency != nil {
			reserved := int(*version.Concurrency.ReservedConcurrentExecutions)
			f.ReservedConcurrency = &reserved
		}
		for _, declared := range template.Functions {
			if declared.Name == name {
				f.Metadata = declared.Metadata
			}
		}
		f.Code = a.code(t, c)
		stack.Functions = append(stack.Functions, f)
		a.addURL(t, stack, name)
	}
}

// differs says in what a version is not as $LATEST is.
func differs(version, latest *lambdatypes.FunctionConfiguration) string {
	var found []string
	if *version.CodeSha256 != *latest.CodeSha256 {
		found = append(found, "the code")
	}
	if version.Environment != nil && !maps.Equal(version.Environment.Variables, latest.Environment.Variables) {
		found = append(found, "the environment")
	}
	if *version.MemorySize != *latest.MemorySize || *version.Timeout != *latest.Timeout {
		found = append(found, "memory or timeout")
	}
	if !slices.Equal(version.Architectures, latest.Architectures) {
		found = append(found, "the architecture")
	}
	return strings.Join(found, ", ")
}

func (a *account) addURL(t *testing.T, stack *cloudformation.Stack, function string) {
	t.Helper()
	answer, err := a.lambda().GetFunctionUrlConfig(t.Context(), &lambda.GetFunctionUrlConfigInput{FunctionName: &function})
	if missing := new(lambdatypes.ResourceNotFoundException); errors.As(err, &missing) {
		return
	} else if err != nil {
		t.Fatal(err)
	}
	_, qualifier, _ := strings.Cut(*answer.FunctionArn, ":function:"+function+":")
	stack.URLs = append(stack.URLs, cloudformation.URL{ID: "Url", FunctionName: function, Qualifier: qualifier, AuthType: string(answer.AuthType)})
}

func (a *account) addStateMachines(t *testing.T, stack *cloudformation.Stack) {
	t.Helper()
	client := a.stepFunctions()
	list, err := client.ListStateMachines(t.Context(), &sfn.ListStateMachinesInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range list.StateMachines {
		machine, err := client.DescribeStateMachine(t.Context(), &sfn.DescribeStateMachineInput{StateMachineArn: entry.StateMachineArn})
		if err != nil {
			t.Fatal(err)
		}
		stack.StateMachines = append(stack.StateMachines, cloudformation.StateMachine{
			Name: *machine.Name, ARN: *machine.StateMachineArn, Type: string(machine.Type), Definition: *machine.Definition,
		})
		if machine.LoggingConfiguration.Level != sfntypes.LogLevelAll || machine.LoggingConfiguration.IncludeExecutionData {
			t.Errorf("%s logs %s, with data: %v; ALL is expected, without", *machine.Name, machine.LoggingConfiguration.Level,
				machine.LoggingConfiguration.IncludeExecutionData)
		}
		if !machine.TracingConfiguration.Enabled {
			t.Errorf("%s begins no traces", *machine.Name)
		}
	}
}

func (a *account) addTable(t *testing.T, stack *cloudformation.Stack, name string) {
	t.Helper()
	client := a.dynamoDB()
	description, err := client.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: &name})
	if err != nil {
		t.Fatal(err)
	}
	table := cloudformation.Table{Name: name, ARN: *description.Table.TableArn}
	for _, key := range description.Table.KeySchema {
		for _, attribute := range description.Table.AttributeDefinitions {
			if *attribute.AttributeName == *key.AttributeName {
				table.Keys = append(table.Keys, cloudformation.Key{
					Name: *key.AttributeName, Role: string(key.KeyType), Type: string(attribute.AttributeType),
				})
			}
		}
	}
	lives, err := client.DescribeTimeToLive(t.Context(), &dynamodb.DescribeTimeToLiveInput{TableName: &name})
	if err != nil {
		t.Fatal(err)
	}
	if lives.TimeToLiveDescription.TimeToLiveStatus == dynamodbtypes.TimeToLiveStatusEnabled {
		table.TTLAttribute = *lives.TimeToLiveDescription.AttributeName
	}
	backups, err := client.DescribeContinuousBackups(t.Context(), &dynamodb.DescribeContinuousBackupsInput{TableName: &name})
	if err != nil {
		t.Fatal(err)
	}
	recovery := backups.ContinuousBackupsDescription.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus
	if recovery != dynamodbtypes.PointInTimeRecoveryStatusEnabled {
		t.Errorf("point-in-time recovery of %s is %s", name, recovery)
	}
	stack.Tables = append(stack.Tables, table)
}
