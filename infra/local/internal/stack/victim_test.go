package stack_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/stack"
)

// runVariable has this program run a stack until it is killed, in the place of the tests. It is a victimConfig in JSON.
const runVariable = "STACK_TEST_RUN"

// A victimConfig is what another process is told of the stack that it runs.
type victimConfig struct {
	Assembly, Upstream, DataFile string
	Speed                        float64
	Environment                  map[string]map[string]string
	Binaries                     map[string]string
}

// runUntilKilled runs a stack and says where its endpoints and its state machine are.
func runUntilKilled(text string) {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	var c victimConfig
	must(json.Unmarshal([]byte(text), &c))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	template, err := stack.Load(c.Assembly, listener)
	must(err)
	s, err := stack.Start(stack.Config{
		Template: template, Listener: listener, Upstream: c.Upstream, DataFile: c.DataFile, Speed: c.Speed,
		Environment: c.Environment, Binaries: c.Binaries,
	})
	must(err)
	for _, f := range template.Functions {
		if arn := f.Environment["SECOND_STATE_MACHINE_ARN"]; arn != "" {
			fmt.Println(s.Endpoint(), arn)
		}
	}
	select {}
}

// A victim is a process that runs a stack with two state machines.
type victim struct {
	t       *testing.T
	process *exec.Cmd
	client  *sfn.Client
	machine string
}

// victimOf gives processes that run the stack with the same file.
func victimOf(t *testing.T, upstream string, settings ...setting) func(speed float64) *victim {
	t.Helper()
	var c config
	for _, set := range append([]setting{from(twoMachines(t)), environment("gateway", "RING_START", "1")}, settings...) {
		set(t, &c)
	}
	file := filepath.Join(t.TempDir(), "data.db")
	return func(speed float64) *victim {
		t.Helper()
		text, err := json.Marshal(victimConfig{
			Assembly: c.assembly, Upstream: upstream, DataFile: file, Speed: speed, Environment: c.Environment, Binaries: c.Binaries,
		})
		if err != nil {
			t.Fatal(err)
		}
		process := exec.CommandContext(t.Context(), os.Args[0])
		process.Env = append(os.Environ(), runVariable+"="+string(text))
		process.Stderr = os.Stderr
		output, err := process.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := process.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = process.Process.Kill(); _ = process.Wait() })
		line, err := bufio.NewReader(output).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		endpoint, machine, _ := strings.Cut(strings.TrimSpace(line), " ")
		return &victim{t, process, statesOf(endpoint), machine}
	}
}

// kill ends the process by SIGKILL.
func (v *victim) kill() {
	v.t.Helper()
	if err := v.process.Process.Kill(); err != nil {
		v.t.Fatal(err)
	}
	_ = v.process.Wait()
}

// waits waits until an execution has made an attempt and waits after it.
func (v *victim) waits(arn string) {
	v.t.Helper()
	for limit := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		history, err := v.client.GetExecutionHistory(v.t.Context(), &sfn.GetExecutionHistoryInput{ExecutionArn: &arn})
		if err != nil {
			v.t.Fatal(err)
		}
		if n := len(history.Events); n > 0 && history.Events[n-1].Type == "WaitStateEntered" {
			return
		}
		if time.Now().After(limit) {
			v.t.Fatal("it does not wait")
		}
	}
}
