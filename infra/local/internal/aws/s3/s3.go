package s3

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

// Config says where a store pretends to be, and where it keeps objects.
type Config struct {
	// Region and AccountID are those of the buckets. Defaults: us-east-1, 000000000000.
	Region, AccountID string

	// Hosts are the names below which a bucket is a host of its own: with aws.local, the host of a request for the bucket
	// orders may be orders.aws.local. A bucket at the beginning of the path is always understood.
	Hosts []string

	// File keeps objects, in buckets whose names begin with "s3:". Others may use it for theirs; whoever opened it closes
	// it. Default: objects are kept in memory.
	File *bbolt.DB

	// Clock tells the time. Default: time.Now.
	Clock func() time.Time
}

// A Store holds buckets. It is safe for concurrent use.
type Store struct {
	config Config

	mu      sync.RWMutex
	buckets map[string]*bucket // by name
}

// New makes a store without buckets.
func New(config Config) *Store {
	config.Region = cmp.Or(config.Region, "us-east-1")
	config.AccountID = cmp.Or(config.AccountID, "000000000000")
	if config.Clock == nil {
		config.Clock = time.Now
	}
	return &Store{config: config, buckets: map[string]*bucket{}}
}

// A Bucket is one to be created.
type Bucket struct {
	Name string

	// Lifecycle says when objects expire.
	Lifecycle []Rule

	// Encryption is what objects are told to be encrypted with whose requests do not say. Default: AES256.
	Encryption Encryption
}

// Validate lists all that is wrong with the bucket in one error.
func (b Bucket) Validate() error {
	problems := []error{checkBucketName(b.Name), b.Encryption.validate(b.Name)}
	for i, rule := range b.Lifecycle {
		if rule.Days < 1 {
			problems = append(problems, fmt.Errorf("the lifecycle rule %d of the bucket %q has objects expire after %d days; give 1 or more", i+1, b.Name, rule.Days))
		}
	}
	return errors.Join(problems...)
}

var bucketName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)

func checkBucketName(name string) error {
	_, notAnAddress := netip.ParseAddr(name)
	if len(name) < 3 || len(name) > 63 || !bucketName.MatchString(name) || strings.Contains(name, "..") || notAnAddress == nil {
		return fmt.Errorf("%q is no name of a bucket; give 3 to 63 lowercase letters, digits, hyphens and dots, a letter or digit at both ends", name)
	}
	return nil
}

// CreateBucket adds a bucket, with the objects that the file has of it.
func (s *Store) CreateBucket(given Bucket) error {
	if err := given.Validate(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets[given.Name] != nil {
		return fmt.Errorf("there are two buckets of the name %q", given.Name)
	}
	given.Lifecycle = slices.Clone(given.Lifecycle)
	added := &bucket{Bucket: given, created: s.config.Clock(), file: s.config.File, objects: map[string]*object{}}
	if err := added.load(); err != nil {
		return err
	}
	s.buckets[given.Name] = added
	return nil
}

// BucketNames lists the buckets in the order of their names.
func (s *Store) BucketNames() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Sorted(maps.Keys(s.buckets))
}

// A bucket is one that was created.
type bucket struct {
	Bucket
	created time.Time
	file    *bbolt.DB // nil if objects are in memory

	mu      sync.RWMutex
	objects map[string]*object // by key, expired ones among them
}

// An object is all of an object but its key. It does not change.
type object struct {
	Size     int64
	ETag     string // without quotation marks
	Modified time.Time

	// Header has the header fields that are given back as they came.
	Header map[string]string `json:",omitempty"`

	Encryption Encryption
	Checksum   *checksum `json:",omitempty"`

	content []byte // empty if there is a file
}

func (s *Store) bucket(name string) (*bucket, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if found := s.buckets[name]; found != nil {
		return found, nil
	}
	return nil, refusal(CodeNoSuchBucket, "The specified bucket does not exist").with("BucketName", name)
}

// put stores an object, unless a condition forbids it.
func (b *bucket) put(key string, added *object, content []byte, wanted writeConditions, now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	there := b.objects[key]
	if there != nil && b.expired(key, there, now) {
		there = nil
	}
	if err := wanted.check(key, there); err != nil {
		return err
	}
	if b.file != nil {
		if err := b.save(key, added, content); err != nil {
			return err
		}
	} else {
		added.content = content
	}
	b.objects[key] = added
	return nil
}

// read finds an object and hands it to choose, which gives the part of the content that is wanted.
func (b *bucket) read(key string, now time.Time, choose func(*object) (part, error)) (*object, part, []byte, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	there := b.objects[key]
	if there == nil || b.expired(key, there, now) {
		return nil, part{}, nil, noSuchKey(key)
	}
	chosen, err := choose(there)
	if err != nil {
		return nil, part{}, nil, err
	}
	if b.file == nil {
		return there, chosen, there.content[chosen.first : chosen.first+chosen.length], nil
	}
	content, err := b.contentFrom(key, chosen)
	return there, chosen, content, err
}

// remove deletes an object, if it is there.
func (b *bucket) remove(key string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.removed(key)
}

// removed is remove for who holds the mutex.
func (b *bucket) removed(key string) error {
	if b.objects[key] == nil {
		return nil
	}
	if b.file != nil {
		if err := b.erase(key); err != nil {
			return err
		}
	}
	delete(b.objects, key)
	return nil
}
