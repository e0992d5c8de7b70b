package s3_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/datafile"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/s3"
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

// stores are the ways to keep objects: nil stands for the memory.
func stores(t testing.TB) map[string]*datafile.File {
	t.Helper()
	return map[string]*datafile.File{"in memory": nil, "in a file": open(t, filepath.Join(t.TempDir(), "objects.db"))}
}

// copied is a copy of a file as it is, which is what a process that is killed now leaves behind.
func copied(t testing.TB, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(t.TempDir(), "left.db")
	if err := os.WriteFile(left, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return left
}

func TestAWriteIsInTheFileWhenItIsAnswered(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "objects.db")
	c := client(t, newStore(t, s3.Config{File: open(t, path)}))
	var want []string
	for i := range 8 {
		put(t, c, fmt.Sprint(i), strings.Repeat("x", i<<17))
		want = append(want, fmt.Sprint(i))
		left := client(t, newStore(t, s3.Config{File: open(t, copied(t, path))}))
		if got := keys(t, left, ""); !cmp.Equal(got, want) {
			t.Fatalf("after %d writes the file has the keys %q", i+1, got)
		}
		if got := content(t, left, fmt.Sprint(i)); got != strings.Repeat("x", i<<17) {
			t.Errorf("after %d writes the last object has %d bytes, want %d", i+1, len(got), i<<17)
		}
	}
}

func TestObjectsAreThereAgainAfterARestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "objects.db")
	file := open(t, path)
	c := client(t, newStore(t, s3.Config{File: file}))
	put(t, c, "replaced", "first")
	put(t, c, "replaced", "second")
	put(t, c, "empty", "")
	put(t, c, "deleted", "gone")
	if _, err := c.DeleteObject(t.Context(), &sdk.DeleteObjectInput{Bucket: aws.String("bodies"), Key: aws.String("deleted")}); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	c = client(t, newStore(t, s3.Config{File: open(t, path)}))
	if got := keys(t, c, ""); !cmp.Equal(got, []string{"empty", "replaced"}) {
		t.Errorf("the keys are %q", got)
	}
	if got := content(t, c, "replaced"); got != "second" {
		t.Errorf("the content is %q, want second", got)
	}
	if got := content(t, c, "empty"); got != "" {
		t.Errorf("the content that had no bytes is %q", got)
	}
	head, err := c.HeadObject(t.Context(), &sdk.HeadObjectInput{Bucket: aws.String("bodies"), Key: aws.String("replaced"), IfMatch: aws.String(`"a9f0e61a137d86aa9db53465e0801612"`)})
	if err != nil || !head.LastModified.Equal(written) { // the MD5 of "second"
		t.Errorf("HEAD got %+v %v", head, err)
	}
}

// torn breaks the last transaction of a file: the newer of its two pages of metadata, which is written at its end, is as if
// half of it had been written.
func torn(t testing.TB, path string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// A page has a header of 16 bytes. Behind it are magic, version, page size, flags, root, freelist, page id, transaction id.
	const transactionID = 16 + 48
	size := os.Getpagesize()
	newer := 0
	if binary.NativeEndian.Uint64(content[size+transactionID:]) > binary.NativeEndian.Uint64(content[transactionID:]) {
		newer = size
	}
	copy(content[newer+16+32:newer+16+64], bytes.Repeat([]byte{0xff}, 32))
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestATornLastWriteLeavesTheObjectThatWasThereBefore(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "objects.db")
	file := open(t, path)
	c := client(t, newStore(t, s3.Config{File: file}))
	put(t, c, "k", strings.Repeat("old", 1<<19))
	put(t, c, "k", strings.Repeat("new", 1<<19))
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	torn(t, path)
	c = client(t, newStore(t, s3.Config{File: open(t, path)}))
	if got := content(t, c, "k"); got != strings.Repeat("old", 1<<19) {
		t.Errorf("the object has %d bytes, which begin with %.10q, want the old ones", len(got), got)
	}
	put(t, c, "k", "newest")
	if got := content(t, c, "k"); got != "newest" {
		t.Errorf("afterwards the object is %.10q, want newest", got)
	}
}

func TestAnObjectThatIsNotWholeIsSaidToBe(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "objects.db")
	file := open(t, path)
	put(t, client(t, newStore(t, s3.Config{File: file})), "k", "content")
	for what, content := range map[string][]byte{"shorter than it was": []byte("con"), "not there": nil} {
		if err := file.Write(datafile.Change{Bucket: "s3:bodies:contents", Key: "k", Value: content}); err != nil {
			t.Fatal(err)
		}
		err := s3.New(s3.Config{File: file}).CreateBucket(s3.Bucket{Name: "bodies"})
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), `the object "k" of the bucket bodies`) {
			t.Errorf("where the content is %s: got %v, want the file and the object in it", what, err)
		}
	}
}
