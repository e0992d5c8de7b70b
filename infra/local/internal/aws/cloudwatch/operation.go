package cloudwatch

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// operations are the supported operations by name.
var operations = map[string]func(*Store, []byte) (any, error){
	"GetMetricData":       reading((*Store).getMetricData),
	"GetMetricStatistics": reading((*Store).getMetricStatistics),
	"ListMetrics":         reading((*Store).listMetrics),
}

// Call runs an operation with its parameters in JSON, where moments are seconds since 1970. Its output has the form of the
// documentation: maps, slices, texts and numbers, and moments as time.Time. Every error is an [*Error].
func (s *Store) Call(operation string, input []byte) (any, error) {
	run, known := operations[operation]
	if !known {
		return nil, refusal(CodeUnknownOperation, "The local CloudWatch has no operation %s; it has %s",
			operation, strings.Join(slices.Sorted(maps.Keys(operations)), ", "))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return run(s, input)
}

// reading makes an operation of a function of its parameters. Those that the operation does not have here are refused by name,
// so that none is ignored.
func reading[In any](run func(*Store, *In) (any, error)) func(*Store, []byte) (any, error) {
	return func(s *Store, input []byte) (any, error) {
		var in In
		decoder := json.NewDecoder(bytes.NewReader(input))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&in); err != nil {
			var wrong *json.UnmarshalTypeError
			if errors.As(err, &wrong) && wrong.Field != "" {
				return nil, refusal(CodeSerialization, "The parameter %s has the wrong type", wrong.Field)
			}
			// encoding/json has no type for this error.
			if name, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
				return nil, refusal(CodeUnsupported, "The local CloudWatch does not support the parameter %s here", strings.Trim(name, `"`))
			}
			return nil, refusal(CodeSerialization, "The request is not what the operation takes")
		}
		return run(s, &in)
	}
}

// A moment is given in seconds since 1970.
type moment float64

// toTheMinute is the moment without its seconds, as standard metrics are asked for.
func (m moment) toTheMinute() time.Time {
	seconds := int64(math.Floor(float64(m)))
	return time.Unix(seconds-((seconds%60)+60)%60, 0).UTC()
}

// time is the moment without parts of a second.
func (m moment) time() time.Time { return time.Unix(int64(math.Floor(float64(m))), 0).UTC() }

// A dimension is a parameter, and a part of an answer.
type dimension struct{ Name, Value string }

func dimensionsFrom(list []dimension) map[string]string {
	dimensions := map[string]string{}
	for _, d := range list {
		dimensions[d.Name] = d.Value
	}
	return dimensions
}

// periodFrom reads a period.
func periodFrom(seconds int) (time.Duration, error) {
	if seconds < 1 || seconds%60 != 0 && !slices.Contains([]int{1, 5, 10, 20, 30}, seconds) {
		return 0, refusal(CodeInvalidParameterValue, "The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60; it is %d.", seconds)
	}
	return time.Duration(seconds) * time.Second, nil
}

func checkUnit(unit string) error {
	if unit != "" && !slices.Contains(units, unit) {
		return refusal(CodeInvalidParameterValue, "The parameter Unit must be one of %s; it is %q.", strings.Join(units, ", "), unit)
	}
	return nil
}

// maxDataPoints is how many data points an answer may have.
const maxDataPoints = 1440

