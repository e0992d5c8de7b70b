package execution

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/retry"
)

// A State says how far an execution is.
type State string

const (
	// Running means that an attempt is under way, or about to be made.
	Running State = "running"

	// Waiting means that the next attempt is made at a known moment.
	Waiting State = "waiting"

	// Succeeded means that the upstream has given a final answer, whatever its status.
	Succeeded State = "succeeded"

	// Failed means that attempts or time ran out.
	Failed State = "failed"

	// Stopped means that whoever started the execution has stopped it.
	Stopped State = "stopped"
)

// An Execution is how far an asynchronous request is.
type Execution struct {
	// Name is the hash of the id.
	Name string `json:"-"`

	// Revision counts the writes of the item. It is that of the item when it was read or written last.
	Revision int64 `json:"-"`

	State State `json:"state"`

	// Caller stands for whoever started it. Empty means that the id alone is what they have to show.
	Caller string `json:"caller,omitempty"`

	// RequestID is the id of the request that started it.
	RequestID string `json:"requestId"`

	// Method is that of the request.
	Method string `json:"method"`

	// ID is the id, if it stands in an idempotency record, too: whoever starts the execution again writes it there again.
	ID string `json:"id,omitempty"`

	// Created, Deadline and WaitingUntil are in milliseconds since the Unix epoch. WaitingUntil is before when no further
	// attempt is made; it is zero while nothing is waited for.
	Created      int64 `json:"created"`
	Deadline     int64 `json:"deadline"`
	WaitingUntil int64 `json:"waitingUntil,omitempty"`

	// EndedAt is when a proxy has written how it ended, in milliseconds since the Unix epoch. Zero if none has.
	EndedAt int64 `json:"endedAt,omitempty"`

	// Limit is how long the request may take, in milliseconds; MaxAttempts is the caller's own limit on attempts, zero for none;
	// and Keyed says that the request carries a key that makes it safe to repeat. A redrive has them again.
	Limit       int64 `json:"limit,omitempty"`
	MaxAttempts int   `json:"maxAttempts,omitempty"`
	Keyed       bool  `json:"keyed,omitempty"`

	// Redrives is how often the execution was started again after it had failed. See [Execution.Run].
	Redrives int `json:"redrives,omitempty"`

	// Earlier lists attempts of before the latest redrive, oldest first, [MaxEarlier] at most. The policy does not count them.
	Earlier []retry.Attempt `json:"earlier,omitempty"`

	// Expiration is until when the item, and what it refers to, is kept, in seconds since the Unix epoch.
	Expiration int64 `json:"-"`

	// Attempts lists the attempts that were made, oldest first.
	Attempts []retry.Attempt `json:"attempts,omitempty"`

	// Begun is the latest attempt that a proxy was about to make.
	Begun *Begun `json:"begun,omitempty"`

	// Answer names the part with what came of it, at its end. Empty if it was stopped.
	Answer string `json:"answer,omitempty"`

	// Record is the idempotency record of the request, if it has one.
	Record *message.Record `json:"record,omitempty"`

	// Fingerprint is what the record compares requests by.
	Fingerprint string `json:"fingerprint,omitempty"`

	// Callback says who is told of its end. Nil for nobody.
	Callback *Callback `json:"callback,omitempty"`

	// Lost is the envelope whose proxies were lost in the end, so that none was left to judge. The state machine writes it,
	// and nobody writes the execution after that.
	Lost *message.Envelope `json:"-"`
}

// Begun is an attempt that a proxy was about to make. From then on, the upstream may have got it.
type Begun struct {
	// Made is how many attempts there were, by the state machine, when the proxy was called, and Losses how many proxies had
	// been lost since the last of them. Together they tell a proxy which of the losses it is told of are known already.
	Made   int `json:"made"`
	Losses int `json:"losses"`

	// At is when, in milliseconds since the Unix epoch.
	At int64 `json:"at"`

	// Done says that what came of it is known.
	Done bool `json:"done,omitempty"`
}

// AnswerMargin is how much longer an answer is kept than the idempotency record that refers to it: DynamoDB and clocks may be
// late with either.
const AnswerMargin = 1 * time.Hour

// LetterMargin is how much longer what a dead letter refers to is kept than the queue keeps the letter, counted from the
// deadline: a letter is sent within an hour after it.
const LetterMargin = 2 * time.Hour

// MaxEarlier is how many attempts of before the latest redrive are kept. An attempt takes up to 700 bytes, and an item holds
// 400 KB.
const MaxEarlier = 100

