package eventsource

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// failures reads the messages that failed out of the answer of a function that reports them. An answer for which all of them
// have failed is an error.
func failures(answer []byte, batch []message) (map[string]bool, error) {
	switch string(bytes.TrimSpace(answer)) {
	case "", "null", `""`:
		return nil, nil
	}
	// The keys are compared with maps, since encoding/json takes keys of another case for a field's.
	var members map[string]json.RawMessage
	if err := json.Unmarshal(answer, &members); err != nil {
		return nil, errors.New(`the answer is no object; {"batchItemFailures":[…]} is, and null where nothing failed`)
	}
	list, given := members["batchItemFailures"]
	if !given {
		return nil, nil
	}
	var items []map[string]json.RawMessage
	if err := json.Unmarshal(list, &items); err != nil {
		return nil, errors.New("batchItemFailures in the answer is no list of objects")
	}
	inBatch := map[string]bool{}
	for _, m := range batch {
		inBatch[m.MessageId] = true
	}
	failed := map[string]bool{}
	for i, item := range items {
		var id string
		if err := json.Unmarshal(item["itemIdentifier"], &id); err != nil || !inBatch[id] {
			return nil, fmt.Errorf("batchItemFailures[%d] in the answer has no itemIdentifier that is the id of a message of the batch", i)
		}
		failed[id] = true
	}
	return failed, nil
}
