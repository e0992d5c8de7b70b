package sqs

import (
	"container/heap"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Defaults and limits of a [Queue].
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
const (
	// DefaultVisibilityTimeout and MaxVisibilityTimeout are for how long a message that was received is hidden. The limit
	// holds for all changes of it together.
	DefaultVisibilityTimeout = 30 * time.Second
	MaxVisibilityTimeout     = 12 * time.Hour

	// DefaultRetention, MinRetention and MaxRetention are for how long a message is kept.
	DefaultRetention = 4 * 24 * time.Hour
	MinRetention     = time.Minute
	MaxRetention     = 14 * 24 * time.Hour

	// MaxDelay is for how long a message can be held back.
	MaxDelay = 15 * time.Minute

	// MaxWait is how long a ReceiveMessage can wait for a message.
	MaxWait = 20 * time.Second

	// MinMessageSize and MaxMessageSize are the bounds of a queue's own limit, in bytes. The latter is the default, and what a
	// batch can have in all.
	MinMessageSize = 1 << 10
	MaxMessageSize = 1 << 20

	// MaxReceives is the highest maxReceiveCount.
	MaxReceives = 1000
)

// A Queue is a standard queue that is to be created. Durations are whole seconds.
type Queue struct {
	// Name has 1 to 80 letters, digits, hyphens and underscores.
	Name string

	// VisibilityTimeout hides a message that was received. Default: [DefaultVisibilityTimeout].
	VisibilityTimeout *time.Duration

	// Retention is for how long a message is kept. Default: [DefaultRetention].
	Retention time.Duration

	// Delay holds messages back at first. Default: it does not.
	Delay time.Duration

	// ReceiveWait is how long a ReceiveMessage waits that does not say so. Default: it does not wait.
	ReceiveWait time.Duration

	// MaxMessageSize limits messages, in bytes. Default: [MaxMessageSize].
	MaxMessageSize int

	// Redrive says what becomes of messages that are received again and again. Default: they are.
	Redrive *Redrive

	// RedriveAllow says for which queues this one may be the dead letter queue. Default: for all.
	RedriveAllow *RedriveAllow
}

// A Redrive is the attribute RedrivePolicy.
type Redrive struct {
	// DeadLetterTargetARN is the ARN of the dead letter queue.
	DeadLetterTargetARN string

	// MaxReceiveCount is how often a message is received before it moves there, from 1 to [MaxReceives].
	MaxReceiveCount int
}

// A RedriveAllow is the attribute RedriveAllowPolicy.
type RedriveAllow struct {
	// Permission is allowAll, denyAll or byQueue.
	Permission string

	// SourceQueueARNs are the ARNs of the queues that are meant by byQueue, 1 to 10.
	SourceQueueARNs []string
}

func (a *RedriveAllow) allows(sourceARN string) bool {
	return a == nil || a.Permission == "allowAll" || a.Permission == "byQueue" && slices.Contains(a.SourceQueueARNs, sourceARN)
}

func (q *Queue) setDefaults() {
	if q.VisibilityTimeout == nil {
		timeout := DefaultVisibilityTimeout
		q.VisibilityTimeout = &timeout
	}
	if q.Retention == 0 {
		q.Retention = DefaultRetention
	}
	if q.MaxMessageSize == 0 {
		q.MaxMessageSize = MaxMessageSize
	}
}

var nameSyntax = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,80}$`)

// Validate lists all that is wrong with the queue in one error. Whether its dead letter queue is there, it does not know.
func (q Queue) Validate() error {
	q.setDefaults()
	var problems []error
	problem := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("sqs: the queue %q: "+format, append([]any{q.Name}, args...)...))
	}
	switch {
	case strings.HasSuffix(q.Name, ".fifo"):
		problem("FIFO queues are not supported here; use a standard queue")
	case !nameSyntax.MatchString(q.Name):
		problem("its name is not allowed; give 1 to 80 letters, digits, hyphens and underscores")
	}
	for _, d := range []struct {
		name            string
		given, from, to time.Duration
	}{
		{"VisibilityTimeout", *q.VisibilityTimeout, 0, MaxVisibilityTimeout},
		{"Retention", q.Retention, MinRetention, MaxRetention},
		{"Delay", q.Delay, 0, MaxDelay},
		{"ReceiveWait", q.ReceiveWait, 0, MaxWait},
	} {
		if d.given < d.from || d.given > d.to || d.given%time.Second != 0 {
			problem("its %s is %v; give whole seconds from %v to %v", d.name, d.given, d.from, d.to)
		}
	}
	if q.MaxMessageSize < MinMessageSize || q.MaxMessageSize > MaxMessageSize {
		problem("its MaxMessageSize is %d bytes; give %d to %d", q.MaxMessageSize, MinMessageSize, MaxMessageSize)
	}
	if r := q.Redrive; r != nil && (r.MaxReceiveCount < 1 || r.MaxReceiveCount > MaxReceives) {
		problem("its Redrive.MaxReceiveCount is %d; give 1 to %d", r.MaxReceiveCount, MaxReceives)
	}
	if a := q.RedriveAllow; a != nil {
		sources, byQueue := len(a.SourceQueueARNs), a.Permission == "byQueue"
		switch {
		case !byQueue && a.Permission != "allowAll" && a.Permission != "denyAll":
			problem("its RedriveAllow.Permission is %q; give allowAll, denyAll or byQueue", a.Permission)
		case byQueue && (sources < 1 || sources > 10), !byQueue && sources > 0:
			problem("its RedriveAllow has the Permission %s with %d SourceQueueARNs; byQueue takes 1 to 10, the others none", a.Permission, sources)
		}
	}
	return errors.Join(problems...)
}

// A queue is a Queue, its defaults filled in, with its messages. The store's lock guards it.
type queue struct {
	Queue
	arn, url string
	created  time.Time
	purged   time.Time // the zero time if never

	messages map[string]*message // by id
	order    byAvailability

	// changed is closed, and made anew, when a message may have become available earlier than it would have.
	changed chan struct{}
}

func (s *Store) newQueue(given Queue) *queue {
	return &queue{
		Queue:    given,
		arn:      ARN(s.config.Region, s.config.AccountID, given.Name),
		url:      URL(s.config.BaseURL, s.config.AccountID, given.Name),
		created:  s.config.Clock.Now(),
		messages: map[string]*message{},
		changed:  make(chan struct{}),
	}
}

// add adds a message.
func (q *queue) add(m *message) {
	q.messages[m.ID] = m
	heap.Push(&q.order, m)
	q.wake()
}

// remove takes a message out.
func (q *queue) remove(m *message) {
	delete(q.messages, m.ID)
	heap.Remove(&q.order, m.index)
}

// wake has those who wait for a message look again.
func (q *queue) wake() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// expired says whether a message has been kept for as long as it is to be.
func (q *queue) expired(m *message, now time.Time) bool { return !now.Before(m.Sent.Add(q.Retention)) }

// byAvailability is a heap of messages. The first is the one that can be received first.
type byAvailability []*message

func (o byAvailability) Len() int { return len(o) }

func (o byAvailability) Less(i, j int) bool {
	if !o[i].Available.Equal(o[j].Available) {
		return o[i].Available.Before(o[j].Available)
	}
	return o[i].number < o[j].number
}

func (o byAvailability) Swap(i, j int) {
	o[i], o[j] = o[j], o[i]
	o[i].index, o[j].index = i, j
}

func (o *byAvailability) Push(x any) {
	m := x.(*message)
	m.index = len(*o)
	*o = append(*o, m)
}

func (o *byAvailability) Pop() any {
	old := *o
	m := old[len(old)-1]
	old[len(old)-1] = nil
	*o = old[:len(old)-1]
	return m
}
