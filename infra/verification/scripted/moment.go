package scripted

import (
	"net/http"
	"regexp"
	"strconv"
	"time"
)

// Moment matches what stands for a moment: {date} or {epoch}, which are now and which a distance may follow.
var Moment = regexp.MustCompile(`\{(date|epoch)(?:([+-])([0-9]+[smh]))?\}`)

// Moments puts moments in the place of what stands for them: of {date+4s} the date in four seconds as header fields have it
// (RFC 9110 section 5.6.7), and of {epoch-1m} the seconds from 1970 up to a minute ago.
func Moments(text string, now time.Time) string {
	return Moment.ReplaceAllStringFunc(text, func(name string) string {
		parts, at := Moment.FindStringSubmatch(name), now
		if parts[2] != "" {
			distance, _ := time.ParseDuration(parts[2] + parts[3])
			at = at.Add(distance)
		}
		if parts[1] == "epoch" {
			return strconv.FormatInt(at.Unix(), 10)
		}
		return at.UTC().Format(http.TimeFormat)
	})
}
