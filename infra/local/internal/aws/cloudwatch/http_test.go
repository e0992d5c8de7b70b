package cloudwatch_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/aws/smithy-go/encoding/cbor"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudwatch"
)

// ask sends a request to a store and gives its answer and the body of that.
func ask(t *testing.T, s *cloudwatch.Store, method, path, target string, body []byte) (*http.Response, []byte) {
	t.Helper()
	request := httptest.NewRequest(method, path, bytes.NewReader(body))
	request.Header.Set("X-Amz-Target", target)
	recorder := httptest.NewRecorder()
	s.ServeHTTP(recorder, request)
	answer := recorder.Result()
	read, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.Header.Get("X-Amzn-RequestId") == "" {
		t.Error("the answer has no request id")
	}
	return answer, read
}

func TestTheJSONProtocolCountsInSeconds(t *testing.T) {
	answer, body := ask(t, measured(), "POST", "/", "GraniteServiceVersion20100801.GetMetricStatistics",
		[]byte(`{`+ofOrders+`,"MetricName":"Requests",`+sixHours+`,"Period":60,"Statistics":["Sum"],"Unit":"Count"}`))
	want := `{"Datapoints":[{"Sum":1,"Timestamp":1772366400,"Unit":"Count"}],"Label":"Requests"}`
	if answer.StatusCode != 200 || string(body) != want || answer.Header.Get("Content-Type") != "application/x-amz-json-1.0" {
		t.Errorf("the answer is %d %s %s, want 200 %s", answer.StatusCode, answer.Header.Get("Content-Type"), body, want)
	}
}

func TestTheCBORProtocolTagsMoments(t *testing.T) {
	const path = "/service/GraniteServiceVersion20100801/operation/GetMetricStatistics"
	moment := func(seconds float64) cbor.Value { return &cbor.Tag{ID: 1, Value: cbor.Float64(seconds)} }
	input := cbor.Map{
		"Namespace": cbor.String("Proxy"), "MetricName": cbor.String("Requests"), "Period": cbor.Uint(60), "Unit": cbor.String("Count"),
		"StartTime": moment(1772366400), "EndTime": moment(1772388000), "Statistics": cbor.List{cbor.String("Sum")},
		"Dimensions": cbor.List{
			cbor.Map{"Name": cbor.String("RecordPrefix"), "Value": cbor.String("Orders")},
			cbor.Map{"Name": cbor.String("TableName"), "Value": cbor.String("T")},
		},
		"ExtendedStatistics": &cbor.Nil{},
	}
	answer, body := ask(t, measured(), "POST", path, "", cbor.Encode(input))
	got, err := cbor.Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	want := cbor.Map{"Label": cbor.String("Requests"), "Datapoints": cbor.List{
		cbor.Map{"Sum": cbor.Float64(1), "Timestamp": moment(1772366400), "Unit": cbor.String("Count")},
	}}
	if diff := cmp.Diff(cbor.Value(want), got); diff != "" || answer.StatusCode != 200 ||
		answer.Header.Get("Content-Type") != "application/cbor" || answer.Header.Get("Smithy-Protocol") != "rpc-v2-cbor" {
		t.Errorf("the answer is %d with %v (-want +got):\n%s", answer.StatusCode, answer.Header, diff)
	}
	delete(input, "Period")
	answer, body = ask(t, measured(), "POST", path, "", cbor.Encode(input))
	got, err = cbor.Decode(body)
	wanted := cbor.Map{
		"__type": cbor.String("com.amazonaws.cloudwatch#MissingRequiredParameterException"), "message": cbor.String("The parameter Period is required."),
	}
	if diff := cmp.Diff(cbor.Value(wanted), got); err != nil || diff != "" || answer.StatusCode != 400 || answer.Header.Get("X-Amzn-Query-Error") != "MissingParameter;Sender" {
		t.Errorf("without a period the answer is %d with %v, %v (-want +got):\n%s", answer.StatusCode, answer.Header, err, diff)
	}
}

func TestWhatIsNoRequestOfTheAPIIsRefused(t *testing.T) {
	const json, path = "GraniteServiceVersion20100801.ListMetrics", "/service/GraniteServiceVersion20100801/operation/ListMetrics"
	for _, c := range []struct {
		method, path, target string
		body                 []byte
		status               int
		want                 string
	}{
		{"GET", "/", json, nil, 501, "expected a POST"},
		{"POST", "/", "", []byte("Action=ListMetrics&Version=2010-08-01"), 501, "as SDKs since 2025 send it"},
		{"POST", "/", json, []byte("{"), 400, "SerializationException"},
		{"POST", path, "", []byte{0xff}, 400, "SerializationException"},
		{"POST", path, "", cbor.Encode(cbor.Map{"Namespace": cbor.Slice("x")}), 400, "no operation here takes a cbor.Slice"},
		{"POST", path, "", cbor.Encode(cbor.List{}), 400, "SerializationException"},
		{"POST", path, "", bytes.Repeat([]byte("x"), cloudwatch.MaxRequestSize+1), 400, "request body too large"},
		{"POST", path, "", nil, 200, "Metrics"},
		{"POST", path + "s", "", nil, 501, "has no operation ListMetricss"},
	} {
		answer, body := ask(t, measured(), c.method, c.path, c.target, c.body)
		if answer.StatusCode != c.status || !strings.Contains(string(body), c.want) {
			t.Errorf("%s %s %s %.20q is answered with %d %q, want %d and %q in it", c.method, c.path, c.target, c.body, answer.StatusCode, body, c.status, c.want)
		}
	}
}

