package cloudwatch

import (
	"regexp"
	"strconv"
	"strings"
)

// statistics are those that have names.
var statistics = map[string]func(*values) float64{
	"SampleCount": func(v *values) float64 { return v.count },
	"Sum":         func(v *values) float64 { return v.sum },
	"Average":     func(v *values) float64 { return v.sum / v.count },
	"Minimum":     func(v *values) float64 { return v.minimum },
	"Maximum":     func(v *values) float64 { return v.maximum },
}

// statisticNames lists them for errors.
const statisticNames = "Average, Maximum, Minimum, SampleCount, Sum"

// percentileForm is how a percentile is written, such as p99.9.
var percentileForm = regexp.MustCompile(`^p(\d{1,3}(?:\.\d{1,10})?)$`)

// percentileOf reads a percentile. ok is false if it is none that is supported here.
func percentileOf(statistic string) (of func(*values) float64, ok bool) {
	text := percentileForm.FindStringSubmatch(statistic)
	if text == nil {
		return nil, false
	}
	percent, err := strconv.ParseFloat(text[1], 64)
	if err != nil || percent > 100 {
		return nil, false
	}
	return func(v *values) float64 { return v.percentile(percent) }, true
}

// units are CloudWatch's.
var units = strings.Fields("Seconds Microseconds Milliseconds Bytes Kilobytes Megabytes Gigabytes Terabytes Bits Kilobits Megabits " +
	"Gigabits Terabits Percent Count Bytes/Second Kilobytes/Second Megabytes/Second Gigabytes/Second Terabytes/Second Bits/Second " +
	"Kilobits/Second Megabits/Second Gigabits/Second Terabits/Second Count/Second None")
