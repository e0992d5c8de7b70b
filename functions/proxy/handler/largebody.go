package handler

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/functions/largebody"
	"github.com/retrying-api-proxy/retrying-api-proxy/functions/message"
)

// Bodies is what a proxy needs of whoever keeps large bodies, see package bucketstore.
type Bodies interface {
	Put(ctx context.Context, kind largebody.Kind, name string, body []byte) error
	Get(ctx context.Context, kind largebody.Kind, name string) ([]byte, error)
}

const (
	// keepAttempts is how often a proxy tries to write the body of an answer, each time with the retries of the SDK. The upstream
	// has done what was asked by then, and without the body nobody is told what came of it.
	keepAttempts = 6

	// keepPause is the pause before the second try. It doubles with each.
	keepPause = 100 * time.Millisecond

	// keepGrace is the least time that is given to it, be the deadline over: the gateway waits for longer than its caller does.
	keepGrace = 1 * time.Second

	// keepReserve is what is left then of the time that Lambda gives the invocation, to say what came of the attempt.
	keepReserve = 1 * time.Second
)

// errNoBodies is the error of a request whose body is in a bucket, where the environment knows of none.
var errNoBodies = errors.New("proxy: the envelope names an object, and the environment names no bucket with it")

// errNotKept is the error of an answer whose body could not be written to the bucket.
var errNotKept = errors.New("proxy: the body of the answer could not be written to the bucket")

// withBody is a call with the body of its request, wherever that is kept. It is read before anything is sent: the error says so,
// and the next proxy tries it again, which is the cure for all but an object that is gone.
func (p *Proxy) withBody(ctx context.Context, call *message.Call) (*message.Call, error) {
	object := call.Request.BodyObject
	if object == "" {
		return call, nil
	}
	if p.bodies == nil {
		return nil, &message.RequestBodyError{Err: errNoBodies}
	}
	ctx, cancel := context.WithTimeout(ctx, min(timeLeft(ctx), call.DeadlineTime().Sub(p.clock.Now())))
	defer cancel()
	body, err := p.bodies.Get(ctx, largebody.Requests, object)
	if err != nil {
		p.log.LogAttrs(ctx, slog.LevelError, "the body of the request could not be read from the bucket",
			slog.String("requestId", call.RequestID), slog.String("error", err.Error()))
		return nil, &message.RequestBodyError{Err: err}
	}
	whole := *call
	whole.Request.SetLoaded(body)
	return &whole, nil
}

// keepBody writes the body of an answer that is too large for a state to the bucket, and gives the envelope that names it. It
// gives none if the function URL could not carry the answer, or if its fields alone are too large for a state. The error is
// errNotKept if nothing could be written.
func (p *Proxy) keepBody(ctx context.Context, call *message.Call, out *message.Envelope) (*message.Envelope, error) {
	body, err := out.BodyBytes()
	if err != nil {
		return nil, err
	}
	carried := out.Response
	carried.SetLargeBody(body)
	if n, err := message.JSONBytes(carried); err != nil || n > message.MaxAnswerBytes {
		return nil, err
	}
	name := largebody.Name()
	kept := out.WithBodyIn(name)
	if fits, err := canCarry(call, kept); err != nil || !fits {
		return nil, err
	}
	return kept, p.put(ctx, call, name, body)
}

// put writes the body of an answer, as often as it takes within the time that is left.
func (p *Proxy) put(ctx context.Context, call *message.Call, name string, body []byte) error {
	left := min(max(call.DeadlineTime().Sub(p.clock.Now()), keepGrace), timeBefore(ctx, keepReserve))
	until := p.clock.Now().Add(left)
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	pause := keepPause
	for n := 1; ; n++ {
		err := p.bodies.Put(ctx, largebody.Answers, name, body)
		if err == nil {
			return nil
		}
		p.log.LogAttrs(ctx, slog.LevelError, "the body of an answer could not be written to the bucket",
			slog.String("requestId", call.RequestID), slog.Int("try", n), slog.String("error", err.Error()))
		if n == keepAttempts || ctx.Err() != nil || until.Sub(p.clock.Now()) <= pause {
			return errNotKept
		}
		if err := p.clock.Sleep(ctx, pause); err != nil {
			return errNotKept
		}
		pause *= 2
	}
}