func FuzzTheCBORProtocol(f *testing.F) {
	f.Add([]byte{})
	f.Add(cbor.Encode(cbor.Map{"Namespace": cbor.String("Proxy"), "Dimensions": cbor.List{cbor.Map{"Name": cbor.String("TableName")}}}))
	f.Fuzz(func(t *testing.T, body []byte) {
		answer, _ := ask(t, measured(), "POST", "/service/GraniteServiceVersion20100801/operation/ListMetrics", "", body)
		if answer.StatusCode >= 500 && answer.StatusCode != 501 {
			t.Errorf("%x is answered with %d", body, answer.StatusCode)
		}
	})
}

// awsEnvironment is what the aws command and boto3 need to find a store.
func awsEnvironment(t *testing.T) []string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: clients of others are not tried")
	}
	server := httptest.NewServer(measured())
	t.Cleanup(server.Close)
	return append(os.Environ(), "AWS_ENDPOINT_URL="+server.URL, "AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_DEFAULT_REGION=us-east-1", "AWS_PAGER=", "NO_PROXY=127.0.0.1")
}

func TestTheAwsCommandWorksUnmodified(t *testing.T) {
	t.Parallel()
	environment := awsEnvironment(t)
	command, err := exec.LookPath("aws")
	if err != nil {
		t.Skip("the aws command is not installed, so it cannot be tried")
	}
	const day = " --start-time 2026-03-01T12:00:00Z --end-time 2026-03-01T18:00:00Z"
	for _, c := range []struct{ arguments, want string }{
		{"get-metric-statistics --namespace Proxy --metric-name RequestTime --dimensions Name=TableName,Value=T Name=RecordPrefix,Value=Orders" + day +
			" --period 3600 --statistics Sum --extended-statistics p50 --output text --query Datapoints[].[Timestamp,Sum,ExtendedStatistics.p50,Unit]",
			"\t465\t20\tMilliseconds"},
		{"get-metric-statistics --namespace Proxy --metric-name RequestTime" + day + " --period 61 --statistics Sum", "An error occurred (InvalidParameterValue)"},
		{"list-metrics --namespace Proxy --metric-name Requests --output text --query Metrics[].Dimensions[].Value", "Orders\tT"},
	} {
		process := exec.CommandContext(t.Context(), command, append([]string{"cloudwatch"}, strings.Fields(c.arguments)...)...)
		process.Env = environment
		output, _ := process.CombinedOutput()
		if !strings.Contains(string(output), c.want) {
			t.Errorf("aws cloudwatch %s: got %s, want %s", c.arguments, output, c.want)
		}
	}
}

// botoProgram asks in both protocols what a person would ask.
const botoProgram = `
import boto3, datetime
from botocore.exceptions import ClientError
from botocore.loaders import Loader
load = Loader.load_service_model
for protocol in "smithy-rpc-v2-cbor", "json":
    def only(self, service, kind, api_version=None, load=load):
        model = load(self, service, kind, api_version)
        if service == "cloudwatch" and kind == "service-2":
            model["metadata"]["protocols"] = [protocol]
            model["metadata"]["protocol"] = protocol
        return model
    Loader.load_service_model = only
    client = boto3.session.Session().client("cloudwatch")
    assert client.meta.service_model.resolved_protocol == protocol, client.meta.service_model.resolved_protocol
    start, end = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.timezone.utc), datetime.datetime(2026, 3, 1, 18, tzinfo=datetime.timezone.utc)
    dimensions = [{"Name": "RecordPrefix", "Value": "Orders"}, {"Name": "TableName", "Value": "T"}]
    got = client.get_metric_statistics(Namespace="Proxy", MetricName="RequestTime", Dimensions=dimensions, StartTime=start, EndTime=end, Period=300, Statistics=["Average", "Maximum"])
    assert got["Datapoints"] == [
        {"Timestamp": start, "Average": 115.0, "Maximum": 400.0, "Unit": "Milliseconds"},
        {"Timestamp": start + datetime.timedelta(minutes=5), "Average": 5.0, "Maximum": 5.0, "Unit": "Milliseconds"},
    ], got
    metric = {"Namespace": "Proxy", "MetricName": "Requests", "Dimensions": dimensions}
    data = client.get_metric_data(StartTime=start, EndTime=end, MetricDataQueries=[{"Id": "a", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}}])
    assert data["MetricDataResults"][0]["Values"] == [3.0] and data["MetricDataResults"][0]["Timestamps"] == [start], data
    assert len(client.list_metrics(Namespace="Proxy")["Metrics"]) == 4
    for refused, call in {
        "InvalidParameterValue": lambda: client.get_metric_statistics(Namespace="Proxy", MetricName="M", StartTime=end, EndTime=start, Period=60, Statistics=["Sum"]),
        "InvalidParameterCombination": lambda: client.get_metric_statistics(Namespace="Proxy", MetricName="M", StartTime=start, EndTime=end, Period=1, Statistics=["Sum"]),
        "ValidationError": lambda: client.get_metric_data(StartTime=start, EndTime=start, MetricDataQueries=[]),
        "UnknownOperationException": lambda: client.describe_alarms(),
    }.items():
        try:
            call()
            raise SystemExit("there was no " + refused)
        except ClientError as error:
            assert error.response["Error"]["Code"] == refused, error.response
print("done")
`

func TestBoto3WorksUnmodified(t *testing.T) {
	t.Parallel()
	environment := awsEnvironment(t)
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed, so boto3 cannot be tried")
	}
	if err := exec.CommandContext(t.Context(), python, "-c", "import boto3").Run(); err != nil {
		t.Skip("boto3 is not installed, so it cannot be tried")
	}
	process := exec.CommandContext(t.Context(), python, "-c", botoProgram)
	process.Env = environment
	if output, err := process.CombinedOutput(); err != nil || strings.TrimSpace(string(output)) != "done" {
		t.Errorf("%v %s", err, output)
	}
}
