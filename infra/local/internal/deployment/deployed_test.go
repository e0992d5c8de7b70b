package deployment_test

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
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

func (a *account) lambda() *lambda.Client            { return lambda.NewFromConfig(a.config()) }
func (a *account) stepFunctions() *sfn.Client        { return sfn.NewFromConfig(a.config()) }
func (a *account) dynamoDB() *dynamodb.Client        { return dynamodb.NewFromConfig(a.config()) }
func (a *account) s3(o func(*s3.Options)) *s3.Client { return s3.NewFromConfig(a.config(), o) }

// A stackDescription is what CloudFormation says of a stack.
type stackDescription struct {
	Status  string
	Outputs map[string]string

	// Resources maps logical ids to physical ones.
	Resources map[string]string
}

// describe asks CloudFormation for the stack. It is nil if there is none.
func (a *account) describe(t *testing.T, stack string) *stackDescription {
	t.Helper()
	var stacks struct {
		Stacks []struct {
			StackStatus string
			Outputs     struct {
				Member []struct{ OutputKey, OutputValue string } `xml:"member"`
			}
		} `xml:"DescribeStacksResult>Stacks>member"`
	}
	if err := a.query(t, "cloudformation", "DescribeStacks", map[string]string{"StackName": stack}, &stacks); err != nil {
		if strings.Contains(err.Error(), "does not exist") {
			return nil
		}
		t.Fatal(err)
	}
	d := &stackDescription{Status: stacks.Stacks[0].StackStatus, Outputs: map[string]string{}, Resources: map[string]string{}}
	for _, output := range stacks.Stacks[0].Outputs.Member {
		d.Outputs[output.OutputKey] = output.OutputValue
	}
	var resources struct {
		Resources []struct{ LogicalResourceId, PhysicalResourceId string } `xml:"DescribeStackResourcesResult>StackResources>member"`
	}
	if err := a.query(t, "cloudformation", "DescribeStackResources", map[string]string{"StackName": stack}, &resources); err != nil {
		t.Fatal(err)
	}
	for _, resource := range resources.Resources {
		d.Resources[resource.LogicalResourceId] = resource.PhysicalResourceId
	}
	return d
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

// code unpacks the code of a function and gives its directory. moto serves no code under the address that GetFunction gives,
// so it is taken from the bucket of the bootstrap, by what Lambda says of it.
func (a *account) code(t *testing.T, c *lambdatypes.FunctionConfiguration) string {
	t.Helper()
	client := a.s3(func(o *s3.Options) { o.UsePathStyle = true })
	bucket := "cdk-hnb659fds-assets-" + accountID + "-" + region
	objects, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket})
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects.Contents {
		if !strings.HasSuffix(*object.Key, ".zip") || *object.Size != c.CodeSize {
			continue
		}
		answer, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: object.Key})
		if err != nil {
			t.Fatal(err)
		}
		packed, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(packed); base64.StdEncoding.EncodeToString(sum[:]) == *c.CodeSha256 {
			return unpacked(t, packed)
		}
	}
	t.Fatalf("no object in %s is the code of %s", bucket, *c.FunctionName)
	return ""
}

func unpacked(t *testing.T, packed []byte) string {
	t.Helper()
	archive, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	if err := os.CopyFS(directory, archive); err != nil {
		t.Fatal(err)
	}
	for _, file := range archive.File { // fs.FS has the modes of files, and os.CopyFS keeps no more than rwx of some
		if !file.FileInfo().IsDir() {
			if err := os.Chmod(filepath.Join(directory, file.Name), file.Mode().Perm()); err != nil {
				t.Fatal(err)
			}
		}
	}
	return directory
}

// machines are what ELF calls the architectures of Lambda.
var machines = map[string]elf.Machine{"arm64": elf.EM_AARCH64, "x86_64": elf.EM_X86_64}

