package scripted

import (
	"testing"
	"time"
)

func TestMomentsAreCountedFromNow(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 12, 0, 0, 999_000_000, time.FixedZone("CET", 3600))
	for text, want := range map[string]string{
		"{date}":                    "Sat, 28 Nov 2026 11:00:00 GMT",
		"in {date+90s}, at {epoch}": "in Sat, 28 Nov 2026 11:01:30 GMT, at 1795863600",
		"{epoch-1h}":                "1795860000",
		"{date+4}, {dates}, {a}":    "{date+4}, {dates}, {a}",
	} {
		if got := Moments(text, now); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}
