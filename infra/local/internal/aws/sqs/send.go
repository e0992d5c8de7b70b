package sqs

import (
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/datafile"
)

// content is what the senders of one message and of several give.
type content struct {
	MessageBody       string
	DelaySeconds      *int
	MessageAttributes map[string]attribute
}

type sendInput struct {
	QueueUrl string
	content
}

type sendOutput struct {
	MD5OfMessageBody       string
	MD5OfMessageAttributes string `json:",omitempty"`
	MessageId              string
}

func (s *Store) sendMessage(in *sendInput, now time.Time) (any, error) {
	q, err := s.find(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	m, err := s.newMessage(q, in.content, now)
	if err != nil {
		return nil, err
	}
	if err := s.send(q, m); err != nil {
		return nil, err
	}
	return sentAs(m), nil
}

func sentAs(m *message) sendOutput {
	return sendOutput{MD5OfMessageBody: md5OfText(m.Body), MD5OfMessageAttributes: md5OfAttributes(m.Attributes), MessageId: m.ID}
}

// newMessage makes a message for a queue, or says why there cannot be one.
func (s *Store) newMessage(q *queue, given content, now time.Time) (*message, error) {
	if given.MessageBody == "" {
		return nil, missing("MessageBody")
	}
	delay := q.Delay
	if d := given.DelaySeconds; d != nil {
		if delay = time.Duration(*d) * time.Second; delay < 0 || delay > MaxDelay {
			return nil, invalid("DelaySeconds", *d, "DelaySeconds must be >= 0 and <= 900.")
		}
	}
	if size(given.MessageBody, given.MessageAttributes) > q.MaxMessageSize {
		return nil, refusal(CodeInvalidParameterValue, "One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", q.MaxMessageSize)
	}
	if err := checkCharacters(given.MessageBody); err != nil {
		return nil, err
	}
	if err := checkAttributes(given.MessageAttributes); err != nil {
		return nil, err
	}
	s.sent++
	return &message{
		ID: newID(), Body: given.MessageBody, Attributes: given.MessageAttributes, Sent: now, Available: now.Add(delay), number: s.sent,
	}, nil
}

// send puts messages into a queue, all or none.
func (s *Store) send(q *queue, messages ...*message) error {
	changes := make([]datafile.Change, len(messages))
	for i, m := range messages {
		changes[i] = kept(q, m)
	}
	if err := s.config.File.Write(changes...); err != nil {
		return err
	}
	for _, m := range messages {
		q.add(m)
	}
	return nil
}
