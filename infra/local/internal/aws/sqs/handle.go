package sqs

import (
	"container/heap"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A handle is what a receipt handle says: which message of a queue was received, and how often that had been so by then.
type handle struct {
	queue, id string
	received  int
}

func (h handle) String() string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%s %s %d", h.queue, h.id, h.received))
}

// of gives the message of the receipt handle that a request has, or nil if it is gone or was received again.
func (q *queue) of(receiptHandle string, now time.Time) (*message, error) {
	if receiptHandle == "" {
		return nil, missing("ReceiptHandle")
	}
	text, err := base64.StdEncoding.DecodeString(receiptHandle)
	parts := strings.Split(string(text), " ")
	if err != nil || len(parts) != 3 || parts[0] != q.Name {
		return nil, refusal(CodeReceiptHandleIsInvalid, "The input receipt handle %q is not a valid receipt handle.", receiptHandle)
	}
	m := q.messages[parts[1]]
	if m == nil || parts[2] != strconv.Itoa(m.Received) || q.expired(m, now) {
		return nil, nil
	}
	return m, nil
}

type deleteInput struct{ QueueUrl, ReceiptHandle string }

func (s *Store) deleteMessage(in *deleteInput, now time.Time) (any, error) {
	q, err := s.find(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	return struct{}{}, s.delete(q, in.ReceiptHandle, now)
}

func (s *Store) delete(q *queue, receiptHandle string, now time.Time) error {
	m, err := q.of(receiptHandle, now)
	if err != nil || m == nil {
		return err
	}
	if err := s.config.File.Write(erased(q, m)); err != nil {
		return err
	}
	q.remove(m)
	return nil
}

type visibility struct {
	ReceiptHandle     string
	VisibilityTimeout *int
}

type visibilityInput struct {
	QueueUrl string
	visibility
}

func (s *Store) changeVisibility(in *visibilityInput, now time.Time) (any, error) {
	q, err := s.find(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	return struct{}{}, s.hide(q, in.visibility, now)
}

// hide changes when a message can be received again. As the service was seen to do, it takes a message whose timeout has
// run out, if nobody has received it since.
func (s *Store) hide(q *queue, in visibility, now time.Time) error {
	if in.VisibilityTimeout == nil {
		return missing("VisibilityTimeout")
	}
	timeout, err := seconds("VisibilityTimeout", in.VisibilityTimeout, 0, int(MaxVisibilityTimeout.Seconds()))
	if err != nil {
		return err
	}
	m, err := q.of(in.ReceiptHandle, now)
	if err != nil {
		return err
	}
	if m == nil {
		return invalid("ReceiptHandle", in.ReceiptHandle, "Message does not exist or is not available for visibility timeout change.")
	}
	if now.Add(timeout).After(m.LastReceived.Add(MaxVisibilityTimeout)) {
		return invalid("VisibilityTimeout", *in.VisibilityTimeout, "Total VisibilityTimeout for the message is beyond the limit [43200 seconds].")
	}
	changed := *m
	changed.Available = now.Add(timeout)
	if err := s.config.File.Write(kept(q, &changed)); err != nil {
		return err
	}
	m.Available = changed.Available
	heap.Fix(&q.order, m.index)
	q.wake()
	return nil
}
