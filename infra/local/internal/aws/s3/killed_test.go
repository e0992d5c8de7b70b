package s3_test

import (
	"bufio"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/datafile"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/s3"
)

// fileVariable has this program serve a store with that file, and say where, in the place of the tests.
const fileVariable = "S3_TEST_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(fileVariable); path != "" {
		serveUntilKilled(path)
	}
	os.Exit(m.Run())
}

func serveUntilKilled(path string) {
	file, err := datafile.Open(path)
	if err != nil {
		panic(err)
	}
	store := s3.New(s3.Config{File: file})
	if err := store.CreateBucket(s3.Bucket{Name: "bodies"}); err != nil {
		panic(err)
	}
	fmt.Println(httptest.NewServer(store).URL)
	select {}
}

func TestWhatWasAnsweredSurvivesTheProcessThatIsKilled(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "objects.db")
	for i := range 5 {
		process := exec.CommandContext(t.Context(), os.Args[0])
		process.Env = append(os.Environ(), fileVariable+"="+path)
		output, err := process.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := process.Start(); err != nil {
			t.Fatal(err)
		}
		url, err := bufio.NewReader(output).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		put(t, clientOf(strings.TrimSpace(url)), fmt.Sprint(i), strings.Repeat(fmt.Sprint(i), 6<<20))
		if err := process.Process.Kill(); err != nil { // SIGKILL, as soon as the PUT is answered
			t.Fatal(err)
		}
		_ = process.Wait()
	}
	c := client(t, newStore(t, s3.Config{File: open(t, path)}))
	for i := range 5 {
		if got := content(t, c, fmt.Sprint(i)); got != strings.Repeat(fmt.Sprint(i), 6<<20) {
			t.Errorf("object %d has %d bytes, which begin with %.10q", i, len(got), got)
		}
	}
}
