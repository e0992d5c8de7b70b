package dynamodb_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/datafile"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/dynamodb"
)

// openFile opens a file until the test ends.
func openFile(t testing.TB, path string) *datafile.File {
	t.Helper()
	file, err := datafile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return file
}

// open makes a store with a file, and the tables of the tests.
func open(t testing.TB, file *datafile.File, options ...dynamodb.Option) *dynamodb.Store {
	t.Helper()
	options = append([]dynamodb.Option{dynamodb.WithFile(file), dynamodb.WithClock(func() time.Time { return start })}, options...)
	store := dynamodb.New(options...)
	createTables(t, store)
	return store
}

func TestItemsAreThereAgainAfterARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tables.db")
	file := openFile(t, path)
	store := open(t, file, dynamodb.WithDeletionDelay(0))
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
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}

	store = open(t, openFile(t, path))
	equalJSON(t, "the item", call(t, store, "GetItem", `{"TableName":"records","Key":{"id":{"S":"k"}}}`),
		`{"Item":`+strings.Replace(item, `"e":{"S":""},`, ``, 1)+`}`)
	equalJSON(t, "the number of items", call(t, store, "Scan", `{"TableName":"records","Select":"COUNT"}`), `{"Count":1,"ScannedCount":1}`)
	equalJSON(t, "the other table", call(t, store, "Scan", `{"TableName":"events"}`), `{"Items":[{"source":{"S":"a"},"at":{"N":"-1.5"}}],"Count":1,"ScannedCount":1}`)
}

func TestAWriteIsInTheFileWhenTheOperationAnswers(t *testing.T) {
	directory := t.TempDir()
	store := open(t, openFile(t, filepath.Join(directory, "tables.db")))
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
		items, err := open(t, openFile(t, left)).Items("records")
		if err != nil || len(items) != i+1 {
			t.Fatalf("after %d writes the file has %d items: %v", i+1, len(items), err)
		}
	}
}

func TestAFileOfATableWithAnotherKeyIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tables.db")
	file := openFile(t, path)
	call(t, open(t, file), "PutItem", `{"TableName":"records","Item":{"id":{"S":"k"}}}`)
	for _, key := range []dynamodb.KeyAttribute{{Name: "other", Type: "S"}, {Name: "id", Type: "N"}} {
		err := dynamodb.New(dynamodb.WithFile(file)).CreateTable(dynamodb.TableDefinition{Name: "records", PartitionKey: key})
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "remove the file") {
			t.Errorf("key %v: got %v", key, err)
		}
	}
}

func TestAWriteToAClosedFileFailsAndChangesNothing(t *testing.T) {
	file := openFile(t, filepath.Join(t.TempDir(), "tables.db"))
	store := open(t, file)
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	refusal := refused(t, store, "PutItem", `{"TableName":"records","Item":{"id":{"S":"k"}}}`)
	if refusal.Code != dynamodb.CodeInternalServerError || refusal.StatusCode() != 500 {
		t.Errorf("got %v", refusal)
	}
	equalJSON(t, "the item", call(t, store, "GetItem", `{"TableName":"records","Key":{"id":{"S":"k"}}}`), `{}`)
}
