package dynamodb_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/dynamodb"
)

// open opens a store in the file, with the tables of the tests.
func open(t testing.TB, path string, options ...dynamodb.Option) *dynamodb.Store {
	t.Helper()
	store, err := dynamodb.Open(path, append([]dynamodb.Option{dynamodb.WithClock(func() time.Time { return start })}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	createTables(t, store)
	return store
}

func TestItemsAreThereAgainAfterARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tables.db")
	store := open(t, path, dynamodb.WithDeletionDelay(0))
	item := `{"id":{"S":"k"},` + sample + `}`
	call(t, store, "PutItem", `{"TableName":"records","Item":`+item+`}`)
	call(t, store, "PutItem", `{"TableName":"records","Item":{"id":{"S":"deleted"}}}`)
	call(t, store, "PutItem", `{"TableName":"records","Item":{"id":{"S":"expired"},"expiration":{"N":"1699999999"}}}`)
	call(t, store, "PutItem", `{"TableName":"events","Item":{"source":{"S":"a"},"at":{"N":"-1.5"}}}`)
	call(t, store, "DeleteItem", `{"TableName":"records","Key":{"id":{"S":"deleted"}}}`)
	call(t, store, "UpdateItem", `{"TableName":"records","Key":{"id":{"S":"k"}},"UpdateExpression":"REMOVE e"}`)
	if deleted, err := store.DeleteExpired(); deleted != 1 || err != nil {
		t.Fatalf("deleted %d: %v", deleted, err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}

	store = open(t, path)
	equalJSON(t, "the item", call(t, store, "GetItem", `{"TableName":"records","Key":{"id":{"S":"k"}}}`),
		`{"Item":`+strings.Replace(item, `"e":{"S":""},`, ``, 1)+`}`)
	equalJSON(t, "the number of items", call(t, store, "Scan", `{"TableName":"records","Select":"COUNT"}`), `{"Count":1,"ScannedCount":1}`)
	equalJSON(t, "the other table", call(t, store, "Scan", `{"TableName":"events"}`), `{"Items":[{"source":{"S":"a"},"at":{"N":"-1.5"}}],"Count":1,"ScannedCount":1}`)
}

func TestAWriteIsInTheFileWhenTheOperationAnswers(t *testing.T) {
	directory := t.TempDir()
	store := open(t, filepath.Join(directory, "tables.db"))
	for i := range 20 {
		call(t, store, "PutItem", fmt.Sprintf(`{"TableName":"records","Item":{"id":{"S":"%d"}}}`, i))
		// What a process that is killed now leaves behind is the file as it is.
		content, err := os.ReadFile(filepath.Join(directory, "tables.db"))
		if err != nil {
			t.Fatal(err)
		}
		left := filepath.Join(directory, fmt.Sprintf("left-%d.db", i))
		if err := os.WriteFile(left, content, 0o600); err != nil {
			t.Fatal(err)
		}
		items, err := open(t, left).Items("records")
		if err != nil || len(items) != i+1 {
			t.Fatalf("after %d writes the file has %d items: %v", i+1, len(items), err)
		}
	}
}

func TestAFileThatIsOpenElsewhereIsSaidToBe(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it waits a second for the lock, in real time")
	}
	path := filepath.Join(t.TempDir(), "tables.db")
	open(t, path)
	if _, err := dynamodb.Open(path); err == nil || !strings.Contains(err.Error(), "another process has it open") {
		t.Errorf("got %v", err)
	}
}

func TestAFileThatCannotBeMadeIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "absent", "tables.db")
	if _, err := dynamodb.Open(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

func TestTheFileIsForItsOwnerAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tables.db")
	open(t, path)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("its mode is %o, want 600", got)
	}
}

func TestASymbolicLinkInThePlaceOfTheFileIsRefusedAndNotFollowed(t *testing.T) {
	directory := t.TempDir()
	for name, target := range map[string]string{"to-an-empty-file": "empty", "to-a-store": "store", "to-nothing": "nothing", "to-itself": "to-itself"} {
		t.Run(name, func(t *testing.T) {
			target, path := filepath.Join(directory, target), filepath.Join(directory, name)
			switch name {
			case "to-an-empty-file":
				if err := os.WriteFile(target, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			case "to-a-store":
				if err := open(t, target).Close(); err != nil {
					t.Fatal(err)
				}
			}
			before, _ := os.ReadFile(target)
			if err := os.Symlink(target, path); err != nil {
				t.Fatal(err)
			}
			_, err := dynamodb.Open(path)
			if err == nil || !strings.Contains(err.Error(), path+": it is a symbolic link; give the path of the file itself") {
				t.Errorf("got %v", err)
			}
			if after, _ := os.ReadFile(target); string(after) != string(before) {
				t.Errorf("the file behind the link was changed: it had %d bytes and has %d", len(before), len(after))
			}
		})
	}
}

func TestAFileOfATableWithAnotherKeyIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tables.db")
	store := open(t, path)
	call(t, store, "PutItem", `{"TableName":"records","Item":{"id":{"S":"k"}}}`)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, key := range []dynamodb.KeyAttribute{{Name: "other", Type: "S"}, {Name: "id", Type: "N"}} {
		store, err := dynamodb.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		err = store.CreateTable(dynamodb.TableDefinition{Name: "records", PartitionKey: key})
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "remove the file") {
			t.Errorf("key %v: got %v", key, err)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAWriteToAClosedFileFailsAndChangesNothing(t *testing.T) {
	store := open(t, filepath.Join(t.TempDir(), "tables.db"))
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	refusal := refused(t, store, "PutItem", `{"TableName":"records","Item":{"id":{"S":"k"}}}`)
	if refusal.Code != dynamodb.CodeInternalServerError || refusal.StatusCode() != 500 {
		t.Errorf("got %v", refusal)
	}
	equalJSON(t, "the item", call(t, store, "GetItem", `{"TableName":"records","Key":{"id":{"S":"k"}}}`), `{}`)
}
