package sqs

import (
	"errors"
	"regexp"
	"time"
)

// maxEntries is how many entries a batch can have.
const maxEntries = 10

// An entry is one of a batch.
type entry interface{ id() string }

// entryID is what all entries have.
type entryID struct{ Id string }

func (e entryID) id() string { return e.Id }

// A batchInput is the input of an operation on several messages.
type batchInput[E entry] struct {
	QueueUrl string
	Entries  []E
}

type batchOutput struct {
	Successful []any     `json:",omitempty"`
	Failed     []failure `json:",omitempty"`
}

// A failure is an entry that was refused.
type failure struct {
	Id, Code, Message string
	SenderFault       bool
}

var entryIDSyntax = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,80}$`)

// check refuses what is no batch. Kind is what the API calls an entry.
func (in *batchInput[E]) check(kind string) error {
	if len(in.Entries) == 0 {
		return refusal(CodeEmptyBatchRequest, "There should be at least one %s in the request.", kind)
	}
	if n := len(in.Entries); n > maxEntries {
		return refusal(CodeTooManyEntriesInBatchRequest, "Maximum number of entries per request are %d. You have sent %d.", maxEntries, n)
	}
	seen := map[string]bool{}
	for _, e := range in.Entries {
		if !entryIDSyntax.MatchString(e.id()) {
			return refusal(CodeInvalidBatchEntryID,
				"A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.")
		}
		if seen[e.id()] {
			return refusal(CodeBatchEntryIDsNotDistinct, "Id %s repeated.", e.id())
		}
		seen[e.id()] = true
	}
	return nil
}

// run does something for each entry. What it gives is the entry's success, and an error is the entry's alone.
func (in *batchInput[E]) run(one func(E) (any, error)) batchOutput {
	var output batchOutput
	for _, e := range in.Entries {
		success, err := one(e)
		var own *Error
		switch {
		case err == nil:
			output.Successful = append(output.Successful, success)
		case errors.As(err, &own):
			output.Failed = append(output.Failed, failure{e.id(), own.QueryCode(), own.Message, own.fault() == "Sender"})
		default:
			output.Failed = append(output.Failed, failure{e.id(), CodeInternalFailure, err.Error(), false})
		}
	}
	return output
}

type sendEntry struct {
	entryID
	content
}

func (s *Store) sendMessageBatch(in *batchInput[sendEntry], now time.Time) (any, error) {
	q, err := s.find(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if err := in.check("SendMessageBatchRequestEntry"); err != nil {
		return nil, err
	}
	total := 0
	for _, e := range in.Entries {
		total += size(e.MessageBody, e.MessageAttributes)
	}
	if total > MaxMessageSize {
		return nil, refusal(CodeBatchRequestTooLong, "Batch requests cannot be longer than %d bytes. You have sent %d bytes.", MaxMessageSize, total)
	}
	return in.run(func(e sendEntry) (any, error) {
		m, err := s.newMessage(q, e.content, now)
		if err != nil {
			return nil, err
		}
		if err := s.send(q, m); err != nil {
			return nil, err
		}
		return struct {
			entryID
			sendOutput
		}{e.entryID, sentAs(m)}, nil
	}), nil
}

type deleteEntry struct {
	entryID
	ReceiptHandle string
}

func (s *Store) deleteMessageBatch(in *batchInput[deleteEntry], now time.Time) (any, error) {
	q, err := s.find(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if err := in.check("DeleteMessageBatchRequestEntry"); err != nil {
		return nil, err
	}
	return in.run(func(e deleteEntry) (any, error) { return e.entryID, s.delete(q, e.ReceiptHandle, now) }), nil
}

type visibilityEntry struct {
	entryID
	visibility
}

func (s *Store) changeVisibilityBatch(in *batchInput[visibilityEntry], now time.Time) (any, error) {
	q, err := s.find(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if err := in.check("ChangeMessageVisibilityBatchRequestEntry"); err != nil {
		return nil, err
	}
	return in.run(func(e visibilityEntry) (any, error) { return e.entryID, s.hide(q, e.visibility, now) }), nil
}
