package main

import (
	"io"
	"strings"
	"testing"
)

func TestWhatIsMissingOrWrongIsSaidAllAtOnce(t *testing.T) {
	err := run(t.Context(), func(name string) string { return map[string]string{"RESEND": "yes"}[name] }, io.Discard)
	for _, want := range []string{"LETTERS is empty; give the URL", "GATEWAY is empty; give the name", `RESEND is "yes"; give true or false`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want %s", err, want)
		}
	}
}
