//go:build unix

package comparison

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/retrying-api-proxy/retrying-api-proxy/constructs/npmpackages"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/idempotency/dynamostore"
)

// sizes are those of payload and result, in bytes of JSON.
var sizes = []int{200, 10_000, 100_000}

// leastCPU is how long each row is measured at least, in each of two rounds.
const leastCPU = 500 * time.Millisecond

// rows are what is measured. A cached replay asks no store, so that there is only one.
var rows = []struct{ name, title string }{
	{"memory first", "memory store, first call"},
	{"memory replay", "memory store, replay"},
	{"memory cached", "replay from the local cache"},
	{"sdk first", "SDK, first call"},
	{"sdk replay", "SDK, replay"},
}

// alone are rows of what dynamostore and the SDK take of these, which no change of package idempotency can lower.
var alone = []struct{ name, title string }{
	{"sdk alone first", "  of that, dynamostore and SDK"},
	{"sdk alone replay", "  of that, dynamostore and SDK"},
}

// TestComparison prints what a call costs that does nothing, in CPU time of the process, user and system. Both sides get
// the event as Lambda's runtime hands it over: in Go as bytes, in Node.js as an object. The result is a map here and an
// object there. The connections of both SDKs are fakes. Each side is measured twice, in turns, and its better round
// counts.
func TestComparison(t *testing.T) {
	if os.Getenv("BENCH") == "" {
		t.Skip("BENCH is not set, so nothing is measured: make bench")
	}
	packages := npmpackages.Installed(t, filepath.Join("testdata", "powertools"))
	script, err := os.ReadFile(filepath.Join("testdata", "powertools", "measure.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	// Node.js looks for packages from the script upwards.
	runnable := filepath.Join(packages, "measure.mjs")
	if err := os.WriteFile(runnable, script, 0o644); err != nil {
		t.Fatal(err)
	}

	ours, theirs, asMap := map[string]float64{}, map[string]float64{}, map[string]float64{}
	for range 2 {
		for _, size := range sizes {
			for _, row := range rows {
				name := fmt.Sprint(row.name, " ", size)
				better(ours, name, measure(t, row.name, size, false))
				better(asMap, name, measure(t, row.name, size, true))
			}
			for _, row := range alone {
				name := fmt.Sprint(row.name, " ", size)
				better(ours, name, measure(t, row.name, size, false))
			}
		}
		for name, microseconds := range powertools(t, runnable) {
			better(theirs, name, microseconds)
		}
	}

	table := &strings.Builder{}
	fmt.Fprintf(table, "µs of CPU per call: Go / TypeScript (how many times less); Go with the payload as a map\n")
	for _, row := range rows {
		fmt.Fprintf(table, "%-30s", row.title)
		for _, size := range sizes {
			name := fmt.Sprint(row.name, " ", size)
			fmt.Fprintf(table, "  %6d B: %5.0f / %5.0f (%4.1f); %5.0f", size, ours[name], theirs[name], theirs[name]/ours[name], asMap[name])
		}
		fmt.Fprintln(table)
		for _, part := range alone {
			if part.name != strings.Replace(row.name, "sdk", "sdk alone", 1) {
				continue
			}
			fmt.Fprintf(table, "%-30s", part.title)
			for _, size := range sizes {
				fmt.Fprintf(table, "  %6d B: %5.0f%24s", size, ours[fmt.Sprint(part.name, " ", size)], "")
			}
			fmt.Fprintln(table)
		}
	}
	fmt.Print(table)
}

func better(measured map[string]float64, name string, microseconds float64) {
	if before, ok := measured[name]; !ok || microseconds < before {
		measured[name] = microseconds
	}
}

// powertools measures the other side, in µs by row and size.
func powertools(t *testing.T, script string) map[string]float64 {
	t.Helper()
	arguments := []string{script}
	for _, size := range sizes {
		arguments = append(arguments, strconv.Itoa(size))
	}
	command := exec.Command("node", arguments...)
	command.Env = append(os.Environ(), "AWS_LAMBDA_FUNCTION_NAME=bench", "NODE_NO_WARNINGS=1", fmt.Sprint("MEASURE_MS=", leastCPU.Milliseconds()))
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, stderr.Bytes())
	}
	var measured map[string]float64
	if err := json.Unmarshal(output, &measured); err != nil {
		t.Fatalf("node printed %s: %v", output, err)
	}
	if len(measured) != len(rows)*len(sizes) {
		t.Fatalf("node measured %v", measured)
	}
	return measured
}

type line struct {
	SKU    string  `json:"sku"`
	Amount float64 `json:"amount"`
	Count  int     `json:"count"`
	Name   string  `json:"name"`
	Gift   bool    `json:"gift"`
}

