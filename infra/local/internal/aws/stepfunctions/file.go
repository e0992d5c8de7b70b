package stepfunctions

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/datafile"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/asl"
)

// What the file has: executions, each in a bucket of its own, by numbers that grow; the state machines that they were started
// with, by hashes; and until when names are taken whose executions are dropped, by the executions' ARNs. No name of a
// DynamoDB table, which may be in the same file, has a colon.
var (
	executionsBucket = []byte("states:executions")
	machinesBucket   = []byte("states:machines")
	namesBucket      = []byte("states:names")
)

// What the file has of an execution: what it is, in JSON; where it stands, unless it has ended; and its events, by their ids.
var (
	executionKey = []byte("execution")
	positionKey  = []byte("position")
	eventsName   = []byte("events")
)

// keptExecution is an execution as it is in the file.
type keptExecution struct {
	Execution
	Machine string // by its hash
}

// Open makes a service that keeps executions in a file, so that they are there again when it is opened the next time. With
// no file it is New.
//
// Standard executions are kept from their start on, with every step: a step is in the file before the next one is made, and
// survives the end of the process, also a sudden one. Close leaves them where they are, and [Service.Resume] goes on with
// them, with the definition that they were started with. Express executions are kept when they have ended; AWS does not say
// what becomes of one whose host is lost, and here it is gone.
//
// State machines are not made from the file. Whoever opened the file closes it, after the service.
func Open(file *datafile.File, config Config) (*Service, error) {
	s := New(config)
	if file == nil {
		return s, nil
	}
	s.file = file
	if err := file.Update(s.load); err != nil {
		return nil, fmt.Errorf("the file %s holds executions that cannot be read; remove the file to start without any: %w", file.Path(), err)
	}
	for _, e := range s.executions {
		s.order = append(s.order, e)
	}
	slices.SortFunc(s.order, func(a, b *execution) int { return cmp.Or(a.Started.Compare(b.Started), bytes.Compare(a.key, b.key)) })
	for _, e := range s.order {
		if e.Status != asl.Running {
			s.finished[e.Type].add(e)
		}
	}
	for _, ended := range s.finished {
		slices.SortStableFunc(ended.executions, func(a, b *execution) int { return a.Stopped.Compare(b.Stopped) })
	}
	s.expire()
	return s, nil
}

// load reads the file.
func (s *Service) load(transaction *bbolt.Tx) error {
	executions, err := transaction.CreateBucketIfNotExists(executionsBucket)
	if err != nil {
		return err
	}
	definitions, err := transaction.CreateBucketIfNotExists(machinesBucket)
	if err != nil {
		return err
	}
	names, err := transaction.CreateBucketIfNotExists(namesBucket)
	if err != nil {
		return err
	}
	machines := map[string]*machine{}
	err = definitions.ForEach(func(hash, encoded []byte) error {
		m := new(machine)
		if err := json.Unmarshal(encoded, &m.StateMachine); err != nil {
			return fmt.Errorf("a state machine: %w", err)
		}
		machines[string(hash)] = m
		return nil
	})
	if err != nil {
		return err
	}
	used := map[string]bool{}
	err = executions.ForEachBucket(func(key []byte) error {
		e, hash, err := loadExecution(executions.Bucket(key), machines)
		if err != nil {
			return fmt.Errorf("execution %x: %w", key, err)
		}
		used[hash] = true
		e.key = slices.Clone(key)
		s.prepare(e)
		if e.left = e.Status == asl.Running; !e.left {
			close(e.done)
		}
		s.executions[e.ARN] = e
		return nil
	})
	if err != nil {
		return err
	}
	for hash := range machines {
		if !used[hash] {
			if err := definitions.Delete([]byte(hash)); err != nil {
				return err
			}
		}
	}
	return s.loadNames(names)
}

// loadNames reads until when names are taken, and deletes those that are free again.
func (s *Service) loadNames(names *bbolt.Bucket) error {
	now := s.config.Clock.Now()
	var free [][]byte
	err := names.ForEach(func(arn, text []byte) error {
		until, err := time.Parse(time.RFC3339Nano, string(text))
		if err != nil {
			return fmt.Errorf("the name %s: %w", arn, err)
		}
		if now.Before(until) {
			s.taken[string(arn)] = until
		} else {
			free = append(free, slices.Clone(arn))
		}
		return nil
	})
	for _, arn := range free {
		err = errors.Join(err, names.Delete(arn))
	}
	return err
}

