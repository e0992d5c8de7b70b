package execution_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/execution"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

func TestARunIsNamedByTheExecutionAndItsRedrives(t *testing.T) {
	name := execution.Name("0123456789abcdef0123456789abcdef")
	for redrives, want := range map[int]string{0: name, 1: name + "-1", 12: name + "-12"} {
		x := &execution.Execution{Name: name, Redrives: redrives}
		if x.Run() != want || len(x.Run()) > 80 { // which is what Step Functions takes
			t.Errorf("after %d redrives it is %s", redrives, x.Run())
		}
		if got, n, ok := execution.ParseRun(x.Run()); got != name || n != redrives || !ok {
			t.Errorf("%s is read as %s and %d, %v", x.Run(), got, n, ok)
		}
	}
	for _, text := range []string{"", "-1", "abc", name[1:], name + "-", name + "-0", name + "-01", name + "--1", name + "-1-1", name + "-x", strings.Repeat("z", 64)} {
		if _, _, ok := execution.ParseRun(text); ok {
			t.Errorf("%q is read as the name of a run", text)
		}
	}
}

func TestARestartHasTheTimeOfTheStartAndKeepsTheLatestAttemptsForPeople(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	x := &execution.Execution{
		State: execution.Failed, Limit: (2 * time.Hour).Milliseconds(), Answer: "a", Begun: &execution.Begun{},
		Attempts: []retry.Attempt{{Status: 500}}, Earlier: slices.Repeat([]retry.Attempt{{Status: 429}}, execution.MaxEarlier),
	}
	before := x.AnswerNumber(1)
	x.Restart(now, 24*time.Hour, x.Attempts)
	if x.State != execution.Running || x.Redrives != 1 || x.Answer != "" || x.Begun != nil || len(x.Attempts) != 0 || time.UnixMilli(x.Deadline) != now.Add(2*time.Hour) {
		t.Errorf("it is %+v", x)
	}
	if n := len(x.Earlier); n != execution.MaxEarlier || x.Earlier[n-1].Status != 500 {
		t.Errorf("%d attempts are kept", n)
	}
	if x.AnswerNumber(1) == before {
		t.Error("an answer of the restart would be written over one of before")
	}
	x.Restart(now, time.Hour, nil) // the prop has been lowered
	if time.UnixMilli(x.Deadline) != now.Add(time.Hour) {
		t.Errorf("its deadline is %v", time.UnixMilli(x.Deadline))
	}
}