// checkCode looks at what Lambda would start.
func checkCode(t *testing.T, functions []cloudformation.Function) {
	t.Helper()
	for _, f := range functions {
		file := filepath.Join(f.Code, "bootstrap")
		program, err := elf.Open(file)
		if err != nil {
			t.Errorf("the code of %s: %v", f.Name, err)
			continue
		}
		if program.Machine != machines[f.Architecture] {
			t.Errorf("the code of %s is for %v; the function is for %s", f.Name, program.Machine, f.Architecture)
		}
		program.Close()
		if info, err := os.Stat(file); err != nil || info.Mode().Perm()&0o111 != 0o111 {
			t.Errorf("the code of %s cannot be run by everybody: %v, %v", f.Name, info.Mode(), err)
		}
	}
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
	stack.URLs = append(stack.URLs, cloudformation.URL{FunctionName: function, Qualifier: qualifier, AuthType: string(answer.AuthType)})
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
	{
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
}

func (a *account) tables(t *testing.T) []string {
	t.Helper()
	list, err := a.dynamoDB().ListTables(t.Context(), &dynamodb.ListTablesInput{})
	if err != nil {
		t.Fatal(err)
	}
	return list.TableNames
}

// logGroups maps the names of the log groups to how many days they keep what they have; 0 is for ever.
func (a *account) logGroups(t *testing.T) map[string]int {
	t.Helper()
	var list struct {
		LogGroups []struct {
			LogGroupName    string `json:"logGroupName"`
			RetentionInDays int    `json:"retentionInDays"`
		} `json:"logGroups"`
	}
	if err := a.json(t, "logs", "Logs_20140328.DescribeLogGroups", struct{}{}, &list); err != nil {
		t.Fatal(err)
	}
	groups := map[string]int{}
	for _, group := range list.LogGroups {
		groups[group.LogGroupName] = group.RetentionInDays
	}
	return groups
}

// roles are the names of the roles but for those of the bootstrap.
func (a *account) roles(t *testing.T) []string {
	t.Helper()
	var list struct {
		Names []string `xml:"ListRolesResult>Roles>member>RoleName"`
	}
	if err := a.query(t, "iam", "ListRoles", nil, &list); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(list.Names, func(name string) bool { return strings.HasPrefix(name, "cdk-hnb659fds-") })
}

// A policyDocument says what a role may do.
type policyDocument struct {
	Statement []struct {
		Effect           string
		Action, Resource texts
	}
}

// texts is a text or a list of them.
type texts []string

func (s *texts) UnmarshalJSON(data []byte) error {
	var one string
	if err := json.Unmarshal(data, &one); err == nil {
		*s = texts{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(s))
}

// policies are the inline policies of a role, by their names.
func (a *account) policies(t *testing.T, role string) map[string]policyDocument {
	t.Helper()
	var list struct {
		Names []string `xml:"ListRolePoliciesResult>PolicyNames>member"`
	}
	if err := a.query(t, "iam", "ListRolePolicies", map[string]string{"RoleName": role}, &list); err != nil {
		t.Fatal(err)
	}
	documents := map[string]policyDocument{}
	for _, name := range list.Names {
		var answer struct {
			Document string `xml:"GetRolePolicyResult>PolicyDocument"`
		}
		if err := a.query(t, "iam", "GetRolePolicy", map[string]string{"RoleName": role, "PolicyName": name}, &answer); err != nil {
			t.Fatal(err)
		}
		text, err := url.QueryUnescape(answer.Document)
		if err != nil {
			t.Fatal(err)
		}
		var document policyDocument
		if err := json.Unmarshal([]byte(text), &document); err != nil {
			t.Fatalf("the policy %s of %s: %v\n%s", name, role, err, text)
		}
		documents[name] = document
	}
	return documents
}

// A template is what the CDK wrote, as far as what CloudFormation says is compared with it.
type template struct {
	Resources map[string]struct {
		Type       string
		Properties struct {
			Action         string
			PolicyName     string
			PolicyDocument struct{ Statement []struct{ Action texts } }
			Roles          []struct{ Ref string }
		}
		DeletionPolicy string
	}
}

func readTemplate(t *testing.T, directory string) template {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(directory, stackName+".template.json"))
	if err != nil {
		t.Fatal(err)
	}
	var declared template
	if err := json.Unmarshal(text, &declared); err != nil {
		t.Fatal(err)
	}
	return declared
}

// checkVersions has the gateway start those versions of the state machines that have the definitions which were deployed last.
func (a *account) checkVersions(t *testing.T, stack *cloudformation.Stack) {
	t.Helper()
	definitions := map[string]string{}
	for _, m := range stack.StateMachines {
		definitions[m.ARN] = m.Definition
	}
	for _, f := range stack.Functions {
		for name, value := range f.Environment {
			if !strings.Contains(value, ":stateMachine:") {
				continue
			}
			machine, err := a.stepFunctions().DescribeStateMachine(t.Context(), &sfn.DescribeStateMachineInput{StateMachineArn: &value})
			if err != nil {
				t.Errorf("%s has %s=%s: %v", f.Name, name, value, err)
				continue
			}
			if latest := definitions[value[:strings.LastIndex(value, ":")]]; latest != *machine.Definition {
				t.Errorf("%s has %s=%s, whose definition is not the one that was deployed last", f.Name, name, value)
			}
		}
	}
}

// checkPolicies compares the rights of the roles with those in the template, and has them name what is there.
func (a *account) checkPolicies(t *testing.T, declared template, description *stackDescription, stack *cloudformation.Stack) {
	t.Helper()
	var there []string
	for _, f := range stack.Functions {
		there = append(there, f.ARN)
	}
	for _, m := range stack.StateMachines {
		there = append(there, m.ARN)
	}
	for _, table := range stack.Tables {
		there = append(there, table.ARN)
	}
	for name := range a.logGroups(t) {
		there = append(there, "arn:aws:logs:"+region+":"+accountID+":log-group:"+name+":*")
	}
	for id, resource := range declared.Resources {
		if resource.Type != "AWS::IAM::Policy" {
			continue
		}
		for _, role := range resource.Properties.Roles {
			document, found := a.policies(t, description.Resources[role.Ref])[resource.Properties.PolicyName]
			if !found {
				t.Errorf("the role %s has not the policy %s", description.Resources[role.Ref], id)
				continue
			}
			var want, got []string
			for _, statement := range resource.Properties.PolicyDocument.Statement {
				want = append(want, strings.Join(statement.Action, " "))
			}
			for _, statement := range document.Statement {
				got = append(got, strings.Join(statement.Action, " "))
				for _, arn := range statement.Resource {
					if problem := namesNothing(arn, there); problem != "" {
						t.Errorf("%s allows %v to %s, %s", id, statement.Action, arn, problem)
					}
				}
			}
			if !slices.Equal(want, got) {
				t.Errorf("%s allows %q; the template says %q", id, got, want)
			}
		}
	}
}

// checkPermissions compares what others may do with the gateway with what the template says.
func (a *account) checkPermissions(t *testing.T, declared template, stack *cloudformation.Stack) {
	t.Helper()
	var want, got []string
	for _, resource := range declared.Resources {
		if resource.Type == "AWS::Lambda::Permission" {
			want = append(want, resource.Properties.Action)
		}
	}
	for _, endpoint := range stack.URLs {
		answer, err := a.lambda().GetPolicy(t.Context(), &lambda.GetPolicyInput{FunctionName: &endpoint.FunctionName, Qualifier: &endpoint.Qualifier})
		if missing := new(lambdatypes.ResourceNotFoundException); errors.As(err, &missing) {
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		var policy struct{ Statement []struct{ Action string } }
		if err := json.Unmarshal([]byte(*answer.Policy), &policy); err != nil {
			t.Fatal(err)
		}
		for _, statement := range policy.Statement {
			got = append(got, statement.Action)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		t.Errorf("the gateway permits %q; the template says %q", got, want)
	}
}

// spareProxy is an alias of a proxy that there may be. The state machine may invoke all that there can be, so that none of its
// executions loses a right when there are fewer.
var spareProxy = regexp.MustCompile(`:function:[^:]+-proxy-[0-9]+:live$`)

// namesNothing says what is wrong with the resource of a statement.
func namesNothing(arn string, there []string) string {
	switch {
	case arn == "*" || spareProxy.MatchString(arn):
		return ""
	case !strings.HasPrefix(arn, "arn:aws:"):
		return "which is no ARN"
	}
	service := strings.Split(arn, ":")[2]
	if !slices.Contains([]string{"lambda", "states", "dynamodb", "logs"}, service) {
		return ""
	}
	for _, other := range there {
		if arn == other || strings.HasPrefix(arn, other+":") || strings.HasPrefix(arn, other+"/") {
			return ""
		}
	}
	if arn == strings.Replace(arn, ":execution:", ":stateMachine:", 1) {
		return "which is not there"
	}
	return namesNothing(strings.TrimSuffix(strings.TrimSuffix(strings.Replace(arn, ":execution:", ":stateMachine:", 1), "*"), ":"), there)
}

// What is different in each account: what CloudFormation adds to names, what stands before hosts, and the numbers of versions.
var (
	added   = regexp.MustCompile(`-[A-Z0-9]{12}\b`)
	bucket  = regexp.MustCompile(`\b(retryingapiproxy-[a-z0-9]+)-[a-z0-9]{12}\b`)
	secret  = regexp.MustCompile(`(:secret:)(?:` + stackName + `-)?([A-Za-z0-9]+)-[A-Za-z0-9]{6}\b`)
	host    = regexp.MustCompile(`https?://[^/\s"]+`)
	version = regexp.MustCompile(`(:stateMachine:[^:"]+):[0-9]+`)
)

// comparable is a text without what is different in each account.
func comparable(text string) string {
	text = bucket.ReplaceAllString(added.ReplaceAllString(text, ""), "$1")
	text = secret.ReplaceAllString(text, "$1$2")
	return version.ReplaceAllString(host.ReplaceAllString(text, ""), "$1:version")
}

// normal is a stack without what is different in each account and not in what it does: what CloudFormation adds to names, the
// numbers of versions, and where the code lies.
func normal(stack *cloudformation.Stack) *cloudformation.Stack {
	n := &cloudformation.Stack{Name: stack.Name, URLs: stack.URLs, Outputs: map[string]string{}}
	for key, value := range stack.Outputs {
		n.Outputs[key] = comparable(value)
	}
	for _, f := range stack.Functions {
		f.Code, f.Metadata, f.LogGroup = "", nil, comparable(f.LogGroup)
		environment, aliases := map[string]string{}, map[string]string{}
		for name, value := range f.Environment {
			environment[name] = comparable(value)
		}
		for name := range f.Aliases {
			aliases[name] = "a version"
		}
		f.Environment, f.Aliases = environment, aliases
		n.Functions = append(n.Functions, f)
	}
	for _, m := range stack.StateMachines {
		n.StateMachines = append(n.StateMachines, cloudformation.StateMachine{
			Name: comparable(m.Name), ARN: comparable(m.ARN), Type: m.Type, Definition: comparable(m.Definition),
		})
	}
	for _, table := range stack.Tables {
		table.Name, table.ARN = comparable(table.Name), comparable(table.ARN)
		n.Tables = append(n.Tables, table)
	}
	slices.SortFunc(n.Functions, func(a, b cloudformation.Function) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(n.StateMachines, func(a, b cloudformation.StateMachine) int { return cmp.Compare(a.Name, b.Name) })
	return n
}

// sortedNames is for messages.
func sortedNames[V any](m map[string]V) string { return fmt.Sprint(slices.Sorted(maps.Keys(m))) }
