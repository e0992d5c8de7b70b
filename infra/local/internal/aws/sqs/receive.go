package sqs

import (
	"container/heap"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/datafile"
)

// maxMessages is how many messages can be received at once.
const maxMessages = 10

type receiveInput struct {
	QueueUrl                    string
	AttributeNames              []string // the older name of the next one
	MessageSystemAttributeNames []string
	MessageAttributeNames       []string
	MaxNumberOfMessages         *int
	VisibilityTimeout           *int
	WaitTimeSeconds             *int
}

type receiveOutput struct {
	Messages []received `json:",omitempty"`
}

type received struct {
	MessageId              string
	ReceiptHandle          string
	MD5OfBody              string
	Body                   string
	Attributes             map[string]string    `json:",omitempty"`
	MD5OfMessageAttributes string               `json:",omitempty"`
	MessageAttributes      map[string]attribute `json:",omitempty"`
}

// systemAttributes are the names of what the service knows of a message, whether it does here or not.
var systemAttributes = []string{
	"All", "ApproximateFirstReceiveTimestamp", "ApproximateReceiveCount", "AWSTraceHeader", "DeadLetterQueueSourceArn",
	"MessageDeduplicationId", "MessageGroupId", "SenderId", "SentTimestamp", "SequenceNumber",
}

// A wanted is what a ReceiveMessage asks for.
type wanted struct {
	most                int
	visibility, waiting time.Duration
	system, own         []string // names of attributes
}

func (in *receiveInput) wanted(q *queue) (wanted, error) {
	w := wanted{most: 1, system: append(slices.Clone(in.AttributeNames), in.MessageSystemAttributeNames...), own: in.MessageAttributeNames}
	if n := in.MaxNumberOfMessages; n != nil {
		if w.most = *n; w.most < 1 || w.most > maxMessages {
			return w, invalid("MaxNumberOfMessages", w.most, "Must be between 1 and 10, if provided.")
		}
	}
	for _, name := range w.system {
		if !slices.Contains(systemAttributes, name) {
			return w, refusal(CodeInvalidAttributeName, "Unknown Attribute %s.", name)
		}
	}
	var err error
	if w.visibility, err = seconds("VisibilityTimeout", in.VisibilityTimeout, *q.VisibilityTimeout, int(MaxVisibilityTimeout.Seconds())); err != nil {
		return w, err
	}
	w.waiting, err = seconds("WaitTimeSeconds", in.WaitTimeSeconds, q.ReceiveWait, int(MaxWait.Seconds()))
	return w, err
}

// receiveMessage waits until there is a message, for as long as it is to.
func (s *Store) receiveMessage(ctx context.Context, in *receiveInput) (any, error) {
	s.mu.Lock()
	q, err := s.find(in.QueueUrl)
	var w wanted
	if err == nil {
		w, err = in.wanted(q)
	}
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	deadline := s.config.Clock.Now().Add(w.waiting)
	for {
		s.mu.Lock()
		now := s.config.Clock.Now()
		taken, err := s.take(q, w, now)
		changed, next := q.changed, deadline
		if len(q.order) > 0 && q.order[0].Available.Before(next) {
			next = q.order[0].Available
		}
		s.mu.Unlock()
		if err != nil || len(taken) > 0 || !now.Before(deadline) {
			return receiveOutput{taken}, err
		}
		s.wait(ctx, changed, next.Sub(now))
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
}

// wait returns when the time has passed, the channel is closed, or ctx ends.
func (s *Store) wait(ctx context.Context, changed <-chan struct{}, d time.Duration) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-changed:
			cancel()
		case <-ctx.Done():
		}
	}()
	_ = s.config.Clock.Wait(ctx, d) // whoever waits looks for themselves
}

// take hides messages and hands them over. On the way it drops those that have been kept long enough, and moves those that
// were received too often. The caller holds the lock.
func (s *Store) take(q *queue, w wanted, now time.Time) ([]received, error) {
	var looked, taken, dead []*message
	var changes []datafile.Change
	for len(taken) < w.most && len(q.order) > 0 && !q.order[0].Available.After(now) {
		m := heap.Pop(&q.order).(*message)
		looked = append(looked, m)
		again := *m
		switch {
		case q.expired(m, now):
			changes = append(changes, erased(q, m))
		case q.Redrive != nil && m.Received >= q.Redrive.MaxReceiveCount:
			again.Available, again.Source = now, q.arn
			dead = append(dead, &again)
			changes = append(changes, erased(q, m), kept(s.byARN(q.Redrive.DeadLetterTargetARN), &again))
		default:
			again.Received++
			again.LastReceived, again.Available = now, now.Add(w.visibility)
			if again.FirstReceived.IsZero() {
				again.FirstReceived = now
			}
			taken = append(taken, &again)
			changes = append(changes, kept(q, &again))
		}
	}
	if err := s.config.File.Write(changes...); err != nil {
		for _, m := range looked {
			heap.Push(&q.order, m)
		}
		return nil, err
	}
	for _, m := range looked {
		delete(q.messages, m.ID)
	}
	for _, m := range dead {
		s.byARN(q.Redrive.DeadLetterTargetARN).add(m)
	}
	var output []received
	for _, m := range taken {
		q.messages[m.ID] = m
		heap.Push(&q.order, m)
		output = append(output, s.shown(q, m, w))
	}
	return output, nil
}

// shown is a message as its receiver sees it.
func (s *Store) shown(q *queue, m *message, w wanted) received {
	r := received{
		MessageId: m.ID, ReceiptHandle: handle{q.Name, m.ID, m.Received}.String(), MD5OfBody: md5OfText(m.Body), Body: m.Body,
		MessageAttributes: chosen(m.Attributes, w.own),
	}
	r.MD5OfMessageAttributes = md5OfAttributes(r.MessageAttributes)
	for name, value := range map[string]string{
		"ApproximateFirstReceiveTimestamp": milliseconds(m.FirstReceived),
		"ApproximateReceiveCount":          strconv.Itoa(m.Received),
		"DeadLetterQueueSourceArn":         m.Source,
		"SenderId":                         s.config.AccountID,
		"SentTimestamp":                    milliseconds(m.Sent),
	} {
		if value != "" && (slices.Contains(w.system, name) || slices.Contains(w.system, "All")) {
			if r.Attributes == nil {
				r.Attributes = map[string]string{}
			}
			r.Attributes[name] = value
		}
	}
	return r
}

func milliseconds(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }
