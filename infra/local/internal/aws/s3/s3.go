package s3

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rclone/gofakes3"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/datafile"
)

// Config says whose a store is, where it keeps objects, and what time it is.
type Config struct {
	// AccountID is the account whose the buckets are. A request that expects another owner is refused. Default:
	// 123456789012.
	AccountID string

	// File keeps objects. Whoever opened it closes it. Default: objects are kept in memory.
	File *datafile.File

	// Clock tells the time. Default: time.Now.
	Clock func() time.Time
}

// A Store holds buckets. It is safe for concurrent use.
type Store struct {
	config Config
	api    http.Handler

	mu      sync.RWMutex
	buckets map[string]*bucket // by name
}

// New makes a store without buckets.
func New(config Config) *Store {
	config.AccountID = cmp.Or(config.AccountID, "123456789012")
	if config.Clock == nil {
		config.Clock = time.Now
	}
	s := &Store{config: config, buckets: map[string]*bucket{}}
	s.api = gofakes3.New(backend{s},
		gofakes3.WithTimeSource(timeSource(config.Clock)),
		// A clock that is not the caller's is no reason to refuse requests.
		gofakes3.WithTimeSkewLimit(0),
	).Server()
	return s
}

// timeSource is a clock as gofakes3 wants it.
type timeSource func() time.Time

func (now timeSource) Now() time.Time                        { return now() }
func (now timeSource) Since(earlier time.Time) time.Duration { return now().Sub(earlier) }

// A Bucket is one to be created.
type Bucket struct {
	// Name is 3 to 63 lowercase letters, digits, hyphens and dots, with a letter or digit at both ends.
	Name string

	// Lifecycle says when objects expire.
	Lifecycle []Rule
}

// Validate lists all that is wrong with the bucket in one error.
func (b Bucket) Validate() error {
	problems := []error{checkBucketName(b.Name)}
	for i, rule := range b.Lifecycle {
		if rule.Days < 1 {
			problems = append(problems, fmt.Errorf("the lifecycle rule %d of the bucket %q has objects expire after %d days; give 1 or more",
				i+1, b.Name, rule.Days))
		}
	}
	return errors.Join(problems...)
}

var bucketName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)

// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
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

// bucket is a bucket by its name, or the error that there is none.
func (s *Store) bucket(name string) (*bucket, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if found := s.buckets[name]; found != nil {
		return found, nil
	}
	return nil, gofakes3.BucketNotFound(name)
}

// A bucket is one that was created.
type bucket struct {
	Bucket
	created time.Time
	file    *datafile.File // nil if objects are in memory

	mu      sync.RWMutex
	objects map[string]*object // by key, expired ones among them
}

// An object is all of an object but its key. It does not change.
type object struct {
	Size     int64
	MD5      []byte
	Modified time.Time

	// Metadata has the header fields that are given back as they came, and checksums.
	Metadata map[string]string

	content []byte // empty if there is a file
}

// live is the object of a key, or nil if there is none, or none any more. Whoever calls it holds the mutex.
func (b *bucket) live(key string, now time.Time) *object {
	if there := b.objects[key]; there != nil && !b.expired(key, there, now) {
		return there
	}
	return nil
}

// put stores an object, unless permit says no to what is there, which is nil if nothing is.
func (b *bucket) put(key string, added *object, content []byte, permit func(there *object) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := permit(b.live(key, added.Modified)); err != nil {
		return err
	}
	if b.file == nil {
		added.content = content
	} else if err := b.save(key, added, content); err != nil {
		return err
	}
	b.objects[key] = added
	return nil
}

// read gives an object, and the part of its content that choose wants of it.
func (b *bucket) read(key string, now time.Time, choose func(*object) (first, length int64, err error)) (*object, []byte, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	there := b.live(key, now)
	if there == nil {
		return nil, nil, gofakes3.KeyNotFound(key)
	}
	first, length, err := choose(there)
	if err != nil || length == 0 {
		return there, nil, err
	}
	if b.file == nil {
		return there, there.content[first : first+length], nil
	}
	content, err := b.contentFrom(key, first, length)
	return there, content, err
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

// A listing is a line of a list: an object with its key, or what the keys of several objects begin with.
type listing struct {
	key string
	*object
}

// list lists what comes after a key, up to a number of lines; 0 stands for all. last is the last key that is in one of them.
func (b *bucket) list(prefix, delimiter, after string, limit int64, now time.Time) (listed []listing, last string, more bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, key := range slices.Sorted(maps.Keys(b.objects)) {
		one := b.live(key, now)
		if one == nil || !strings.HasPrefix(key, prefix) || key <= after {
			continue
		}
		line := listing{key, one}
		if begin, _, divided := strings.Cut(key[len(prefix):], delimiter); divided && delimiter != "" {
			line = listing{key: prefix + begin + delimiter}
			if n := len(listed); n > 0 && listed[n-1].object == nil && listed[n-1].key == line.key {
				last = key
				continue
			}
		}
		if int64(len(listed)) == cmp.Or(limit, -1) {
			return listed, last, true
		}
		listed, last = append(listed, line), key
	}
	return listed, last, false
}