func (s *Store) getMetricStatistics(in *struct {
	Namespace, MetricName string
	Dimensions            []dimension
	StartTime, EndTime    *moment
	Period                *int
	Statistics            []string
	ExtendedStatistics    []string
	Unit                  string
}) (any, error) {
	for _, required := range []struct {
		name    string
		missing bool
	}{
		{"Namespace", in.Namespace == ""}, {"MetricName", in.MetricName == ""}, {"StartTime", in.StartTime == nil},
		{"EndTime", in.EndTime == nil}, {"Period", in.Period == nil},
	} {
		if required.missing {
			return nil, refusal(CodeMissingParameter, "The parameter %s is required.", required.name)
		}
	}
	period, err := periodFrom(*in.Period)
	if err != nil {
		return nil, err
	}
	if err := checkUnit(in.Unit); err != nil {
		return nil, err
	}
	switch {
	case *in.StartTime == *in.EndTime:
		return nil, refusal(CodeInvalidParameterValue, "The parameter StartTime must not equal parameter EndTime.")
	case *in.StartTime > *in.EndTime:
		return nil, refusal(CodeInvalidParameterValue, "The parameter StartTime must be less than the parameter EndTime.")
	case len(in.Statistics)+len(in.ExtendedStatistics) == 0:
		return nil, refusal(CodeInvalidParameterCombination, "At least one of the parameters Statistics and ExtendedStatistics must be specified.")
	}
	for _, statistic := range in.Statistics {
		if statistics[statistic] == nil {
			return nil, refusal(CodeInvalidParameterValue, "The parameter Statistics must be one or more of %s; it has %q.", statisticNames, statistic)
		}
	}
	for _, statistic := range in.ExtendedStatistics {
		if _, ok := percentileOf(statistic); !ok {
			return nil, refusal(CodeInvalidParameterValue, "The parameter ExtendedStatistics may have percentiles from p0 to p100 here; it has %q.", statistic)
		}
	}
	start, end := in.StartTime.toTheMinute(), in.EndTime.time()
	if n := int64(math.Ceil(float64(end.Sub(start)) / float64(period))); n > maxDataPoints {
		return nil, refusal(CodeInvalidParameterCombination, "You have requested up to %d datapoints, which exceeds the limit of %d. "+
			"You may reduce the datapoints requested by increasing Period, or decreasing the time range.", n, maxDataPoints)
	}

	points := []any{}
	if kept := s.all[keyOf(in.Namespace, in.MetricName, dimensionsFrom(in.Dimensions))]; kept != nil {
		for _, unit := range slices.Sorted(maps.Keys(kept.units)) {
			if in.Unit != "" && in.Unit != unit {
				continue
			}
			periods := kept.units[unit].in(start, end, period)
			for _, begin := range slices.SortedFunc(maps.Keys(periods), time.Time.Compare) {
				point := map[string]any{"Timestamp": begin, "Unit": unit}
				for _, statistic := range in.Statistics {
					point[statistic] = statistics[statistic](periods[begin])
				}
				extended := map[string]any{}
				for _, statistic := range in.ExtendedStatistics {
					percentile, _ := percentileOf(statistic)
					extended[statistic] = percentile(periods[begin])
				}
				if len(extended) > 0 {
					point["ExtendedStatistics"] = extended
				}
				points = append(points, point)
			}
		}
	}
	return map[string]any{"Label": in.MetricName, "Datapoints": points}, nil
}

// maxQueries is how many metrics GetMetricData may ask for.
const maxQueries = 500

// A metricQuery asks for one statistic of one metric.
type metricQuery struct {
	Id, Label, Expression string
	ReturnData            *bool
	MetricStat            *struct {
		Metric struct {
			Namespace, MetricName string
			Dimensions            []dimension
		}
		Period     int
		Stat, Unit string
	}
}

