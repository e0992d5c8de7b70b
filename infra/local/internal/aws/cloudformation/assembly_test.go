package cloudformation_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudformation"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/s3"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/sqs"
)

// load reads a template of testdata as the one stack, named Shop, of a cloud assembly with two assets.
func load(t *testing.T, name string) (*cloudformation.Stack, string, error) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return loadText(t, string(text))
}

func loadText(t *testing.T, text string) (*cloudformation.Stack, string, error) {
	t.Helper()
	dir := assemble(t, map[string]string{
		"manifest.json":      `{"artifacts":{"Shop":{"type":"aws:cloudformation:stack","properties":{"templateFile":"Shop.template.json"}},"Shop.assets":{"type":"cdk:asset-manifest"},"Tree":{"type":"cdk:tree"}}}`,
		"Shop.assets.json":   `{"files":{"aaaa":{"source":{"path":"asset.aaaa"}},"bbbb":{"source":{"path":"asset.bbbb"}}}}`,
		"Shop.template.json": text,
	})
	stack, err := cloudformation.Load(dir, cloudformation.Options{FunctionURLs: map[string]string{"Url": "http://127.0.0.1:8787/"}, QueueBaseURL: "http://aws.local"})
	return stack, dir, err
}

func assemble(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// problems checks that an error has a line for every problem, in this order, and no other.
func problems(t *testing.T, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("there is no error")
	}
	_, list, _ := strings.Cut(err.Error(), ":\n")
	if diff := cmp.Diff(want, strings.Split(list, "\n")); diff != "" {
		t.Errorf("the problems are not those that were expected (-want +got):\n%s", diff)
	}
}

