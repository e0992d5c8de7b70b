package sqs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

func TestOfManyReceiversEachMessageComesToOne(t *testing.T) {
	b := newBench(t)
	const messages, receivers = 400, 16
	leave := b.clock.Enter() // so that no time passes
	defer leave()
	var mu sync.Mutex
	got := map[string]int{}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range messages / 4 {
				if _, err := b.store.Call(t.Context(), "SendMessage", fmt.Appendf(nil, `{"QueueUrl":%q,"MessageBody":"%d"}`, orders, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range receivers {
		all.Go(func() {
			for {
				mu.Lock()
				done := len(got) == messages
				mu.Unlock()
				if done {
					return
				}
				output, err := b.store.Call(t.Context(), "ReceiveMessage", json.RawMessage(`{"QueueUrl":"`+orders+`","MaxNumberOfMessages":3}`))
				if err != nil {
					t.Error(err)
					return
				}
				var received struct {
					Messages []struct{ MessageId, ReceiptHandle string }
				}
				if err := json.Unmarshal(output, &received); err != nil {
					t.Error(err)
					return
				}
				for _, m := range received.Messages {
					mu.Lock()
					got[m.MessageId]++
					mu.Unlock()
					if _, err := b.store.Call(t.Context(), "DeleteMessage", fmt.Appendf(nil, `{"QueueUrl":%q,"ReceiptHandle":%q}`, orders, m.ReceiptHandle)); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	for id, times := range got {
		if times != 1 {
			t.Errorf("message %s came %d times", id, times)
		}
	}
}

func TestALongPollEndsWhenAMessageComesOrItsCallerLeaves(t *testing.T) {
	for _, leaves := range []bool{false, true} {
		b := newBench(t)
		for range 2 { // the caller, and one more, so that no time passes and the long poll does not end by itself
			defer b.clock.Enter()()
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan error)
		go func() {
			output, err := b.store.Call(ctx, "ReceiveMessage", json.RawMessage(`{"QueueUrl":"`+dead+`","WaitTimeSeconds":20}`))
			if err == nil && string(output) == "{}" {
				err = errors.New("there was no message")
			}
			ended <- err
		}()
		select {
		case err := <-ended:
			t.Fatalf("it ended at once, with the error %v", err)
		case <-time.After(20 * time.Millisecond): // what has not begun to wait by then finds the message at once
		}
		if leaves {
			cancel()
		} else {
			b.send(dead, "a")
		}
		if err := <-ended; leaves != errors.Is(err, context.Canceled) || !leaves && err != nil {
			t.Errorf("with a caller that leaves %v: got %v", leaves, err)
		}
	}
}