// document is the one of measure.mjs.
func document(size int) []byte {
	value := struct {
		Order string `json:"order"`
		Lines []line `json:"lines"`
	}{Order: "o-00000000", Lines: []line{}}
	for i := 0; ; i++ {
		encoded, err := json.Marshal(value)
		if err != nil {
			panic(err)
		}
		if len(encoded) >= size-80 {
			return encoded
		}
		if size > 1000 { // several at a time: encoding all of it for each is slow
			for range 9 {
				value.Lines = append(value.Lines, line{fmt.Sprint("article-", i), float64(i) + 0.25, i, "A book about é", i%2 == 0})
				i++
			}
		}
		value.Lines = append(value.Lines, line{fmt.Sprint("article-", i), float64(i) + 0.25, i, "A book about é", i%2 == 0})
	}
}

func asMap(document []byte) (value map[string]any) {
	if err := json.Unmarshal(document, &value); err != nil {
		panic(err)
	}
	return value
}

// connection answers requests without a network: writes succeed, or an insert conflicts with a completed record.
type connection struct {
	status    int
	body, sum string
}

func connect(result []byte) *connection {
	c := &connection{status: 200, body: "{}"}
	if result != nil {
		c.status = 400
		data, err := json.Marshal(string(result))
		if err != nil {
			panic(err)
		}
		c.body = `{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","Item":{"id":{"S":"r"},"status":{"S":"COMPLETED"},` +
			`"expiration":{"N":"` + strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10) + `"},"data":{"S":` + string(data) + `},"owner":{"S":"o"}}}`
	}
	c.sum = strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(c.body))), 10)
	return c
}

func (c *connection) Do(request *http.Request) (*http.Response, error) {
	_, _ = io.Copy(io.Discard, request.Body)
	header := http.Header{"Content-Type": {"application/x-amz-json-1.0"}, "X-Amz-Crc32": {c.sum}}
	return &http.Response{StatusCode: c.status, Header: header, Body: io.NopCloser(strings.NewReader(c.body)), Request: request}, nil
}

// measure is what a call costs here, in µs.
func measure(t *testing.T, row string, size int, payloadIsMap bool) float64 {
	t.Helper()
	event := document(size)
	cfg := idempotency.Config{Prefix: "bench", Lease: time.Minute}
	var store idempotency.Store = idempotency.NewMemoryStore()
	if strings.HasPrefix(row, "sdk") {
		link := connect(nil)
		if strings.HasSuffix(row, "replay") {
			link = connect(event)
		}
		client := dynamodb.New(dynamodb.Options{Region: "us-east-1", HTTPClient: link,
			Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
			})})
		store = dynamostore.New(client, "table")
	}
	if row == "memory cached" {
		cfg.CacheSize = 256
	}
	manager, err := idempotency.New(store, cfg)
	if err != nil {
		t.Fatal(err)
	}
	first := strings.HasSuffix(row, "first")
	result, payload := asMap(event), asMap(event)
	number := bytes.Index(event, []byte("o-00000000")) + len("o-")
	n, runs := 0, 0
	record := idempotency.Record{ID: "r", Status: idempotency.InProgress, Owner: "o", LeaseEnd: time.Now().Add(time.Minute), Expiration: time.Now().Add(time.Hour)}
	completed := record
	completed.Status, completed.Data = idempotency.Completed, bytes.Clone(event)
	call := func() {
		n++
		if strings.HasPrefix(row, "sdk alone") {
			if _, _, err := store.Insert(context.Background(), record, time.Now()); err != nil {
				t.Fatal(err)
			}
			if first {
				if err := store.Complete(context.Background(), completed); err != nil {
					t.Fatal(err)
				}
				runs++
			}
			return
		}
		if first {
			copy(event[number:], fmt.Sprintf("%08d", n))
			payload["order"] = string(event[number-2 : number+8])
		}
		var of any = json.RawMessage(event)
		if payloadIsMap {
			of = payload
		}
		got, err := idempotency.Do(context.Background(), manager, of, func(context.Context) (map[string]any, error) { runs++; return result, nil })
		if err != nil || len(got) != 2 {
			t.Fatal(got, err)
		}
	}
	for range 200 {
		call()
	}
	calls := 0
	for start := cpu(t); ; {
		for range 20 {
			call()
		}
		calls += 20
		if spent := cpu(t) - start; spent > leastCPU {
			want := map[bool]int{true: n}[first]
			if strings.HasPrefix(row, "memory") && !first {
				want = 1
			}
			if runs != want {
				t.Fatalf("%s: %d runs in %d calls; want %d", row, runs, n, want)
			}
			return float64(spent.Microseconds()) / float64(calls)
		}
	}
}

// cpu is what the process has used.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