func TestEveryKindOfResourceIsRead(t *testing.T) {
	stack, dir, err := load(t, "every-resource.json")
	if err != nil {
		t.Fatal(err)
	}
	five := 5
	want := &cloudformation.Stack{
		Name: "Shop",
		Functions: []cloudformation.Function{
			{
				Name: "shop-gateway", ARN: "arn:aws:lambda:us-east-1:000000000000:function:shop-gateway",
				Environment: map[string]string{
					"TABLE": "Shop-Orders", "TABLE_ARN": "arn:aws:dynamodb:us-east-1:000000000000:table/Shop-Orders",
					"MACHINE": "arn:aws:states:us-east-1:000000000000:stateMachine:Shop-Machine", "RETRIES": "3", "VERBOSE": "true",
					"MACHINE_VERSION": "arn:aws:states:us-east-1:000000000000:stateMachine:Shop-Machine:1",
					"PATIENT_VERSION": "arn:aws:states:us-east-1:000000000000:stateMachine:Shop-Patient:1",
				},
				Timeout: 1500 * time.Millisecond, MemoryMiB: 512,
				Code: filepath.Join(dir, "asset.aaaa"), Architecture: "arm64", Metadata: map[string]any{"example:program": "example.com/shop/gateway"},
				ReservedConcurrency: &five, Aliases: map[string]string{"live": "1"},
				LogFormat: "JSON", LogLevel: "DEBUG", LogGroup: "/shop/gateway", TracingActive: true,
			},
			{
				Name: "Shop-Plain", ARN: "arn:aws:lambda:us-east-1:000000000000:function:Shop-Plain",
				Timeout: 3 * time.Second, MemoryMiB: 128,
				Code: filepath.Join(dir, "asset.bbbb"), Architecture: "x86_64", Aliases: map[string]string{},
			},
		},
		StateMachines: []cloudformation.StateMachine{
			{
				Name: "Shop-Machine", ARN: "arn:aws:states:us-east-1:000000000000:stateMachine:Shop-Machine", Type: "EXPRESS",
				Definition: `{"StartAt":"Call","States":{"Call":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:000000000000:function:shop-gateway:live"}}}`,
			},
			{
				Name: "named", ARN: "arn:aws:states:us-east-1:000000000000:stateMachine:named", Type: "STANDARD",
				Definition: `{"Comment":"named"}`,
			},
			{
				Name: "Shop-Patient", ARN: "arn:aws:states:us-east-1:000000000000:stateMachine:Shop-Patient", Type: "STANDARD",
				Definition: `{"Comment":"patient"}`, LogGroup: "/shop/gateway",
			},
		},
		Tables: []cloudformation.Table{{
			Name: "Shop-Orders", ARN: "arn:aws:dynamodb:us-east-1:000000000000:table/Shop-Orders",
			Keys:         []cloudformation.Key{{Name: "id", Role: "HASH", Type: "S"}, {Name: "at", Role: "RANGE", Type: "N"}},
			TTLAttribute: "expiration",
		}, {
			Name: "plain", ARN: "arn:aws:dynamodb:us-east-1:000000000000:table/plain",
			Keys: []cloudformation.Key{{Name: "id", Role: "HASH", Type: "B"}},
		}},
		Secrets: []cloudformation.Secret{{
			Name: "shop/card", ARN: "arn:aws:secretsmanager:us-east-1:000000000000:secret:shop/card-usJEAZ",
			Description: "For cards", Tags: map[string]string{"team": "Shop"}, Value: `{"region": "us-east-1"}`,
		}, {
			Name: "Later", ARN: "arn:aws:secretsmanager:us-east-1:000000000000:secret:Later-LaUibh",
		}},
		Queues: []cloudformation.Queue{{
			Queue: sqs.Queue{
				Name: "shop-jobs", VisibilityTimeout: new(time.Duration), Retention: 2 * time.Minute, Delay: 3 * time.Second, ReceiveWait: 20 * time.Second,
				MaxMessageSize: 2048, Redrive: &sqs.Redrive{DeadLetterTargetARN: "arn:aws:sqs:us-east-1:000000000000:Shop-JobsDead", MaxReceiveCount: 5},
			},
			ARN: "arn:aws:sqs:us-east-1:000000000000:shop-jobs", URL: "http://aws.local/000000000000/shop-jobs",
		}, {
			Queue: sqs.Queue{Name: "Shop-JobsDead", RedriveAllow: &sqs.RedriveAllow{
				Permission: "byQueue", SourceQueueARNs: []string{"arn:aws:sqs:us-east-1:000000000000:shop-jobs"},
			}},
			ARN: "arn:aws:sqs:us-east-1:000000000000:Shop-JobsDead", URL: "http://aws.local/000000000000/Shop-JobsDead",
		}},
		EventSources: []cloudformation.EventSource{{
			QueueARN: "arn:aws:sqs:us-east-1:000000000000:shop-jobs", Function: "arn:aws:lambda:us-east-1:000000000000:function:shop-gateway:live",
			BatchSize: 20, BatchingWindow: 2 * time.Second, ReportBatchItemFailures: true, MaximumConcurrency: 7,
		}, {
			QueueARN: "arn:aws:sqs:us-east-1:000000000000:Shop-JobsDead", Function: "shop-gateway",
		}},
		Buckets: []cloudformation.Bucket{{
			Name: "shop-bodies", ARN: "arn:aws:s3:::shop-bodies",
			Lifecycle: []s3.Rule{{Prefix: "requests/", Days: 1}, {Days: 14}},
		}, {
			Name: "plain-000000000000", ARN: "arn:aws:s3:::plain-000000000000",
		}},
		URLs: []cloudformation.URL{{ID: "Url", Address: "http://127.0.0.1:8787/", FunctionName: "shop-gateway", AuthType: "AWS_IAM", CORS: &cloudformation.CORS{
			AllowCredentials: true,
			AllowHeaders:     []string{"Content-Type", "Idempotency-Key"},
			AllowMethods:     []string{"GET", "POST"},
			AllowOrigins:     []string{"https://shop.example", "https://us-east-1.shop.example"},
			ExposeHeaders:    []string{"Retry-After"},
			MaxAge:           new(int),
		}}},
		Outputs: map[string]string{"Url": "http://127.0.0.1:8787/"},
		MetricFilters: []cloudformation.MetricFilter{{
			ID: "Counted", LogGroup: "/shop/gateway", Pattern: "{ $.a = 1 }",
			Adds: []cloudformation.Addition{{Namespace: "RetryingApiProxy", Metric: "orders-Failed", Unit: "Count", Value: 1}},
		}},
		LeftOut: []cloudformation.LeftOut{
			{ID: "CountedByField", Type: "AWS::Logs::MetricFilter", Reason: "its value is $.bytes; numbers without dimensions are counted here"},
			{ID: "GivenUp", Type: "AWS::CloudWatch::Alarm"},
		},
	}
	if diff := cmp.Diff(want, stack); diff != "" {
		t.Errorf("the stack is not what the template says (-want +got):\n%s", diff)
	}
}

