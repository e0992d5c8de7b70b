package stack_test

import (
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/stepfunctions/clock"
)

// The upstream's 20 s are over after the first wait, however fast it passed.
func TestAFloorThatWasWaitedForIsNotWaitedForAgain(t *testing.T) {
	t.Parallel()
	u := play(t, status(503, "Retry-After", "20"), status(500), status(200))
	s := start(t, u.URL, from(oneProxy))
	get(t, s, "/").expect(t, 200, "OK", "proxy-1; received-status=503, proxy-1; received-status=500, proxy-1; received-status=200")
	all := attempts(t, s)
	waitsAtLeast(t, all, 20*time.Second, "Retry-After")
	if wait := time.Duration(all[1].Wait) * time.Millisecond; wait > 2*time.Second || !strings.Contains(all[1].Why, "backoff") {
		t.Errorf("after the second attempt it waited %v (%s), want a backoff of up to 2 s", wait, all[1].Why)
	}
}

func TestAWaitThatPassesFasterUsesUpAsMuchOfTheDeadline(t *testing.T) {
	t.Parallel()
	u := play(t, status(503, "Retry-After", "40"), status(503, "Retry-After", "40"))
	s := start(t, u.URL, from(oneProxy))
	get(t, s, "/").expect(t, 503, "Service Unavailable", "proxy-1; received-status=503, proxy-1; received-status=503")
	if failure := failureOf(t, s); failure != "DeadlineExceeded" {
		t.Errorf("the execution ended with %q, want DeadlineExceeded: two waits of 40 s do not fit into a minute", failure)
	}
}

func TestAClockAndASpeedAreRefusedTogether(t *testing.T) {
	t.Parallel()
	says(t, refused(t, func(_ testing.TB, c *config) {
		c.Clock, c.Speed = clock.NewVirtual(time.Now()), 2
	}), "Clock", "Speed")
}
