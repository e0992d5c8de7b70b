package stepfunctions_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/datafile"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
)

// A kept service has a file, and can be left and opened again.
type kept struct {
	*stepfunctions.Service
	t    *testing.T
	file *datafile.File
}

func openFile(t *testing.T, path string, config stepfunctions.Config, express, standard string) *kept {
	t.Helper()
	file, err := datafile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	service, err := stepfunctions.Open(file, config)
	if err != nil {
		t.Fatal(err)
	}
	k := &kept{service, t, file}
	t.Cleanup(k.leave)
	for arn, definition := range map[string]string{expressARN: express, standardARN: standard} {
		if definition == "" {
			continue
		}
		name := arn[strings.LastIndex(arn, ":")+1:]
		err := service.CreateStateMachine(stepfunctions.StateMachine{Name: name, ARN: arn, Type: stepfunctions.Type(strings.ToUpper(name)), Definition: definition})
		if err != nil {
			t.Fatal(err)
		}
	}
	return k
}

// leave ends the service and closes the file.
func (k *kept) leave() {
	k.Close()
	if err := k.file.Close(); err != nil {
		k.t.Error(err)
	}
}

func (k *kept) execution(arn string) stepfunctions.Execution {
	k.t.Helper()
	e, err := k.Execution(arn)
	if err != nil {
		k.t.Fatal(err)
	}
	return e
}

func (k *kept) types(arn string) (all []asl.EventType) {
	k.t.Helper()
	events, err := k.History(arn)
	if err != nil {
		k.t.Fatal(err)
	}
	for i, e := range events {
		if e.ID != int64(i)+1 {
			k.t.Errorf("event %d has the id %d", i+1, e.ID)
		}
		all = append(all, e.Type)
	}
	return all
}

const waitAnHour = `{"StartAt":"Wait","States":{"Wait":{"Type":"Wait","Seconds":3600,"End":true}}}`

func TestAWaitGoesOnUntilItsMomentWhenTheServiceIsOpenedAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data.db")
	began := time.Now()
	first := openFile(t, path, stepfunctions.Config{}, "", waitAnHour)
	e, err := first.StartExecution(standardARN, digest, `{"a":1}`)
	if err != nil {
		t.Fatal(err)
	}
	waitForEvents(t, first.Service, e.ARN, 2)
	first.leave()

	// Twenty minutes later.
	v := clock.NewVirtual(began.Add(20 * time.Minute))
	leave := v.Enter()
	second := openFile(t, path, stepfunctions.Config{Clock: v}, "", waitAnHour)
	if got := second.execution(e.ARN); got.Status != asl.Running || !got.Started.Equal(e.Started) || got.Input != `{"a":1}` {
		t.Errorf("before it goes on it is %+v", got)
	}
	if again, err := second.StartExecution(standardARN, digest, `{"a":1}`); err != nil || again.ARN != e.ARN {
		t.Errorf("started again it is %+v %v", again, err)
	}
	if _, err := second.StartExecution(standardARN, digest, `{"a":2}`); code(err) != stepfunctions.ExecutionAlreadyExists {
		t.Errorf("started with another input: %v", err)
	}
	fresh, err := second.StartExecution(standardARN, "two", `{}`)
	if err != nil {
		t.Fatal(err)
	}
	second.Resume()
	leave()
	waitForEnd(t, second.Service)
	if n := len(second.types(fresh.ARN)); n != 4 {
		t.Errorf("one that was started in between has %d events, want 4", n)
	}
	got := second.execution(e.ARN)
	if took := got.Stopped.Sub(got.Started).Round(time.Second); got.Status != asl.Succeeded || got.Output != `{"a":1}` || took != time.Hour {
		t.Errorf("it ended as %+v after %v, want SUCCEEDED after an hour", got, took)
	}
	second.leave()

	third := openFile(t, path, stepfunctions.Config{}, "", waitAnHour)
	third.Resume()
	if diff := cmp.Diff(got, third.execution(e.ARN)); diff != "" {
		t.Errorf("opened once more it is another execution (-want +got):\n%s", diff)
	}
	want := []asl.EventType{asl.ExecutionStarted, asl.WaitStateEntered, asl.WaitStateExited, asl.ExecutionSucceeded}
	if diff := cmp.Diff(want, third.types(e.ARN)); diff != "" {
		t.Errorf("its history is another (-want +got):\n%s", diff)
	}
	if _, err := third.StartExecution(standardARN, digest, `{"a":1}`); code(err) != stepfunctions.ExecutionAlreadyExists {
		t.Errorf("its name is free: %v", err)
	}
}