func TestEveryIntrinsicFunctionAndAttributeIsResolved(t *testing.T) {
	stack, _, err := load(t, "every-intrinsic.json")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"RefPartition":      "aws",
		"RefRegion":         "us-east-1",
		"RefAccount":        "000000000000",
		"RefSuffix":         "amazonaws.com",
		"RefStackName":      "Shop",
		"RefStackId":        "arn:aws:cloudformation:us-east-1:000000000000:stack/Shop/local",
		"RefRole":           "Shop-Role",
		"RefPolicy":         "Shop-Policy",
		"RefPermission":     "Shop-Permission",
		"RefLogGroup":       "Shop-Logs",
		"RefNamedLogGroup":  "/shop/logs",
		"RefTable":          "Shop-Table",
		"RefFunction":       "shop-fn",
		"RefVersion":        "arn:aws:lambda:us-east-1:000000000000:function:shop-fn:1",
		"RefAlias":          "arn:aws:lambda:us-east-1:000000000000:function:shop-fn:live",
		"RefUrl":            "arn:aws:lambda:us-east-1:000000000000:function:shop-fn",
		"RefSecret":         "arn:aws:secretsmanager:us-east-1:000000000000:secret:Secret-WyLpVi",
		"RefNamedSecret":    "arn:aws:secretsmanager:us-east-1:000000000000:secret:orders/token-YoIZFO",
		"SecretId":          "arn:aws:secretsmanager:us-east-1:000000000000:secret:orders/token-YoIZFO",
		"RefBucket":         "shop-bucket",
		"RefNamedBucket":    "shop-us-east-1",
		"BucketArn":         "arn:aws:s3:::shop-bucket",
		"BucketDomainName":  "shop-us-east-1.s3.amazonaws.com",
		"RefQueue":          "http://aws.local/000000000000/Shop-Queue",
		"RefNamedQueue":     "http://aws.local/000000000000/orders",
		"RefQueuePolicy":    "Shop-QueuePolicy",
		"RefSource":         "Shop-Source",
		"QueueArn":          "arn:aws:sqs:us-east-1:000000000000:Shop-Queue",
		"QueueName":         "orders",
		"QueueUrl":          "http://aws.local/000000000000/orders",
		"SourceId":          "Shop-Source",
		"RefMachine":        "arn:aws:states:us-east-1:000000000000:stateMachine:Shop-Machine",
		"RoleArn":           "arn:aws:iam::000000000000:role/Role",
		"LogGroupArn":       "arn:aws:logs:us-east-1:000000000000:log-group:Shop-Logs:*",
		"TableArn":          "arn:aws:dynamodb:us-east-1:000000000000:table/Shop-Table",
		"FunctionArn":       "arn:aws:lambda:us-east-1:000000000000:function:shop-fn",
		"FunctionArnByName": "arn:aws:lambda:us-east-1:000000000000:function:shop-fn",
		"VersionNumber":     "1",
		"VersionArn":        "arn:aws:lambda:us-east-1:000000000000:function:shop-fn:1",
		"UrlAddress":        "http://127.0.0.1:8787/",
		"UrlFunctionArn":    "arn:aws:lambda:us-east-1:000000000000:function:shop-fn",
		"MachineArn":        "arn:aws:states:us-east-1:000000000000:stateMachine:Shop-Machine",
		"MachineName":       "Shop-Machine",
		"Join":              "a-1-true-aws",
		"JoinOfNothing":     "",
		"Sub":               "assets-000000000000-us-east-1 of shop-fn at arn:aws:dynamodb:us-east-1:000000000000:table/Shop-Table, ${literal}",
		"SubWithVariables":  "x is us-east-1, region is us-east-1",
		"Select":            "function",
		"SelectByText":      "b",
		"Number":            "0.25",
		"Boolean":           "false",
	}
	if diff := cmp.Diff(want, stack.Outputs); diff != "" {
		t.Errorf("the outputs are not what the template says (-want +got):\n%s", diff)
	}
}

