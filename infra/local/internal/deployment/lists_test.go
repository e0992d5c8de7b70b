package deployment_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	secretsmanagertypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

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

// lists maps types of resources to what gives the physical ids that the service has of them, without those of the bootstrap.
func (a *account) lists() map[string]func(*testing.T) []string {
	return map[string]func(*testing.T) []string{
		"AWS::Lambda::Function": func(t *testing.T) []string {
			list, err := a.lambda().ListFunctions(t.Context(), &lambda.ListFunctionsInput{})
			return names(t, err, list.Functions, func(f lambdatypes.FunctionConfiguration) *string { return f.FunctionName })
		},
		"AWS::Lambda::EventSourceMapping": func(t *testing.T) []string {
			list, err := a.lambda().ListEventSourceMappings(t.Context(), &lambda.ListEventSourceMappingsInput{})
			return names(t, err, list.EventSourceMappings, func(m lambdatypes.EventSourceMappingConfiguration) *string { return m.UUID })
		},
		"AWS::StepFunctions::StateMachine": func(t *testing.T) []string {
			list, err := a.stepFunctions().ListStateMachines(t.Context(), &sfn.ListStateMachinesInput{})
			return names(t, err, list.StateMachines, func(m sfntypes.StateMachineListItem) *string { return m.StateMachineArn })
		},
		"AWS::DynamoDB::GlobalTable": a.tables,
		"AWS::S3::Bucket": func(t *testing.T) []string {
			list, err := a.s3().ListBuckets(t.Context(), &s3.ListBucketsInput{})
			return names(t, err, list.Buckets, func(b s3types.Bucket) *string { return b.Name })
		},
		"AWS::SQS::Queue": func(t *testing.T) []string {
			list, err := sqs.NewFromConfig(a.config()).ListQueues(t.Context(), &sqs.ListQueuesInput{})
			return names(t, err, list.QueueUrls, func(url string) *string { return &url })
		},
		"AWS::SecretsManager::Secret": func(t *testing.T) []string {
			list, err := secretsmanager.NewFromConfig(a.config()).ListSecrets(t.Context(), &secretsmanager.ListSecretsInput{})
			return names(t, err, list.SecretList, func(s secretsmanagertypes.SecretListEntry) *string { return s.ARN })
		},
		"AWS::Logs::LogGroup": func(t *testing.T) []string { return slices.Collect(maps.Keys(a.logGroups(t))) },
		"AWS::IAM::Role": func(t *testing.T) []string {
			var list struct {
				Names []string `xml:"ListRolesResult>Roles>member>RoleName"`
			}
			err := a.query(t, "iam", "ListRoles", nil, &list)
			return names(t, err, list.Names, func(name string) *string { return &name })
		},
	}
}

// names gives the physical ids in a list, without those of the bootstrap.
func names[E any](t *testing.T, err error, list []E, of func(E) *string) []string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, element := range list {
		if name := *of(element); !strings.HasPrefix(name, "cdk-hnb659fds-") {
			found = append(found, name)
		}
	}
	return found
}
