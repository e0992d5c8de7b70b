package s3

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/datafile"
)

// objectsName is where the file has the objects of the bucket, by key, in JSON without their contents. No name of a table has
// a colon.
func (b *bucket) objectsName() string { return "s3:" + b.Name + ":objects" }

// contentsName is where it has the contents, by key, which so are read when they are wanted only.
func (b *bucket) contentsName() string { return "s3:" + b.Name + ":contents" }

// load reads the objects of the bucket from the file.
func (b *bucket) load() error {
	sizes := map[string]int64{}
	if err := b.file.Load(b.contentsName(), func(key string, content []byte) error {
		sizes[key] = int64(len(content))
		return nil
	}); err != nil {
		return err
	}
	return b.file.Load(b.objectsName(), func(key string, encoded []byte) error {
		one := new(object)
		err := json.Unmarshal(encoded, one)
		if size, there := sizes[key]; err == nil && (!there || size != one.Size) {
			err = errors.New("its content is not the one that was written")
		}
		if err != nil {
			return fmt.Errorf("it holds the object %q of the bucket %s, which cannot be read; remove the file to start with empty buckets: %w",
				key, b.Name, err)
		}
		b.objects[key] = one
		return nil
	})
}

// save writes an object to the file. The content is not nil, also where it has no bytes.
func (b *bucket) save(key string, one *object, content []byte) error {
	encoded, err := json.Marshal(one)
	if err != nil {
		return err
	}
	return b.file.Write(
		datafile.Change{Bucket: b.objectsName(), Key: key, Value: encoded},
		datafile.Change{Bucket: b.contentsName(), Key: key, Value: content},
	)
}

// erase deletes an object from the file.
func (b *bucket) erase(key string) error {
	return b.file.Write(datafile.Change{Bucket: b.objectsName(), Key: key}, datafile.Change{Bucket: b.contentsName(), Key: key})
}

// contentFrom reads a part of an object's content from the file. It is a copy, so that no slow reader of an answer holds
// the file up.
func (b *bucket) contentFrom(key string, first, length int64) (content []byte, err error) {
	err = b.file.Read(b.contentsName(), key, func(all []byte) error {
		if first+length > int64(len(all)) {
			return errors.New("the content is shorter than it was")
		}
		content = bytes.Clone(all[first : first+length])
		return nil
	})
	return content, err
}
