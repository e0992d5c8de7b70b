package secretsmanager_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// atOnce runs the function so many times at the same time.
func atOnce(count int, run func(number int)) {
	var started, ended sync.WaitGroup
	started.Add(count)
	for number := range count {
		ended.Go(func() {
			started.Done()
			started.Wait()
			run(number)
		})
	}
	ended.Wait()
}

func TestOneOfManyPutsWithTheSameTokenHolds(t *testing.T) {
	store, _ := newStore(t)
	var accepted atomic.Int32
	atOnce(50, func(number int) {
		_, err := store.Call(t.Context(), "PutSecretValue", fmt.Appendf(nil, `{"SecretId":"orders/token","ClientRequestToken":%q,"SecretString":"%d"}`, token("t"), number))
		if err == nil {
			accepted.Add(1)
		}
	})
	if accepted.Load() != 1 {
		t.Errorf("%d of 50 puts of different values were accepted, want 1", accepted.Load())
	}
}

func TestThereIsOneCurrentAndOnePreviousVersionWhateverComesTogether(t *testing.T) {
	store, _ := newStore(t)
	provide(t, store, map[string]string{"card": "0"})
	var round atomic.Int64
	store.Refresh(func() (map[string]string, bool) {
		n := round.Add(1)
		return map[string]string{"card": fmt.Sprint(n % 3)}, n%5 == 0
	})
	atOnce(16, func(number int) {
		for i := range 40 {
			for operation, input := range map[string]string{
				"GetSecretValue": `{"SecretId":"card"}`,
				"PutSecretValue": fmt.Sprintf(`{"SecretId":"card","ClientRequestToken":"%016d%016d","SecretString":"%d"}`, number, i, i),
				"DescribeSecret": `{"SecretId":"card"}`,
				"ListSecrets":    `{"SortBy":"last-changed-date"}`,
			} {
				output, err := store.Call(t.Context(), operation, json.RawMessage(input))
				if err != nil {
					t.Errorf("%s: %v", operation, err)
				}
				if operation == "DescribeSecret" {
					oneOfEach(t, output)
				}
			}
		}
	})
}

func oneOfEach(t *testing.T, description []byte) {
	t.Helper()
	var described struct{ VersionIdsToStages map[string][]string }
	if err := json.Unmarshal(description, &described); err != nil {
		t.Error(err)
	}
	count := map[string]int{}
	for _, labels := range described.VersionIdsToStages {
		for _, label := range labels {
			count[label]++
		}
	}
	if count["AWSCURRENT"] != 1 || count["AWSPREVIOUS"] > 1 || len(described.VersionIdsToStages) > 2 {
		t.Errorf("the labels are %v", described.VersionIdsToStages)
	}
}
