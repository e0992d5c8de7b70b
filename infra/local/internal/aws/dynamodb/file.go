package dynamodb

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// fileLockTimeout is how long Open waits for another process that has the file open.
const fileLockTimeout = time.Second

// Open makes a store that keeps its items in memory and in a file, so that they are there again when the store is opened
// the next time. The file is made if it does not exist; its directory has to be there. Tables are not made from the
// file: [Store.CreateTable] finds the items of the table in it. Settings of tables, such as time to live, are not kept.
//
// The file is for its owner alone. A symbolic link in its place is refused: whoever can make one would choose which file is
// written to.
//
// A write is in the file when the operation answers, and survives the end of the process, also a sudden one. It need not
// survive a loss of power, since nothing waits for the disk.
func Open(path string, options ...Option) (*Store, error) {
	file, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: fileLockTimeout, NoSync: true, OpenFile: openNoLink})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("open the DynamoDB file %s: another process has it open", path)
	}
	if err != nil && isLink(path) {
		return nil, fmt.Errorf("open the DynamoDB file %s: it is a symbolic link; give the path of the file itself", path)
	}
	if err != nil {
		return nil, fmt.Errorf("open the DynamoDB file %s: %w", path, err)
	}
	s := New(options...)
	s.file = file
	return s, nil
}

// openNoLink is os.OpenFile for what is no symbolic link.
func openNoLink(path string, flag int, mode os.FileMode) (*os.File, error) {
	return os.OpenFile(path, flag|syscall.O_NOFOLLOW, mode)
}

func isLink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&os.ModeSymlink != 0
}

// File is the file, or nil if the items are in memory only. Others may keep what is theirs in it, in buckets whose names no
// table can have: there is no colon in those.
func (s *Store) File() *bbolt.DB { return s.file }

// Close closes the file, if there is one. Operations that write fail afterwards.
func (s *Store) Close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// load reads the items of the table from the file.
func (t *table) load() error {
	if t.file == nil {
		return nil
	}
	return t.file.Update(func(transaction *bbolt.Tx) error {
		bucket, err := transaction.CreateBucketIfNotExists([]byte(t.definition.Name))
		if err != nil {
			return err
		}
		return bucket.ForEach(func(key, encoded []byte) error {
			var it item
			err := json.Unmarshal(encoded, &it)
			if err == nil {
				err = t.definition.checkItem(it)
			}
			if err == nil && t.definition.encodeKey(it) != string(key) {
				err = errKeySchema
			}
			if err != nil {
				return fmt.Errorf("the file %s holds an item that does not fit the key of table %s; remove the file to start with empty tables: %w",
					t.file.Path(), t.definition.Name, err)
			}
			t.items[string(key)] = it
			return nil
		})
	})
}

// save writes an item to the file.
func (t *table) save(key string, it item) error {
	return t.change(func(bucket *bbolt.Bucket) error {
		encoded, err := json.Marshal(it)
		if err != nil {
			return err
		}
		return bucket.Put([]byte(key), encoded)
	})
}

// erase deletes an item from the file.
func (t *table) erase(key string) error {
	return t.change(func(bucket *bbolt.Bucket) error { return bucket.Delete([]byte(key)) })
}

func (t *table) change(write func(*bbolt.Bucket) error) error {
	if t.file == nil {
		return nil
	}
	err := t.file.Update(func(transaction *bbolt.Tx) error {
		return write(transaction.Bucket([]byte(t.definition.Name)))
	})
	if err != nil {
		return &Error{Code: CodeInternalServerError, Message: fmt.Sprintf("write to the file %s: %v", t.file.Path(), err)}
	}
	return nil
}
