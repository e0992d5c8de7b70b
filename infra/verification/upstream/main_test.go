package main

import (
	"encoding/base64"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/verification/scripted"
)

func TestAllThatIsWrongWithTheEnvironmentIsSaid(t *testing.T) {
	t.Parallel()
	_, err := newUpstream(t.Context(), func(name string) string { return map[string]string{"SECRET_PATH": "a/b"}[name] })
	if err == nil || !strings.Contains(err.Error(), "TABLE_NAME is empty") || !strings.Contains(err.Error(), `SECRET_PATH is "a/b"`) {
		t.Errorf("the error is %v", err)
	}
}

// AWS says of an event's path and query what arrived, and decodes its body only if that is text.
func TestAnArrivalIsWhatTheEventSays(t *testing.T) {
	t.Parallel()
	r := request{
		RawPath: "/secret/case/a%2Fb", RawQueryString: "x=%20&y", Headers: map[string]string{"x-tea": "green,black", "host": "h"}, Cookies: []string{"a=1", "b=2"},
		Body: base64.StdEncoding.EncodeToString([]byte("\x00tea")), IsBase64Encoded: true,
	}
	r.RequestContext.HTTP.Method = "PURGE"
	got, err := arrivalOf(r, "/a%2Fb")
	want := scripted.Arrival{
		Method: "PURGE", Target: "/a%2Fb?x=%20&y", Body: []byte("\x00tea"),
		Fields: []scripted.Field{{Name: "cookie", Value: "a=1; b=2"}, {Name: "host", Value: "h"}, {Name: "x-tea", Value: "green,black"}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("it is %+v (%v), want %+v", got, err, want)
	}
	r.Body = "%"
	if _, err := arrivalOf(r, "/"); err == nil {
		t.Error("a body that is not base64 is taken")
	}
}

func TestAnAnswerHasMomentsOfWhenItIsGivenAndBodiesWhereThereAreSome(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 11, 0, 0, 0, time.UTC)
	reply := scripted.Reply{
		Status: http.StatusOK, Body: scripted.Body{Bytes: []byte("tea "), Times: 3},
		Fields: []scripted.Field{{Name: "x-list", Value: "a"}, {Name: "X-List", Value: "b"}, {Name: "set-cookie", Value: "a=1"}, {Name: "Set-Cookie", Value: "b=2"}, {Name: "Retry-After", Value: "{date+5s}"}},
	}
	got := answer(reply, http.MethodGet, now)
	want := response{
		StatusCode: http.StatusOK, Cookies: []string{"a=1", "b=2"}, Body: base64.StdEncoding.EncodeToString([]byte("tea tea tea ")), IsBase64Encoded: true,
		Headers: map[string]string{"X-List": "a, b", "Retry-After": "Sat, 28 Nov 2026 11:00:05 GMT"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("it is %+v, want %+v", got, want)
	}
	if head := answer(reply, http.MethodHead, now); head.Body != "" || head.Headers["X-List"] != "a, b" {
		t.Errorf("to HEAD it is %+v, want no body", head)
	}
	for _, status := range []int{http.StatusNoContent, http.StatusNotModified} {
		reply.Status = status
		if got := answer(reply, http.MethodGet, now); got.Body != "" {
			t.Errorf("with %d it has the body %s", status, got.Body)
		}
	}
}
