// Package datafile is the file in which the services of a local run keep what has to be there again in the next one.
//
// A [File] holds buckets, which hold values under keys. Each service keeps what it works with in memory, reads its buckets
// when it starts, and writes each change to the file before it answers; what is too large for that, it reads when it is wanted.
// A nil *File is one for a run that keeps nothing: it holds no values, and takes all changes.
//
// The bucket of a DynamoDB table has the table's name, in which there is no colon. Those of other services begin with the
// service and a colon: "s3:", "sqs:".
package datafile

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// lockTimeout is how long Open waits for another process that has the file open.
const lockTimeout = time.Second

// A File keeps values. Its methods may be called from several goroutines.
type File struct {
	db   *bbolt.DB
	path string // which bbolt forgets when the file is closed
}

// Open opens a file. It is made if it does not exist; its directory has to be there.
//
// The file is for its owner alone. A symbolic link in its place is refused: whoever can make one would choose which file is
// written to.
func Open(path string) (*File, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout, NoSync: true, OpenFile: openNoLink})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("open the data file %s: another process has it open", path)
	}
	if err != nil && isLink(path) {
		return nil, fmt.Errorf("open the data file %s: it is a symbolic link; give the path of the file itself", path)
	}
	if err != nil {
		return nil, fmt.Errorf("open the data file %s: %w", path, err)
	}
	return &File{db, path}, nil
}

// openNoLink is os.OpenFile for what is no symbolic link.
func openNoLink(path string, flag int, mode os.FileMode) (*os.File, error) {
	return os.OpenFile(path, flag|syscall.O_NOFOLLOW, mode)
}

func isLink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&os.ModeSymlink != 0
}

// Close closes the file. Changes fail afterwards.
func (f *File) Close() error {
	if f == nil {
		return nil
	}
	return f.db.Close()
}

// Load hands over each value of a bucket, in the order of the keys. A bucket that is not there is an empty one. The value
// must not be used after the call. An error of the function ends Load, which names the file in it.
func (f *File) Load(bucket string, each func(key string, value []byte) error) error {
	if f == nil {
		return nil
	}
	err := f.db.View(func(transaction *bbolt.Tx) error {
		b := transaction.Bucket([]byte(bucket))
		if b == nil {
			return nil
		}
		return b.ForEach(func(key, value []byte) error { return each(string(key), value) })
	})
	if err != nil {
		return fmt.Errorf("read the file %s: %w", f.path, err)
	}
	return nil
}

// Read hands over the value under a key, or nil if there is none. The value must not be used after the call. An error of the
// function ends up in that of Read, which names the file.
func (f *File) Read(bucket, key string, use func(value []byte) error) error {
	if f == nil {
		return use(nil)
	}
	err := f.db.View(func(transaction *bbolt.Tx) error {
		b := transaction.Bucket([]byte(bucket))
		if b == nil {
			return use(nil)
		}
		return use(b.Get([]byte(key)))
	})
	if err != nil {
		return fmt.Errorf("read the file %s: %w", f.path, err)
	}
	return nil
}

// A Change is one value to be kept.
type Change struct {
	Bucket, Key string

	// Value takes the place of the one under the key. Nil deletes that; one without bytes is kept.
	Value []byte
}

// Write makes changes, all or, if there is an error, none. They are in the file when it returns, and survive the end of the
// process, also a sudden one. They need not survive a loss of power, since nothing waits for the disk.
func (f *File) Write(changes ...Change) error {
	if f == nil || len(changes) == 0 {
		return nil
	}
	err := f.db.Update(func(transaction *bbolt.Tx) error {
		for _, change := range changes {
			bucket, err := transaction.CreateBucketIfNotExists([]byte(change.Bucket))
			if err != nil {
				return err
			}
			if change.Value == nil {
				err = bucket.Delete([]byte(change.Key))
			} else {
				err = bucket.Put([]byte(change.Key), change.Value)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write to the file %s: %w", f.path, err)
	}
	return nil
}

// Update makes a change of another form, such as in buckets within buckets, in whole or not at all. The file must not be nil.
func (f *File) Update(change func(*bbolt.Tx) error) error { return f.db.Update(change) }

// Path is where the file is.
func (f *File) Path() string { return f.path }
