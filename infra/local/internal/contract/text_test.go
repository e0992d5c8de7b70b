package contract

import (
	"net/http"
	"strconv"
	"testing"
	"time"
)

func TestTextsHoldWhatIsKnownOnlyWhenACaseIsRun(t *testing.T) {
	t.Parallel()
	v := values{"{path}": "/run-1", "{via}": "1.1 a"}
	for text, want := range map[Text]string{
		`GET {path}/a`:         "GET /run-1/a",
		`Via: {via} ({other})`: "Via: 1.1 a ({other})",
		`caf\xE9 \x00\xff \xg`: "caf\xe9 \x00\xff \\xg",
		`{k*3}{a*0}!`:          "kkk!",
		`{"id": 7}`:            `{"id": 7}`,
	} {
		if got := v.text(text); got != want {
			t.Errorf("%s becomes %q, want %q", text, got, want)
		}
	}
}

func TestMomentsAreToldFromNow(t *testing.T) {
	t.Parallel()
	before := time.Now().Truncate(time.Second)
	date, err := http.ParseTime(values{}.text("{date+2m}"))
	if err != nil || date.Before(before.Add(2*time.Minute)) || date.After(time.Now().Add(2*time.Minute)) {
		t.Errorf("in two minutes it is %v (%v)", date, err)
	}
	epoch, err := strconv.ParseInt(values{}.text("{epoch-30s}"), 10, 64)
	if err != nil || epoch < before.Unix()-30 || epoch > time.Now().Unix()-30 {
		t.Errorf("half a minute ago it was %d (%v)", epoch, err)
	}
}

func TestPreferencesForTheEndpointAreToldFromThoseForTheUpstream(t *testing.T) {
	t.Parallel()
	for sent, want := range map[string]string{
		"wait=5": "", "Wait = 5, attempts=2": "", "return=minimal, wait=5": "return=minimal", `x="a, wait=3"`: `x="a, wait=3"`,
		`x="\", wait=3", wait=5,y`: `x="\", wait=3",y`, "waiting": "waiting",
	} {
		if got := join("Prefer", forUpstream([]string{sent})); got != want {
			t.Errorf("of %s goes on %q, want %q", sent, got, want)
		}
	}
}
