package datafile_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/datafile"
)

// open opens a file until the test ends.
func open(t testing.TB, path string) *datafile.File {
	t.Helper()
	file, err := datafile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return file
}

// held is what a bucket holds, as lines of keys and values.
func held(t testing.TB, file *datafile.File, bucket string) (lines []string) {
	t.Helper()
	if err := file.Load(bucket, func(key string, value []byte) error {
		lines = append(lines, key+"="+string(value))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return lines
}

// read is the value under a key, in quotes, or none.
func read(t testing.TB, file *datafile.File, bucket, key string) (got string) {
	t.Helper()
	if err := file.Read(bucket, key, func(value []byte) error {
		if got = "none"; value != nil {
			got = fmt.Sprintf("%q", value)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return got
}

func put(bucket, key, value string) datafile.Change {
	return datafile.Change{Bucket: bucket, Key: key, Value: []byte(value)}
}

func write(t testing.TB, file *datafile.File, changes ...datafile.Change) {
	t.Helper()
	if err := file.Write(changes...); err != nil {
		t.Fatal(err)
	}
}

func TestWhatWasWrittenIsThereAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data.db")
	file := open(t, path)
	write(t, file, put("a", "2", "two"), put("a", "1", "one"), put("b", "1", "other"))
	write(t, file, put("a", "2", "second"), datafile.Change{Bucket: "b", Key: "1"}, datafile.Change{Bucket: "c", Key: "absent"})
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	file = open(t, path)
	if got := held(t, file, "a"); !slices.Equal(got, []string{"1=one", "2=second"}) {
		t.Errorf("bucket a holds %q", got)
	}
	for _, bucket := range []string{"b", "c", "never"} {
		if got := held(t, file, bucket); len(got) > 0 {
			t.Errorf("bucket %s holds %q", bucket, got)
		}
	}
}

func TestAValueIsReadByItsKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data.db")
	file := open(t, path)
	write(t, file, put("a", "1", "one"), put("a", "empty", ""))
	for _, c := range []struct{ bucket, key, want string }{
		{"a", "1", `"one"`}, {"a", "empty", `""`}, {"a", "2", "none"}, {"never", "1", "none"},
	} {
		if got := read(t, file, c.bucket, c.key); got != c.want {
			t.Errorf("under %s in bucket %s there is %s, want %s", c.key, c.bucket, got, c.want)
		}
	}
	wrong := errors.New("not a number")
	if err := file.Read("a", "1", func([]byte) error { return wrong }); !errors.Is(err, wrong) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, open(t, path), "a", "empty"); got != `""` {
		t.Errorf("when the file is opened again, the value without bytes is %s", got)
	}
}

func TestWhatWasWrittenIsInTheFileThatASuddenEndLeaves(t *testing.T) {
	directory := t.TempDir()
	file := open(t, filepath.Join(directory, "data.db"))
	for i := range 20 {
		write(t, file, put("a", fmt.Sprint(i), "x"), put("b", fmt.Sprint(i), "x"))
		content, err := os.ReadFile(filepath.Join(directory, "data.db"))
		if err != nil {
			t.Fatal(err)
		}
		left := filepath.Join(directory, fmt.Sprintf("left-%d.db", i))
		if err := os.WriteFile(left, content, 0o600); err != nil {
			t.Fatal(err)
		}
		again := open(t, left)
		if a, b := len(held(t, again, "a")), len(held(t, again, "b")); a != i+1 || b != i+1 {
			t.Fatalf("after %d writes of two changes the file holds %d and %d values", i+1, a, b)
		}
	}
}

func TestOfChangesThatFailTogetherNoneIsMade(t *testing.T) {
	file := open(t, filepath.Join(t.TempDir(), "data.db"))
	if err := file.Write(put("a", "1", "one"), put("a", "", "a value needs a key")); err == nil {
		t.Fatal("there was no error")
	}
	if got := held(t, file, "a"); len(got) > 0 {
		t.Errorf("the bucket holds %q", got)
	}
}

func TestAnErrorInAValueNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data.db")
	file := open(t, path)
	write(t, file, put("a", "1", "one"))
	wrong := errors.New("not a number")
	err := file.Load("a", func(string, []byte) error { return wrong })
	if !errors.Is(err, wrong) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

func TestAClosedFileTakesNoChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data.db")
	file := open(t, path)
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if err := file.Write(put("a", "1", "one")); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

func TestNoFileTakesEverythingAndKeepsNothing(t *testing.T) {
	var none *datafile.File
	write(t, none, put("a", "1", "one"))
	if got := held(t, none, "a"); len(got) > 0 {
		t.Errorf("it holds %q", got)
	}
	if got := read(t, none, "a", "1"); got != "none" {
		t.Errorf("under a key it holds %s", got)
	}
	if err := none.Close(); err != nil {
		t.Error(err)
	}
}

func TestAFileThatIsOpenElsewhereIsSaidToBe(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it waits a second for the lock, in real time")
	}
	path := filepath.Join(t.TempDir(), "data.db")
	open(t, path)
	if _, err := datafile.Open(path); err == nil || !strings.Contains(err.Error(), "another process has it open") {
		t.Errorf("got %v", err)
	}
}

func TestAFileThatCannotBeMadeIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "absent", "data.db")
	if _, err := datafile.Open(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

func TestTheFileIsForItsOwnerAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data.db")
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
			_, err := datafile.Open(path)
			if err == nil || !strings.Contains(err.Error(), path+": it is a symbolic link; give the path of the file itself") {
				t.Errorf("got %v", err)
			}
			if after, _ := os.ReadFile(target); string(after) != string(before) {
				t.Errorf("the file behind the link was changed: it had %d bytes and has %d", len(before), len(after))
			}
		})
	}
}