// loadExecution reads an execution. Its machine is one of those that are read already, and is parsed if that is the first
// one of its executions.
func loadExecution(bucket *bbolt.Bucket, machines map[string]*machine) (_ *execution, hash string, err error) {
	var kept keptExecution
	if err := json.Unmarshal(bucket.Get(executionKey), &kept); err != nil {
		return nil, "", err
	}
	m := machines[kept.Machine]
	if m == nil {
		return nil, "", fmt.Errorf("%s was started with a state machine that is not there", kept.ARN)
	}
	if m.program == nil {
		if m.program, err = asl.Parse([]byte(m.Definition)); err != nil {
			return nil, "", fmt.Errorf("%s was started with a definition that cannot be run: %w", kept.ARN, err)
		}
	}
	e := &execution{Execution: kept.Execution, machine: m}
	events := bucket.Bucket(eventsName)
	if events == nil {
		return nil, "", fmt.Errorf("%s has no events", kept.ARN)
	}
	err = events.ForEach(func(_, encoded []byte) error {
		var event asl.Event
		if err := json.Unmarshal(encoded, &event); err != nil {
			return fmt.Errorf("the events of %s: %w", kept.ARN, err)
		}
		e.events = append(e.events, event)
		e.bytes += textBytes(event)
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	e.saved = len(e.events)
	if text := bucket.Get(positionKey); text != nil {
		e.position = new(asl.Position)
		if err := json.Unmarshal(text, e.position); err != nil {
			return nil, "", fmt.Errorf("the position of %s: %w", kept.ARN, err)
		}
	}
	return e, kept.Machine, nil
}

// durable says whether an execution survives the process.
func (s *Service) durable(e *execution) bool { return s.file != nil && e.Type == Standard }

// keep writes an execution to the file, with the events that are not there yet. A position is where it stands; without one
// it has just begun, or has ended.
func (s *Service) keep(e *execution, position *asl.Position) error {
	err := s.file.Update(func(transaction *bbolt.Tx) error {
		bucket, err := s.bucketOf(transaction, e)
		if err != nil {
			return err
		}
		if position == nil {
			hash, err := keepMachine(transaction, e.machine.StateMachine)
			if err != nil {
				return err
			}
			if err := put(bucket, executionKey, keptExecution{e.Execution, hash}); err != nil {
				return err
			}
			if err := bucket.Delete(positionKey); err != nil {
				return err
			}
		} else if err := put(bucket, positionKey, position); err != nil {
			return err
		}
		events := bucket.Bucket(eventsName)
		for _, event := range e.events[e.saved:] {
			if err := put(events, numberKey(uint64(event.ID)), event); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write to the file %s: %w", s.file.Path(), err)
	}
	e.saved = len(e.events)
	return nil
}

// bucketOf finds the bucket of an execution, and makes it if there is none.
func (s *Service) bucketOf(transaction *bbolt.Tx, e *execution) (*bbolt.Bucket, error) {
	all := transaction.Bucket(executionsBucket)
	if e.key != nil {
		return all.Bucket(e.key), nil
	}
	number, err := all.NextSequence()
	if err != nil {
		return nil, err
	}
	e.key = numberKey(number)
	bucket, err := all.CreateBucket(e.key)
	if err != nil {
		return nil, err
	}
	_, err = bucket.CreateBucket(eventsName)
	return bucket, err
}

// keepMachine writes a state machine to the file, unless it is there, and returns its hash. When it was created is not
// hashed, since state machines are created anew in every process.
func keepMachine(transaction *bbolt.Tx, m StateMachine) (hash string, err error) {
	same := m
	same.Created = time.Time{}
	text, err := json.Marshal(same)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	hash = hex.EncodeToString(sum[:])
	machines := transaction.Bucket(machinesBucket)
	if machines.Get([]byte(hash)) != nil {
		return hash, nil
	}
	return hash, put(machines, []byte(hash), m)
}

// erase deletes an execution from the file. If it has a name, that is taken until a time.
func (s *Service) erase(e *execution, takenUntil time.Time) error {
	return s.file.Update(func(transaction *bbolt.Tx) error {
		if !takenUntil.IsZero() {
			text := []byte(takenUntil.Format(time.RFC3339Nano))
			if err := transaction.Bucket(namesBucket).Put([]byte(e.ARN), text); err != nil {
				return err
			}
		}
		return transaction.Bucket(executionsBucket).DeleteBucket(e.key)
	})
}

func put(bucket *bbolt.Bucket, key []byte, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return bucket.Put(key, text)
}

// numberKey writes a number so that keys are in the order of numbers.
func numberKey(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
