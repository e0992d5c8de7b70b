package s3

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// bucketPrefix begins the names of what the file has of buckets. No name of a table has a colon.
const bucketPrefix = "s3:"

// What the file has of a bucket: the objects in JSON without their contents, which so are read when they are wanted only,
// and the contents. Both are by key.
var (
	objectsName  = []byte("objects")
	contentsName = []byte("contents")
)

// load reads the objects of the bucket from the file.
func (b *bucket) load() error {
	if b.file == nil {
		return nil
	}
	return b.file.Update(func(transaction *bbolt.Tx) error {
		outer, err := transaction.CreateBucketIfNotExists([]byte(bucketPrefix + b.Name))
		if err != nil {
			return err
		}
		objects, err := outer.CreateBucketIfNotExists(objectsName)
		if err != nil {
			return err
		}
		contents, err := outer.CreateBucketIfNotExists(contentsName)
		if err != nil {
			return err
		}
		return objects.ForEach(func(key, encoded []byte) error {
			one := new(object)
			err := json.Unmarshal(encoded, one)
			if content := contents.Get(key); err == nil && (content == nil || int64(len(content)) != one.Size) {
				err = errors.New("its content is not the one that was written")
			}
			if err != nil {
				return fmt.Errorf("the file %s holds the object %q of the bucket %s, which cannot be read; remove the file to start with empty buckets: %w",
					b.file.Path(), key, b.Name, err)
			}
			b.objects[string(key)] = one
			return nil
		})
	})
}

// save writes an object to the file.
func (b *bucket) save(key string, one *object, content []byte) error {
	encoded, err := json.Marshal(one)
	if err != nil {
		return err
	}
	return b.change(func(objects, contents *bbolt.Bucket) error {
		return errors.Join(objects.Put([]byte(key), encoded), contents.Put([]byte(key), content))
	})
}

// erase deletes an object from the file.
func (b *bucket) erase(key string) error {
	return b.change(func(objects, contents *bbolt.Bucket) error {
		return errors.Join(objects.Delete([]byte(key)), contents.Delete([]byte(key)))
	})
}

func (b *bucket) change(write func(objects, contents *bbolt.Bucket) error) error {
	err := b.file.Update(func(transaction *bbolt.Tx) error {
		outer := transaction.Bucket([]byte(bucketPrefix + b.Name))
		return write(outer.Bucket(objectsName), outer.Bucket(contentsName))
	})
	if err != nil {
		return fmt.Errorf("write to the file %s: %w", b.file.Path(), err)
	}
	return nil
}

// contentFrom reads a part of an object's content from the file. It is a copy, so that no slow reader of an answer holds
// the file up.
func (b *bucket) contentFrom(key string, first, length int64) (content []byte, err error) {
	err = b.file.View(func(transaction *bbolt.Tx) error {
		all := transaction.Bucket([]byte(bucketPrefix + b.Name)).Bucket(contentsName).Get([]byte(key))
		if first+length > int64(len(all)) {
			return errors.New("the content is shorter than it was")
		}
		content = bytes.Clone(all[first : first+length])
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the file %s: %w", b.file.Path(), err)
	}
	return content, nil
}