// waitForEvents waits until an execution has so many.
func waitForEvents(t *testing.T, s *stepfunctions.Service, arn string, n int) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		events, err := s.History(arn)
		if err != nil {
			t.Fatal(err)
		}
		if len(events) >= n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("there are %d events: %+v", len(events), events)
		}
	}
}

func TestAnExecutionThatWasLeftCanBeStoppedLater(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data.db")
	first := openFile(t, path, stepfunctions.Config{}, "", waitAnHour)
	e, err := first.StartExecution(standardARN, "one", `{}`)
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	if got := first.execution(e.ARN); got.Status != asl.Running {
		t.Errorf("when the service is closed it is %+v, want one that runs", got)
	}
	if _, err := first.StopExecution(e.ARN, "", ""); code(err) != stepfunctions.ServiceUnavailable {
		t.Errorf("it was stopped although nobody runs it: %v", err)
	}
	if err := first.file.Close(); err != nil {
		t.Fatal(err)
	}

	second := openFile(t, path, stepfunctions.Config{}, "", waitAnHour)
	second.Resume()
	client := newClient(t, second.Service)
	stopped, err := client.StopExecution(t.Context(), &sfn.StopExecutionInput{ExecutionArn: &e.ARN, Error: aws.String("Enough")})
	if err != nil {
		t.Fatal(err)
	}
	second.leave()
	third := newClient(t, openFile(t, path, stepfunctions.Config{}, "", waitAnHour).Service)
	described, err := third.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: &e.ARN})
	if err != nil || described.Status != types.ExecutionStatusAborted || aws.ToString(described.Error) != "Enough" || !aws.ToTime(described.StopDate).Equal(*stopped.StopDate) {
		t.Errorf("it is %+v %v, want what was stopped at %v", described, err, stopped.StopDate)
	}
}

// callAndCatch counts the calls of its function and what became of them.
const callAndCatch = `{"StartAt":"Call","States":{
	"Call":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f","Payload.$":"$"},"OutputPath":"$.Payload","End":true,
		"Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.fault","Next":"Lost"}]},
	"Lost":{"Type":"Pass","InputPath":"$.fault.Error","End":true}}}`

func TestATaskThatWasUnderWayIsLostAndNotCalledAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data.db")
	called := make(chan struct{})
	first := openFile(t, path, stepfunctions.Config{Lambda: asl.LambdaFunc(func(ctx context.Context, _ string, _ []byte) (asl.Invocation, error) {
		close(called)
		<-ctx.Done()
		return asl.Invocation{}, ctx.Err()
	})}, "", callAndCatch)
	e, err := first.StartExecution(standardARN, "one", `{}`)
	if err != nil {
		t.Fatal(err)
	}
	<-called
	first.leave()

	second := openFile(t, path, stepfunctions.Config{Lambda: asl.LambdaFunc(func(context.Context, string, []byte) (asl.Invocation, error) {
		t.Error("it was called again")
		return asl.Invocation{}, nil
	})}, "", callAndCatch)
	second.Resume()
	waitForEnd(t, second.Service)
	if got := second.execution(e.ARN); got.Output != `"States.Timeout"` {
		t.Errorf("it ended as %+v, want what catches States.Timeout", got)
	}
	want := []asl.EventType{
		asl.ExecutionStarted, asl.TaskStateEntered, asl.TaskScheduled, asl.TaskStarted, asl.TaskTimedOut, asl.TaskStateExited,
		asl.PassStateEntered, asl.PassStateExited, asl.ExecutionSucceeded,
	}
	if diff := cmp.Diff(want, second.types(e.ARN)); diff != "" {
		t.Errorf("its history is another (-want +got):\n%s", diff)
	}
}

