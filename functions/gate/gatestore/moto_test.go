package gatestore_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/sdkhttp"
)

// moto is a DynamoDB that somebody else wrote: moto_server, started once for all tests of the package that ask for it.
var moto struct {
	once    sync.Once
	url     string
	problem string
	process *os.Process
}

func TestMain(m *testing.M) {
	code := m.Run()
	if moto.process != nil {
		moto.process.Kill()
		moto.process.Wait()
	}
	os.Exit(code)
}

// oneAtATime sends one request after another: moto_server answers in threads, and between the condition of a write and
// the write itself another thread can come in, which in DynamoDB cannot happen. Each has a connection of its own, since
// net/http would repeat a write by itself on one that the server has closed, and the model knows of one write.
type oneAtATime struct{ mu sync.Mutex }

var motoTransport = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func (o *oneAtATime) Do(request *http.Request) (*http.Response, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return motoTransport.Do(request)
}

// motoClient returns a client of moto_server, or skips the test where that is not installed.
func motoClient(t testing.TB, options ...func(*dynamodb.Options)) *dynamodb.Client {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: moto_server is not asked")
	}
	moto.once.Do(startMoto)
	if moto.problem != "" {
		t.Skip(moto.problem)
	}
	o := dynamodb.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(moto.url),
		HTTPClient:   sdkhttp.Client(&oneAtATime{}),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	}
	return dynamodb.New(o, options...)
}

func startMoto() {
	path, err := exec.LookPath("moto_server")
	if err != nil {
		moto.problem = "moto_server is not installed (pip install 'moto[server]'), so nothing checks the store against an independent DynamoDB"
		return
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		moto.problem = err.Error()
		return
	}
	address := free.Addr().String()
	free.Close()
	_, port, _ := net.SplitHostPort(address)
	server := exec.Command(path, "-H", "127.0.0.1", "-p", port)
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := server.Start(); err != nil {
		moto.problem = err.Error()
		return
	}
	moto.process = server.Process
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		response, err := http.Get("http://" + address + "/moto-api/")
		if err == nil {
			response.Body.Close()
			break
		}
		if time.Now().After(deadline) {
			moto.problem = "moto_server does not answer after a minute: " + err.Error()
			return
		}
	}
	moto.url = "http://" + address
}

// motoTable makes a table of its own for a test.
func motoTable(t testing.TB, client *dynamodb.Client) string {
	t.Helper()
	name := "t" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, t.Name()) + fmt.Sprint(time.Now().UnixNano())
	name = name[max(0, len(name)-200):]
	input := &dynamodb.CreateTableInput{
		TableName:            &name,
		BillingMode:          types.BillingModePayPerRequest,
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}},
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeS}},
	}
	if _, err := client.CreateTable(context.Background(), input); err != nil {
		t.Fatal(err)
	}
	return name
}
