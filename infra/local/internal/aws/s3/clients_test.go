package s3_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/s3"
)

// awsEnvironment is what the aws command and boto3 need to find the store.
func awsEnvironment(url string) []string {
	return append(os.Environ(), "AWS_ENDPOINT_URL="+url, "AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_DEFAULT_REGION=us-east-1", "AWS_PAGER=", "NO_PROXY=127.0.0.1")
}

func TestTheAwsCommandWorksUnmodified(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: the aws command is not tried")
	}
	command, err := exec.LookPath("aws")
	if err != nil {
		t.Skip("the aws command is not installed, so it cannot be tried")
	}
	directory := t.TempDir()
	if err := os.WriteFile(filepath.Join(directory, "written"), []byte(strings.Repeat("content\n", 100_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	environment := awsEnvironment(serve(t, newStore(t, s3.Config{})))
	for _, c := range []struct{ arguments, want string }{
		{"s3 ls", "2026-01-15 10:30:00 bodies"},
		{"s3 cp written s3://bodies/answers/1", "upload: ./written to s3://bodies/answers/1"},
		{"s3 ls s3://bodies", "PRE answers/"},
		{"s3 ls --recursive s3://bodies", "2026-01-15 10:30:00     800000 answers/1"},
		{"s3 cp s3://bodies/answers/1 read", "download: s3://bodies/answers/1 to ./read"},
		{"s3api head-object --bucket bodies --key answers/1 --query ContentLength --output text", "800000"},
		{"s3api put-object --bucket bodies --key answers/1 --body written --if-none-match *", "An error occurred (PreconditionFailed)"},
		{"s3api get-object --bucket bodies --key absent x", "An error occurred (NoSuchKey)"},
		{"s3 rm --recursive s3://bodies", "delete: s3://bodies/answers/1"},
		{"s3api head-object --bucket bodies --key answers/1", "An error occurred (404)"},
		{"s3 mb s3://other", "The local S3 does not support PUT /other"},
	} {
		process := exec.CommandContext(t.Context(), command, strings.Fields(c.arguments)...)
		process.Dir, process.Env = directory, append(environment, "TZ=UTC")
		output, _ := process.CombinedOutput()
		if !strings.Contains(string(output), c.want) {
			t.Errorf("aws %s: got %s, want %s", c.arguments, output, c.want)
		}
	}
	read, err := os.ReadFile(filepath.Join(directory, "read"))
	if err != nil || string(read) != strings.Repeat("content\n", 100_000) {
		t.Errorf("%d bytes were read, %v, want the 800000 that were written", len(read), err)
	}
}

// botoProgram does with boto3 what a person would do.
const botoProgram = `
import boto3, io
from botocore.config import Config
from botocore.exceptions import ClientError
client = boto3.client("s3", config=Config(s3={"addressing_style": "path"}))
body = bytes(range(256)) * 1000
for algorithm in "CRC32", "SHA256":
    client.put_object(Bucket="bodies", Key="ü/1", Body=body, ChecksumAlgorithm=algorithm, Metadata={"id": "7"}, ServerSideEncryption="AES256")
got = client.get_object(Bucket="bodies", Key="ü/1")
assert got["Body"].read() == body and got["Metadata"] == {"id": "7"} and got["ChecksumSHA256"], got
client.upload_fileobj(io.BytesIO(body), "bodies", "ü/2")
assert client.get_object(Bucket="bodies", Key="ü/2", Range="bytes=-3")["Body"].read() == b"\xfd\xfe\xff"
listed = [o["Key"] for page in client.get_paginator("list_objects_v2").paginate(Bucket="bodies", Prefix="ü/", PaginationConfig={"PageSize": 1}) for o in page["Contents"]]
assert listed == ["ü/1", "ü/2"], listed
client.delete_object(Bucket="bodies", Key="ü/1")
for refused, call in {
    "NoSuchKey": lambda: client.get_object(Bucket="bodies", Key="ü/1"),
    "404": lambda: client.head_object(Bucket="bodies", Key="ü/1"),
    "NoSuchBucket": lambda: client.list_objects_v2(Bucket="other"),
    "BadDigest": lambda: client.put_object(Bucket="bodies", Key="ü/1", Body=b"x", ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg=="),
    "PreconditionFailed": lambda: client.put_object(Bucket="bodies", Key="ü/2", Body=b"x", IfNoneMatch="*"),
    "NotImplemented": lambda: client.create_multipart_upload(Bucket="bodies", Key="ü/3"),
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
	if testing.Short() {
		t.Skip("-short: boto3 is not tried")
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed, so boto3 cannot be tried")
	}
	if err := exec.CommandContext(t.Context(), python, "-c", "import boto3").Run(); err != nil {
		t.Skip("boto3 is not installed, so it cannot be tried")
	}
	process := exec.CommandContext(t.Context(), python, "-c", botoProgram)
	process.Env = awsEnvironment(serve(t, newStore(t, s3.Config{})))
	if output, err := process.CombinedOutput(); err != nil || strings.TrimSpace(string(output)) != "done" {
		t.Errorf("%v %s", err, output)
	}
}
