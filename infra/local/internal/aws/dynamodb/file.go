package dynamodb

import (
	"encoding/json"
	"fmt"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/datafile"
)

// WithFile keeps items in a file, too, so that they are there again in a store that is made with it later. Tables are not
// made from the file: [Store.CreateTable] finds the items of the table in it, in the bucket of its name. Settings of tables,
// such as time to live, are not kept. A write is in the file when the operation answers. The caller closes the file;
// operations that write fail afterwards. The default is nil: items are in memory only.
func WithFile(file *datafile.File) Option { return func(s *Store) { s.file = file } }

// load reads the items of the table from the file.
func (t *table) load() error {
	return t.file.Load(t.definition.Name, func(key string, encoded []byte) error {
		var it item
		err := json.Unmarshal(encoded, &it)
		if err == nil {
			err = t.definition.checkItem(it)
		}
		if err == nil && t.definition.encodeKey(it) != key {
			err = errKeySchema
		}
		if err != nil {
			return fmt.Errorf("it holds an item that does not fit the key of table %s; remove the file to start with empty tables: %w",
				t.definition.Name, err)
		}
		t.items[key] = it
		return nil
	})
}

// save writes an item to the file.
func (t *table) save(key string, it item) error {
	encoded, err := json.Marshal(it)
	if err != nil {
		return err
	}
	return t.write(datafile.Change{Bucket: t.definition.Name, Key: key, Value: encoded})
}

// erase deletes an item from the file.
func (t *table) erase(key string) error {
	return t.write(datafile.Change{Bucket: t.definition.Name, Key: key})
}

func (t *table) write(change datafile.Change) error {
	if err := t.file.Write(change); err != nil {
		return &Error{Code: CodeInternalServerError, Message: err.Error()}
	}
	return nil
}
