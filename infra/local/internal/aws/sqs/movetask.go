package sqs

import (
	"cmp"
	"encoding/base64"
	"slices"
	"time"
)

// A moveTask is one that has moved dead letters, as ListMessageMoveTasks has it.
type moveTask struct {
	ApproximateNumberOfMessagesMoved  int
	ApproximateNumberOfMessagesToMove int
	DestinationArn                    string `json:",omitempty"`
	FailureReason                     string `json:",omitempty"`
	SourceArn                         string
	StartedTimestamp                  int64 // in milliseconds
	Status                            string
}

type startMoveInput struct{ SourceArn, DestinationArn string }

// startMoveTask moves the dead letters that can be received now to a queue, or each to the one that it came from. They become
// new messages: with ids of their own, sent now, and never received.
func (s *Store) startMoveTask(in *startMoveInput, now time.Time) (any, error) {
	source := s.byARN(in.SourceArn)
	switch {
	case in.SourceArn == "":
		return nil, missing("SourceArn")
	case source == nil:
		return nil, refusal(CodeResourceNotFound, "The resource that you specified for the SourceArn parameter doesn't exist.")
	case !slices.ContainsFunc(s.sorted(), func(q *queue) bool { return q.Redrive != nil && q.Redrive.DeadLetterTargetARN == source.arn }):
		return nil, refusal(CodeInvalidParameterValue, "Source queue must be configured as a Dead Letter Queue.")
	case in.DestinationArn == in.SourceArn:
		return nil, refusal(CodeInvalidParameterValue, "Source queue arn and destination queue arn cannot be the same.")
	case in.DestinationArn != "" && s.byARN(in.DestinationArn) == nil:
		return nil, refusal(CodeResourceNotFound, "The resource that you specified for the DestinationArn parameter doesn't exist.")
	}
	task := moveTask{DestinationArn: in.DestinationArn, SourceArn: source.arn, StartedTimestamp: now.UnixMilli(), Status: "COMPLETED"}
	for _, m := range source.inOrder(now) {
		task.ApproximateNumberOfMessagesToMove++
		destination := s.byARN(in.DestinationArn)
		if in.DestinationArn == "" {
			destination = s.byARN(m.Source)
		}
		if destination == nil {
			task.Status, task.FailureReason = "FAILED", "CouldNotDetermineMessageSource"
			continue
		}
		s.sent++
		moved := &message{ID: newID(), Body: m.Body, Attributes: m.Attributes, Sent: now, Available: now, number: s.sent}
		if err := s.config.File.Write(erased(source, m), kept(destination, moved)); err != nil {
			return nil, err
		}
		source.remove(m)
		destination.add(moved)
		task.ApproximateNumberOfMessagesMoved++
	}
	s.tasks = append(s.tasks, task)
	return map[string]string{"TaskHandle": base64.StdEncoding.EncodeToString([]byte(newID() + " " + source.arn))}, nil
}

// inOrder are the messages that can be received now, in the order in which they would be.
func (q *queue) inOrder(now time.Time) []*message {
	var all []*message
	for _, m := range q.messages {
		if !m.Available.After(now) && !q.expired(m, now) {
			all = append(all, m)
		}
	}
	slices.SortFunc(all, func(a, b *message) int {
		return cmp.Or(a.Available.Compare(b.Available), cmp.Compare(a.number, b.number))
	})
	return all
}

type listMovesInput struct {
	SourceArn  string
	MaxResults *int
}

// listMoveTasks lists the newest tasks of a queue, first the last one.
func (s *Store) listMoveTasks(in *listMovesInput, _ time.Time) (any, error) {
	most := 1
	if n := in.MaxResults; n != nil {
		if most = *n; most < 1 || most > 10 {
			return nil, invalid("MaxResults", most, "Must be an integer from 1 to 10, if provided.")
		}
	}
	switch {
	case in.SourceArn == "":
		return nil, missing("SourceArn")
	case s.byARN(in.SourceArn) == nil:
		return nil, refusal(CodeResourceNotFound, "The resource that you specified for the SourceArn parameter doesn't exist.")
	}
	results := []moveTask{}
	for _, task := range slices.Backward(s.tasks) {
		if task.SourceArn == in.SourceArn && len(results) < most {
			results = append(results, task)
		}
	}
	return map[string]any{"Results": results}, nil
}
