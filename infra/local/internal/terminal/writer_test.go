package terminal_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/terminal"
)

func TestWhatIsWrittenIsPrintable(t *testing.T) {
	var out bytes.Buffer
	w := terminal.NewWriter(&out, func() { t.Error("it is broken") })
	const line = "upstream \x1b[31mhttp://a.example\n"
	if n, err := io.WriteString(w, line); n != len(line) || err != nil {
		t.Errorf("it wrote %d bytes of %d: %v", n, len(line), err)
	}
	if got, want := out.String(), "upstream \\x1b[31mhttp://a.example\n"; got != want {
		t.Errorf("it wrote %q, want %q", got, want)
	}
}

func TestAReaderThatGoesAwayIsNoticedOnce(t *testing.T) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGPIPE)
	defer signal.Stop(signals)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer write.Close()
	broken := 0
	w := terminal.NewWriter(write, func() { broken++ })
	fmt.Fprintln(w, "one")
	if broken != 0 {
		t.Error("it is broken while there is a reader")
	}
	read.Close()
	if _, err := fmt.Fprintln(w, "two"); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("the error is %v, want EPIPE", err)
	}
	if _, err := fmt.Fprintln(w, "three"); err != nil {
		t.Errorf("what comes later is not dropped: %v", err)
	}
	if broken != 1 {
		t.Errorf("it was noticed %d times, want once", broken)
	}
}

// A full disk, for one, may have room again.
func TestAnotherErrorIsNoReasonToEnd(t *testing.T) {
	w := terminal.NewWriter(full{}, func() { t.Error("it is broken") })
	for range 2 {
		if _, err := fmt.Fprintln(w, "one"); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("the error is %v, want ENOSPC", err)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }
