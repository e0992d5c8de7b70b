package sqs

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/datafile"
)

// bucket is where the file has the messages of a queue, under their ids. No name of a table has a colon.
func (q *queue) bucket() string { return "sqs:" + q.Name }

// load reads the messages of a queue from the file.
func (s *Store) load(q *queue) error {
	var loaded []*message
	if err := s.config.File.Load(q.bucket(), func(id string, encoded []byte) error {
		m := &message{}
		if err := json.Unmarshal(encoded, m); err != nil || m.ID != id {
			return fmt.Errorf("it holds a message that does not fit the queue %s; remove the file to start with empty queues: %w", q.Name, err)
		}
		loaded = append(loaded, m)
		return nil
	}); err != nil {
		return err
	}
	slices.SortFunc(loaded, func(a, b *message) int { return cmp.Or(a.Sent.Compare(b.Sent), strings.Compare(a.ID, b.ID)) })
	for _, m := range loaded {
		s.sent++
		m.number = s.sent
		q.add(m)
	}
	return nil
}

// kept is the change of the file that keeps a message of a queue.
func kept(q *queue, m *message) datafile.Change {
	encoded, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings, bytes and times can be written as JSON
	}
	return datafile.Change{Bucket: q.bucket(), Key: m.ID, Value: encoded}
}

// erased is the change of the file that deletes a message of a queue.
func erased(q *queue, m *message) datafile.Change {
	return datafile.Change{Bucket: q.bucket(), Key: m.ID}
}