func TestAnExecutionGoesOnWithTheDefinitionThatItWasStartedWith(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data.db")
	old := strings.Replace(waitAnHour, `"End":true}`, `"Next":"Old"},"Old":{"Type":"Pass","Result":"old","End":true}`, 1)
	const changed = `{"StartAt":"New","States":{"New":{"Type":"Pass","Result":"new","End":true}}}`
	first := openFile(t, path, stepfunctions.Config{}, "", old)
	e, err := first.StartExecution(standardARN, "one", `{}`)
	if err != nil {
		t.Fatal(err)
	}
	first.leave()
	for _, definition := range []string{changed, ""} { // changed first, and deleted then
		left := openFile(t, path, stepfunctions.Config{}, "", definition)
		of, err := newClient(t, left.Service).DescribeStateMachineForExecution(t.Context(), &sfn.DescribeStateMachineForExecutionInput{ExecutionArn: &e.ARN})
		if err != nil || *of.Definition != old {
			t.Errorf("it is said to run %+v %v", of, err)
		}
		left.leave()
	}
	v := clock.NewVirtual(time.Now().Add(time.Hour))
	last := openFile(t, path, stepfunctions.Config{Clock: v}, "", changed)
	last.Resume()
	waitForEnd(t, last.Service)
	if got := last.execution(e.ARN); got.Output != `"old"` {
		t.Errorf("it ended as %+v, want the output of the definition that it was started with", got)
	}
	newer, err := last.StartExecution(standardARN, "two", `{}`)
	if err != nil {
		t.Fatal(err)
	}
	waitForEnd(t, last.Service)
	if got := last.execution(newer.ARN); got.Output != `"new"` {
		t.Errorf("one that was started later ended as %+v", got)
	}
}

func TestTheTimeoutOfAStateMachineCountsWhileNothingRuns(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data.db")
	definition := strings.Replace(waitAnHour, `{`, `{"TimeoutSeconds":1800,`, 1)
	first := openFile(t, path, stepfunctions.Config{}, "", definition)
	e, err := first.StartExecution(standardARN, "one", `{}`)
	if err != nil {
		t.Fatal(err)
	}
	waitForEvents(t, first.Service, e.ARN, 2)
	first.leave()
	v := clock.NewVirtual(e.Started.Add(10 * time.Minute))
	second := openFile(t, path, stepfunctions.Config{Clock: v}, "", definition)
	second.Resume()
	waitForEnd(t, second.Service)
	got := second.execution(e.ARN)
	if took := got.Stopped.Sub(got.Started); got.Status != asl.TimedOut || took.Round(time.Millisecond) != 30*time.Minute {
		t.Errorf("it %s after %v, want TIMED_OUT after half an hour", got.Status, took)
	}
}

func TestExecutionsThatEndedAreInTheListWhenTheServiceIsOpenedAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data.db")
	first := openFile(t, path, stepfunctions.Config{}, passOn, failAtOnce)
	for i := range 20 {
		if _, err := first.StartExecution(standardARN, fmt.Sprint(i), `{}`); err != nil {
			t.Fatal(err)
		}
		if _, err := first.StartSyncExecution(t.Context(), expressARN, fmt.Sprint(i), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
		waitForEnd(t, first.Service)
	}
	before, err := first.Executions("", "")
	if err != nil || len(before) != 40 {
		t.Fatalf("there are %d executions: %v", len(before), err)
	}
	histories := map[string][]asl.Event{}
	for _, e := range before {
		if histories[e.ARN], err = first.History(e.ARN); err != nil {
			t.Fatal(err)
		}
	}
	first.leave()
	second := openFile(t, path, stepfunctions.Config{}, passOn, failAtOnce)
	after, err := second.Executions("", "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the list is another (-want +got):\n%s", diff)
	}
	for arn, want := range histories {
		if got, err := second.History(arn); err != nil || !cmp.Equal(want, got) {
			t.Errorf("the history of %s is another: %v\n%s", arn, err, cmp.Diff(want, got))
		}
	}
}