// leaseMargin is how long after the deadline the idempotency record stays locked, if nobody completes or releases it.
const leaseMargin = 30 * time.Second

// LeaseEnd is until when the idempotency record of the request is locked at most.
func (x *Execution) LeaseEnd() time.Time { return time.UnixMilli(x.Deadline).Add(leaseMargin) }

// MoveTo moves the moments of the execution, so that its deadline is the given one, in milliseconds since the Unix epoch.
// Whoever lets waits pass faster than they are long moves the deadline of the call.
func (x *Execution) MoveTo(deadline int64) {
	by := deadline - x.Deadline
	if by == 0 {
		return
	}
	x.Deadline = deadline
	if x.WaitingUntil != 0 {
		x.WaitingUntil += by
	}
	for i := range x.Attempts {
		if x.Attempts[i].NotBefore != 0 {
			x.Attempts[i].NotBefore += by
		}
	}
}

// Ended says whether it is known what came of the execution.
func (x *Execution) Ended() bool { return x.State != Running && x.State != Waiting }

// UnderWay says whether an attempt was begun of which nothing is known yet.
func (x *Execution) UnderWay() bool { return x.Begun != nil && !x.Begun.Done }

// Sent says whether the upstream may have got anything.
func (x *Execution) Sent() bool {
	if x.UnderWay() {
		return true
	}
	for _, a := range x.AllAttempts() {
		if a.Status != 0 || a.MaybeProcessed {
			return true
		}
	}
	return false
}

// AllAttempts lists the attempts that were made, those of before a redrive among them.
func (x *Execution) AllAttempts() []retry.Attempt { return slices.Concat(x.Earlier, x.Attempts) }

// Run is what the state machine calls the latest start of the execution, see [message.RunName].
func (x *Execution) Run() string { return message.RunName(x.Name, x.Redrives) }

// ParseRun takes apart what Run has put together.
func ParseRun(run string) (name string, redrives int, ok bool) {
	name, number, redriven := strings.Cut(run, "-")
	if b, err := hex.DecodeString(name); err != nil || len(b) != sha256.Size {
		return "", 0, false
	}
	if !redriven {
		return name, 0, true
	}
	redrives, err := strconv.Atoi(number)
	return name, redrives, err == nil && redrives > 0 && strconv.Itoa(redrives) == number
}

// Restart makes the execution the next one after a redrive, with so much of its time as it had at first, but not more than
// longest. attempts are those of the run that failed.
func (x *Execution) Restart(now time.Time, longest time.Duration, attempts []retry.Attempt) {
	x.Earlier = slices.Concat(x.Earlier, attempts)
	x.Earlier = x.Earlier[max(0, len(x.Earlier)-MaxEarlier):]
	x.Redrives++
	x.State, x.WaitingUntil, x.EndedAt, x.Attempts, x.Begun, x.Answer, x.Lost = Running, 0, 0, nil, nil, "", nil
	if limit := time.Duration(x.Limit) * time.Millisecond; limit > 0 {
		longest = min(longest, limit)
	}
	x.Deadline = now.Add(longest).UnixMilli()
}

// answersPerRun is more than one run of an execution can have attempts.
const answersPerRun = 1000

// AnswerNumber is the number of an answer after so many attempts: no other answer of the execution has it, of whatever run.
func (x *Execution) AnswerNumber(attempts int) int { return x.Redrives*answersPerRun + attempts }

// ID makes the id of an execution: 128 random bits in hexadecimal.
func ID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// IsID says whether a text can be an id.
func IsID(text string) bool {
	b, err := hex.DecodeString(text)
	return err == nil && len(b) == 16 && hex.EncodeToString(b) == text
}

// Name is by what an execution with an id is kept, and what the state machine calls it: the SHA-256 hash in hexadecimal, by
// which nobody finds the id.
func Name(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}

// Unjudged returns the losses of an envelope for the execution that are not in its Attempts yet. made is how many attempts
// there were when the state machine was last answered. Of the losses that are left, all but the one that had begun an attempt
// are marked as proof that nothing was sent.
func (x *Execution) Unjudged(losses *message.Losses, made int) *message.Losses {
	judged, begun := 0, false
	if b := x.Begun; b != nil && b.Made == made {
		judged, begun = b.Losses, !b.Done
		if b.Done {
			judged++ // its answer to the state machine was lost, but it has said here what came of it
		}
	}
	return losses.Since(judged, begun)
}