func TestAllThatIsNotKnownIsNamedInOneError(t *testing.T) {
	_, _, err := load(t, "unknown.json")
	problems(t, err,
		`resource AFunction, property Environment: Fn::GetAtt Table.StreamArn: that attribute of AWS::DynamoDB::GlobalTable is not known here`,
		`resource Answering (AWS::Lambda::EventSourceMapping): its FunctionResponseTypes has ReportAll; Lambda knows ReportBatchItemFailures`,
		`resource BFunction (AWS::Lambda::Function) has the property Layers, which is not known here`,
		`resource BFunction (AWS::Lambda::Function): its code cccc.zip is not an asset of the cloud assembly`,
		`resource CFunction (AWS::Lambda::Function): handler index.handler of runtime provided.al2023 cannot be run here; bootstrap can`,
		`resource Fifo (AWS::SQS::Queue) has the property ContentBasedDeduplication, which is not known here`,
		`resource Fifo (AWS::SQS::Queue) has the property FifoQueue, which is not known here`,
		`resource Filtered (AWS::Lambda::EventSourceMapping) has the property FilterCriteria, which is not known here`,
		`resource Machine, property DefinitionString: intrinsic function Fn::ImportValue is not known here`,
		`resource Many (AWS::DynamoDB::GlobalTable): it has 2 replicas; one can be run here`,
		`resource Nested (AWS::DynamoDB::GlobalTable): json: unknown field "KinesisStreamSpecification"`,
		`resource OnlySometimes depends on condition IsProduction; conditions are not known here`,
		`resource Pipe has type AWS::Pipes::Pipe, which is not known here`,
		`resource Stream (AWS::Lambda::EventSourceMapping): its event source arn:aws:kinesis:us-east-1:000000000000:stream/s is no SQS queue; only those can be run here`,
		`output Missing: a Ref to Nowhere: there is no such resource`,
		`output PipeArn: resource Pipe has type AWS::Pipes::Pipe, which is not known here`,
	)
	if !strings.Contains(err.Error(), "Shop.template.json") {
		t.Errorf("the error is %q, want the template named", err)
	}
}

