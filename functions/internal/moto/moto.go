// Package moto has tests ask a DynamoDB that somebody else wrote: moto_server.
package moto

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/sdkhttp"
)

// server is started once for all tests of the package that ask for it.
var server struct {
	once    sync.Once
	url     string
	problem string
	process *os.Process
}

// Main runs the tests of a package, ends moto_server, and ends the program. It is for TestMain.
func Main(m *testing.M) {
	code := m.Run()
	if server.process != nil {
		_ = server.process.Kill()
		_, _ = server.process.Wait()
	}
	os.Exit(code)
}

// oneAtATime sends one request after another: moto_server answers in threads, and between the condition of a write and
// the write itself another thread can come in, which in DynamoDB cannot happen. Each has a connection of its own, since
// net/http would repeat a write by itself on one that the server has closed, and the model knows of one write.
type oneAtATime struct{ mu sync.Mutex }

var transport = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func (o *oneAtATime) Do(request *http.Request) (*http.Response, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return transport.Do(request)
}

// Client returns a client of moto_server, or skips the test where that is not installed.
func Client(t testing.TB, options ...func(*dynamodb.Options)) *dynamodb.Client {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: moto_server is not asked")
	}
	server.once.Do(start)
	if server.problem != "" {
		t.Skip(server.problem)
	}
	o := dynamodb.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(server.url),
		HTTPClient:   sdkhttp.Client(&oneAtATime{}),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	}
	return dynamodb.New(o, options...)
}

func start() {
	path, err := exec.LookPath("moto_server")
	if err != nil {
		server.problem = "moto_server is not installed (pip install 'moto[server]'), so nothing checks the store against an independent DynamoDB"
		return
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		server.problem = err.Error()
		return
	}
	address := free.Addr().String()
	free.Close()
	_, port, _ := net.SplitHostPort(address)
	process := exec.Command(path, "-H", "127.0.0.1", "-p", port)
	process.SysProcAttr = ending()
	if err := process.Start(); err != nil {
		server.problem = err.Error()
		return
	}
	server.process = process.Process
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		response, err := http.Get("http://" + address + "/moto-api/")
		if err == nil {
			response.Body.Close()
			break
		}
		if time.Now().After(deadline) {
			server.problem = "moto_server does not answer after a minute: " + err.Error()
			return
		}
	}
	server.url = "http://" + address
}

// Table makes a table of its own for a test, whose partition key is id and whose sort key, if it is to have one, is sk.
func Table(t testing.TB, client *dynamodb.Client, sortKey bool) string {
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
	if sortKey {
		input.KeySchema = append(input.KeySchema, types.KeySchemaElement{AttributeName: aws.String("sk"), KeyType: types.KeyTypeRange})
		input.AttributeDefinitions = append(input.AttributeDefinitions,
			types.AttributeDefinition{AttributeName: aws.String("sk"), AttributeType: types.ScalarAttributeTypeS})
	}
	_, err := client.CreateTable(context.Background(), input)
	if exists := new(types.ResourceInUseException); err != nil && !errors.As(err, &exists) { // as after a repetition whose first answer was lost
		t.Fatal(err)
	}
	return name
}
