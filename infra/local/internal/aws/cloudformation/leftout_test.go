package cloudformation_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudformation"
)

// skipping loads a template of testdata with what is to be skipped, as a stack whose constructs are where metadata says.
func skipping(t *testing.T, name, metadata string, skip ...string) (*cloudformation.Stack, error) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	dir := assemble(t, map[string]string{
		"manifest.json": `{"artifacts":{"ProdShop":{"type":"aws:cloudformation:stack","displayName":"Prod/Shop","additionalMetadataFile":"metadata.json",
			"properties":{"templateFile":"Shop.template.json","stackName":"Shop"}}}}`,
		"metadata.json":        metadata,
		"ProdShop.assets.json": `{"files":{"aaaa":{"source":{"path":"asset.aaaa"}}}}`,
		"Shop.template.json":   string(text),
	})
	return cloudformation.Load(dir, cloudformation.Options{Skip: skip, SkipBy: "SKIP=%s"})
}

func TestWhatIsNotKnownIsNamedWithTheWayToDoWithoutIt(t *testing.T) {
	_, err := skipping(t, "surroundings.json", `{"/Prod/Shop/Files/Uploads/Resource":[{"type":"aws:cdk:logicalId","data":"Uploads"}]}`, "AWS::Pipes::*")
	problems(t, err,
		`resource Jobs (AWS::SQS::Queue) has the property FifoQueue, which is not known here; SKIP=Jobs leaves it out`,
		`resource Stream has type AWS::Kinesis::Stream, which is not known here; SKIP=Stream leaves it out`,
		`resource Uploads (AWS::S3::Bucket) has the property CorsConfiguration, which is not known here; SKIP=Files/Uploads leaves it out`,
		`output Zones: intrinsic function Fn::GetAZs is not known here; SKIP=Zones leaves it out`,
	)
}

func TestWhatIsToBeSkippedAndIsNotThereIsNamed(t *testing.T) {
	_, err := skipping(t, "surroundings.json", `{"/Prod/Shop/Files/Uploads/Resource":[{"type":"aws:cdk:logicalId","data":"Uploads"}]}`,
		"AWS::Pipes::Pipe", "Stream", "Jobs", "Files", "Zones", "AWS::SQS::Topic", "Upload", "Files/Up")
	problems(t, err,
		`AWS::SQS::Topic is to be skipped; no resource has this type, logical id or path, and no output this id`,
		`Upload is to be skipped; no resource has this type, logical id or path, and no output this id`,
		`Files/Up is to be skipped; no resource has this type, logical id or path, and no output this id`,
	)
}

func TestWhatStandsAroundFunctionsIsLeftOutAndWhatIsSkippedToo(t *testing.T) {
	stack, err := skipping(t, "surroundings.json", `{
		"/Prod/Shop":[{"type":"aws:cdk:creationStack","data":["a"]}],
		"/Prod/Shop/Orders/gateway/Resource":[{"type":"aws:cdk:logicalId","data":"Gateway"}],
		"/Prod/Shop/Orders/gateway/Url/Resource":[{"type":"aws:cdk:logicalId","data":"GatewayUrl"}],
		"/Prod/Shop/Files/Uploads/Resource":[{"type":"aws:cdk:logicalId","data":"Uploads"}],
		"/Prod/Shopping/Resource":[{"type":"aws:cdk:logicalId","data":"Stream"}]}`,
		"Files", "Jobs", "AWS::Kinesis::Stream", "AWS::Pipes::*", "Zones")
	if err != nil {
		t.Fatal(err)
	}
	want := &cloudformation.Stack{
		Name: "Shop",
		Functions: []cloudformation.Function{{
			Name: "Shop-Gateway", ARN: "arn:aws:lambda:us-east-1:000000000000:function:Shop-Gateway", Path: "Orders/gateway",
			Environment: map[string]string{
				"TOPIC": "arn:aws:sns:us-east-1:000000000000:Shop-Topic", "TOPIC_NAME": "Shop-Topic.TopicName", "ADDRESS": "Shop-Address.PublicIp",
				"REPORT": "arn:aws:lambda:us-east-1:000000000000:function:Shop-Report", "REPORT_NAME": "Shop-Report!", "BUCKET": "uploads",
			},
			Timeout: 3e9, MemoryMiB: 128, Architecture: "x86_64", Aliases: map[string]string{},
		}},
		URLs:    []cloudformation.URL{{ID: "GatewayUrl", Path: "Orders/gateway/Url", FunctionName: "Shop-Gateway", AuthType: "NONE"}},
		Outputs: map[string]string{"Address": "Shop-Address.PublicIp"},
		LeftOut: []cloudformation.LeftOut{
			{ID: "Address", Type: "AWS::EC2::EIP", NeededBy: []string{"Gateway"}},
			{ID: "Alarm", Type: "AWS::CloudWatch::Alarm"},
			{ID: "Board", Type: "AWS::CloudWatch::Dashboard"},
			{ID: "Cleaner", Type: "AWS::Lambda::Function", Reason: "its runtime depends on the region; functions of provided.al2023 can be run here"},
			{ID: "Image", Type: "AWS::Lambda::Function", Reason: "it is a container image; functions of the runtime provided.al2023 can be run here"},
			{ID: "Jobs", Type: "AWS::SQS::Queue", Asked: true},
			{ID: "JobsToGateway", Type: "AWS::Lambda::EventSourceMapping", Asked: true, Reason: "it is of Jobs"},
			{ID: "Network", Type: "AWS::EC2::VPC"},
			{ID: "Pipe", Type: "AWS::Pipes::Pipe", Asked: true},
			{ID: "Query", Type: "AWS::Logs::QueryDefinition"},
			{ID: "Report", Type: "AWS::Lambda::Function", Reason: "its runtime is python3.13; functions of provided.al2023 can be run here", NeededBy: []string{"Gateway"}},
			{ID: "ReportLive", Type: "AWS::Lambda::Alias", Reason: "it is of Report"},
			{ID: "ReportUrl", Type: "AWS::Lambda::Url", Reason: "it is of ReportLive"},
			{ID: "Scaling", Type: "AWS::ApplicationAutoScaling::ScalableTarget"},
			{ID: "Stream", Type: "AWS::Kinesis::Stream", Asked: true},
			{ID: "Topic", Type: "AWS::SNS::Topic", NeededBy: []string{"Gateway"}},
			{ID: "Uploads", Type: "AWS::S3::Bucket", Path: "Files/Uploads", Asked: true, NeededBy: []string{"Gateway"}},
		},
	}
	stack.Functions[0].Code = ""
	if diff := cmp.Diff(want, stack); diff != "" {
		t.Errorf("the stack is not what is left of the template (-want +got):\n%s", diff)
	}
}

// A function takes its URL and its versions along, also where they are asked for by its name alone.
func TestWhatIsOfAFunctionThatIsSkippedGoesWithIt(t *testing.T) {
	stack, err := skipping(t, "surroundings.json", `{}`, "Gateway", "Jobs", "Uploads", "Stream", "Pipe", "Zones")
	if err != nil {
		t.Fatal(err)
	}
	if len(stack.Functions) != 0 || len(stack.URLs) != 0 || len(stack.EventSources) != 0 {
		t.Errorf("the functions %v, URLs %v and event sources %v are left", stack.Functions, stack.URLs, stack.EventSources)
	}
}