func (s *Store) getMetricData(in *struct {
	MetricDataQueries  []metricQuery
	StartTime, EndTime *moment
	ScanBy             string
}) (any, error) {
	switch {
	case in.StartTime == nil || in.EndTime == nil:
		return nil, refusal(CodeMissingParameter, "The parameters StartTime and EndTime are required.")
	case *in.StartTime == *in.EndTime:
		return nil, refusal(CodeValidation, "The parameter StartTime must not equal parameter EndTime.")
	case *in.StartTime > *in.EndTime:
		return nil, refusal(CodeValidation, "The parameter EndTime must be greater than StartTime.")
	case len(in.MetricDataQueries) == 0 || len(in.MetricDataQueries) > maxQueries:
		return nil, refusal(CodeValidation, "The parameter MetricDataQueries must have 1 to %d queries; it has %d.", maxQueries, len(in.MetricDataQueries))
	case !slices.Contains([]string{"", "TimestampAscending", "TimestampDescending"}, in.ScanBy):
		return nil, refusal(CodeValidation, "The parameter ScanBy must be TimestampAscending or TimestampDescending; it is %q.", in.ScanBy)
	}
	results := []any{}
	for _, query := range in.MetricDataQueries {
		points, err := s.points(query, *in.StartTime, *in.EndTime)
		if err != nil {
			return nil, err
		}
		if query.ReturnData != nil && !*query.ReturnData {
			continue
		}
		times := slices.SortedFunc(maps.Keys(points), time.Time.Compare)
		if in.ScanBy != "TimestampAscending" { // which is not the default
			slices.Reverse(times)
		}
		timestamps, values := []any{}, []any{}
		for _, at := range times {
			timestamps, values = append(timestamps, at), append(values, points[at])
		}
		label := query.Label
		if label == "" {
			label = query.MetricStat.Metric.MetricName
		}
		results = append(results, map[string]any{"Id": query.Id, "Label": label, "Timestamps": timestamps, "Values": values, "StatusCode": "Complete"})
	}
	return map[string]any{"MetricDataResults": results}, nil
}

// points are the values of a query by the beginnings of their periods.
func (s *Store) points(query metricQuery, start, end moment) (map[time.Time]float64, error) {
	asked := query.MetricStat
	if asked == nil || query.Expression != "" {
		return nil, refusal(CodeUnsupported, "The query %q has no MetricStat, or an Expression; the local CloudWatch has no metric math and no Metrics Insights", query.Id)
	}
	period, err := periodFrom(asked.Period)
	if err != nil {
		return nil, err
	}
	if err := checkUnit(asked.Unit); err != nil {
		return nil, err
	}
	of, known := statistics[asked.Stat]
	if !known {
		if of, known = percentileOf(asked.Stat); !known {
			return nil, refusal(CodeValidation, "The Stat of the query %q is %q; the local CloudWatch has %s and percentiles", query.Id, asked.Stat, statisticNames)
		}
	}
	points := map[time.Time]float64{}
	kept := s.all[keyOf(asked.Metric.Namespace, asked.Metric.MetricName, dimensionsFrom(asked.Metric.Dimensions))]
	if kept == nil {
		return points, nil
	}
	all := minutes{}
	for unit, of := range kept.units {
		if asked.Unit != "" && asked.Unit != unit {
			continue
		}
		for minute, measured := range of {
			if before := all[minute]; before != nil {
				measured = before.and(measured)
			}
			all[minute] = measured
		}
	}
	for begin, measured := range all.in(start.toTheMinute(), end.time(), period) {
		points[begin] = of(measured)
	}
	return points, nil
}

func (s *Store) listMetrics(in *struct {
	Namespace, MetricName string
	Dimensions            []struct {
		Name  string
		Value *string
	}
}) (any, error) {
	metrics := []any{}
	for _, key := range slices.Sorted(maps.Keys(s.all)) {
		kept := s.all[key]
		if in.Namespace != "" && in.Namespace != kept.namespace || in.MetricName != "" && in.MetricName != kept.name {
			continue
		}
		matches := true
		for _, filter := range in.Dimensions {
			value, has := kept.dimensions[filter.Name]
			matches = matches && has && (filter.Value == nil || *filter.Value == value)
		}
		if !matches {
			continue
		}
		dimensions := []any{}
		for _, name := range slices.Sorted(maps.Keys(kept.dimensions)) {
			dimensions = append(dimensions, map[string]any{"Name": name, "Value": kept.dimensions[name]})
		}
		metrics = append(metrics, map[string]any{"Namespace": kept.namespace, "MetricName": kept.name, "Dimensions": dimensions})
	}
	return map[string]any{"Metrics": metrics}, nil
}