func TestAMalformedIntrinsicIsNamed(t *testing.T) {
	cases := map[string]struct{ value, want string }{
		"Ref without a name":                {`{"Ref":7}`, `a Ref takes a name, not 7`},
		"Ref of what has no value":          {`{"Ref":"Metadata"}`, `a Ref to Metadata: a AWS::CDK::Metadata has no reference value here`},
		"GetAtt of nothing":                 {`{"Fn::GetAtt":["Nowhere","Arn"]}`, `Fn::GetAtt [Nowhere Arn]: there is no such resource`},
		"GetAtt with three parts":           {`{"Fn::GetAtt":["Role","Arn","More"]}`, `Fn::GetAtt [Role Arn More]: there is no such resource`},
		"GetAtt of an unknown attribute":    {`{"Fn::GetAtt":["Role","RoleId"]}`, `Fn::GetAtt Role.RoleId: that attribute of AWS::IAM::Role is not known here`},
		"Join without a list":               {`{"Fn::Join":["",{"Ref":"Role"}]}`, `Fn::Join takes a separator and a list, not [ map[Ref:Role]]`},
		"Join of one argument":              {`{"Fn::Join":["-"]}`, `Fn::Join takes a separator and a list, not [-]`},
		"Join with a number to separate":    {`{"Fn::Join":[1,[]]}`, `Fn::Join takes a separator and a list, not [1 []]`},
		"Join of a list in a list":          {`{"Fn::Join":["",[["a"]]]}`, `Fn::Join: [a] is not a string`},
		"Join of what cannot be resolved":   {`{"Fn::Join":["",[{"Ref":"Nowhere"}]]}`, `a Ref to Nowhere: there is no such resource`},
		"Sub of a number":                   {`{"Fn::Sub":7}`, `Fn::Sub takes a string, or a string and a map, not 7`},
		"Sub of an unknown name":            {`{"Fn::Sub":"${Nowhere}"}`, `Fn::Sub: a Ref to Nowhere: there is no such resource`},
		"Sub of an unknown attribute":       {`{"Fn::Sub":"${Role.RoleId}"}`, `Fn::Sub: Fn::GetAtt Role.RoleId: that attribute of AWS::IAM::Role is not known here`},
		"Sub of a pseudo parameter unknown": {`{"Fn::Sub":"${AWS::NotificationARNs}"}`, `Fn::Sub: a Ref to AWS::NotificationARNs: there is no such resource`},
		"Select beyond the end":             {`{"Fn::Select":[2,["a","b"]]}`, `Fn::Select: there is no element 2 in [a b]`},
		"Select before the start":           {`{"Fn::Select":[-1,["a"]]}`, `Fn::Select: there is no element -1 in [a]`},
		"Select of no list":                 {`{"Fn::Select":["0","a"]}`, `Fn::Select: there is no element 0 in a`},
		"Select of one argument":            {`{"Fn::Select":["0"]}`, `Fn::Select takes an index and a list, not [0]`},
		"Split of one argument":             {`{"Fn::Select":[0,{"Fn::Split":["-"]}]}`, `Fn::Split takes a separator and a string, not [-]`},
		"Split by nothing":                  {`{"Fn::Select":[0,{"Fn::Split":["","a"]}]}`, `Fn::Split takes a separator and a string, not [ a]`},
		"Split of a list":                   {`{"Fn::Select":[0,{"Fn::Split":["-",["a"]]}]}`, `Fn::Split: [a] is not a string`},
		"a condition":                       {`{"Fn::If":["IsProduction","a","b"]}`, `intrinsic function Fn::If is not known here`},
		"a condition by name":               {`{"Condition":"IsProduction"}`, `intrinsic function Condition is not known here`},
		"an object":                         {`{"a":"b","c":"d"}`, `map[a:b c:d] is not a string`},
		"nothing":                           {`null`, `<nil> is not a string`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, _, err := loadText(t, `{"Resources":{"Role":{"Type":"AWS::IAM::Role"},"Metadata":{"Type":"AWS::CDK::Metadata"}},"Outputs":{"Value":{"Value":`+c.value+`}}}`)
			problems(t, err, "output Value: "+c.want)
		})
	}
}

// Whether the CDK's own metadata is there depends on the region, which means nothing here.
func TestTheConditionOfTheCDKsMetadataIsNoProblem(t *testing.T) {
	_, _, err := loadText(t, `{"Conditions":{"CDKMetadataAvailable":{"Fn::Or":[]}},"Resources":{"Metadata":{"Type":"AWS::CDK::Metadata","Properties":{"Analytics":"v2"},"Condition":"CDKMetadataAvailable"}}}`)
	if err != nil {
		t.Error(err)
	}
}