// What is dropped from memory leaves the file, too, or it would grow without end. Names of Standard workflows stay.
func TestWhatIsDroppedLeavesTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data.db")
	first := openFile(t, path, stepfunctions.Config{}, passOn, passOn)
	for i := range 1005 {
		if _, err := first.StartExecution(standardARN, fmt.Sprint(i), `{}`); err != nil {
			t.Fatal(err)
		}
		if _, err := first.StartSyncExecution(t.Context(), expressARN, "", `{}`); err != nil {
			t.Fatal(err)
		}
		if i < 5 {
			waitForEnd(t, first.Service)
		}
	}
	waitForEnd(t, first.Service)
	first.leave()

	file, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	executions, names := 0, 0
	err = file.View(func(transaction *bbolt.Tx) error {
		names = transaction.Bucket([]byte("states:names")).Stats().KeyN
		return transaction.Bucket([]byte("states:executions")).ForEachBucket(func([]byte) error { executions++; return nil })
	})
	if err != nil || executions != 2000 || names != 5 {
		t.Errorf("in the file are %d executions and %d names, want 2000 and 5: %v", executions, names, err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}

	second := openFile(t, path, stepfunctions.Config{}, passOn, passOn)
	if _, err := second.StartExecution(standardARN, "0", `{}`); code(err) != stepfunctions.ExecutionAlreadyExists {
		t.Errorf("the name of an execution that was dropped: %v", err)
	}
	second.leave()
	later := openFile(t, path, stepfunctions.Config{Clock: clock.NewVirtual(time.Now().Add(91 * 24 * time.Hour))}, passOn, passOn)
	if _, err := later.StartExecution(standardARN, "0", `{}`); err != nil {
		t.Errorf("91 days later: %v", err)
	}
	if all, err := later.Executions("", ""); err != nil || len(all) != 1 {
		t.Errorf("91 days later there are %d executions: %v", len(all), err)
	}
}

func TestAFileThatCannotBeReadIsNamedAndNotChanged(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data.db")
	first := openFile(t, path, stepfunctions.Config{}, "", waitAnHour)
	if _, err := first.StartExecution(standardARN, "one", `{}`); err != nil {
		t.Fatal(err)
	}
	first.leave()
	for bucket, wrong := range map[string]string{
		"states:machines": `{"Definition":"{}"}`,
		"states:names":    `tomorrow`,
	} {
		file, err := datafile.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		var before []byte
		write := func(text func([]byte) []byte) {
			t.Helper()
			err := file.Update(func(transaction *bbolt.Tx) error {
				b := transaction.Bucket([]byte(bucket))
				key, value := b.Cursor().First()
				if key == nil {
					key = []byte("arn")
				}
				key, before = slices.Clone(key), slices.Clone(value)
				if written := text(value); written != nil {
					return b.Put(key, written)
				}
				return b.Delete(key)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		write(func([]byte) []byte { return []byte(wrong) })
		original := before
		if _, err := stepfunctions.Open(file, stepfunctions.Config{}); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "remove the file") {
			t.Errorf("with a wrong entry in %s: %v", bucket, err)
		}
		write(func(value []byte) []byte {
			if string(value) != wrong {
				t.Errorf("the entry in %s was changed to %s", bucket, value)
			}
			return original
		})
		if s, err := stepfunctions.Open(file, stepfunctions.Config{}); err != nil {
			t.Errorf("with what was there before: %v", err)
		} else {
			s.Close()
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnExecutionThatCannotBeKeptIsNotStarted(t *testing.T) {
	t.Parallel()
	s := openFile(t, filepath.Join(t.TempDir(), "data.db"), stepfunctions.Config{}, "", passOn)
	if err := s.file.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.StartExecution(standardARN, "one", `{}`); code(err) != stepfunctions.InternalFailure {
		t.Errorf("got %v", err)
	}
	if all, err := s.Executions("", ""); err != nil || len(all) != 0 {
		t.Errorf("there are %+v %v", all, err)
	}
}

// Those who watch are told what happens after they came, once, and in order.
func TestObserversAreToldOfWhatGoesOn(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data.db")
	first := openFile(t, path, stepfunctions.Config{}, "", waitAnHour)
	e, err := first.StartExecution(standardARN, "one", `{}`)
	if err != nil {
		t.Fatal(err)
	}
	waitForEvents(t, first.Service, e.ARN, 2)
	first.leave()
	second := openFile(t, path, stepfunctions.Config{Clock: clock.NewVirtual(time.Now())}, "", waitAnHour)
	told := make(chan string, 10)
	second.Observe(func(of stepfunctions.Execution, event asl.Event) {
		text, _ := json.Marshal(of.Status)
		told <- fmt.Sprintf("%d %s %s", event.ID, event.Type, text)
	})
	second.Resume()
	for _, want := range []string{`3 WaitStateExited "RUNNING"`, `4 ExecutionSucceeded "SUCCEEDED"`} {
		if got := <-told; got != want {
			t.Errorf("observers are told %s, want %s", got, want)
		}
	}
}