func TestTheNameInTheManifestIsTheStacks(t *testing.T) {
	dir := assemble(t, map[string]string{
		"manifest.json":      `{"artifacts":{"Shop":{"type":"aws:cloudformation:stack","properties":{"templateFile":"Shop.template.json","stackName":"shop-prod"}}}}`,
		"Shop.assets.json":   `{}`,
		"Shop.template.json": `{"Resources":{"T":{"Type":"AWS::DynamoDB::GlobalTable"}}}`,
	})
	stack, err := cloudformation.Load(dir, cloudformation.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if stack.Name != "shop-prod" || stack.Tables[0].Name != "shop-prod-T" {
		t.Errorf("the stack is called %s and its table %s", stack.Name, stack.Tables[0].Name)
	}
}

func TestAnAssemblyThatIsNotOneStackIsRefused(t *testing.T) {
	const one = `{"type":"aws:cloudformation:stack","properties":{"templateFile":"T.json"}}`
	cases := map[string]struct {
		files map[string]string
		want  string
	}{
		"nothing there":      {map[string]string{}, "manifest.json"},
		"no stack":           {map[string]string{"manifest.json": `{"artifacts":{"Tree":{"type":"cdk:tree"}}}`}, "has 0 stacks ()"},
		"two stacks":         {map[string]string{"manifest.json": `{"artifacts":{"Web":` + one + `,"Api":` + one + `}}`}, "has 2 stacks (Api, Web)"},
		"no JSON":            {map[string]string{"manifest.json": `{`}, "manifest.json"},
		"no template":        {map[string]string{"manifest.json": `{"artifacts":{"Api":` + one + `}}`}, "T.json"},
		"a template no JSON": {map[string]string{"manifest.json": `{"artifacts":{"Api":` + one + `}}`, "T.json": "Resources:"}, "T.json"},
		"no list of assets":  {map[string]string{"manifest.json": `{"artifacts":{"Api":` + one + `}}`, "T.json": `{}`}, "Api.assets.json"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := cloudformation.Load(assemble(t, c.files), cloudformation.Options{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v, want %q in it", err, c.want)
			}
		})
	}
}

// Nothing runs for an alias, but a function that is invoked through it has to have it.
func TestAnAliasOfNothingIsNamed(t *testing.T) {
	_, _, err := loadText(t, `{"Resources":{"Live":{"Type":"AWS::Lambda::Alias","Properties":{"FunctionName":{"Ref":"Nowhere"},"FunctionVersion":"1","Name":"live"}}}}`)
	problems(t, err, "resource Live, property FunctionName: a Ref to Nowhere: there is no such resource")
}

func TestAPropertyOfTheWrongKindIsNamed(t *testing.T) {
	_, _, err := loadText(t, `{"Resources":{"F":{"Type":"AWS::Lambda::Function","Properties":{"Timeout":"soon"}},"U":{"Type":"AWS::Lambda::Url","Properties":{"AuthType":7}}}}`)
	if err == nil || !strings.Contains(err.Error(), "resource F") || !strings.Contains(err.Error(), "Timeout") ||
		!strings.Contains(err.Error(), "resource U") || !strings.Contains(err.Error(), "AuthType") {
		t.Errorf("the error is %v, want F with its Timeout and U with its AuthType", err)
	}
}

func TestWhatTheCorsOfAURLCannotHoldIsNamed(t *testing.T) {
	for cors, want := range map[string]string{
		`{"AllowMethods":["GET","OPTIONS"]}`: `resource U (AWS::Lambda::Url): its Cors allows the method OPTIONS; CloudFormation takes GET, PUT, HEAD, POST, PATCH, DELETE, *`,
		`{"AllowMethod":["GET"]}`:            `resource U (AWS::Lambda::Url): json: unknown field "AllowMethod"`,
	} {
		_, _, err := loadText(t, `{"Resources":{"U":{"Type":"AWS::Lambda::Url","Properties":{"AuthType":"NONE","Cors":`+cors+`}}}}`)
		problems(t, err, want)
	}
}

func TestALongNameOfAQueueIsShortenedAsCloudFormationDoesToTheOnesThatItMakes(t *testing.T) {
	id := strings.Repeat("Q", 79) + "0A1B2C3D"
	stack, _, err := loadText(t, `{"Resources":{"`+id+`":{"Type":"AWS::SQS::Queue"}}}`)
	if err != nil {
		t.Fatal(err)
	}
	if name := stack.Queues[0].Name; len(name) != 80 || !strings.HasSuffix(id, name) {
		t.Errorf("the name is %s", name)
	}
}
