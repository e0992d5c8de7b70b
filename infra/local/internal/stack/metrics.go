package stack

import (
	"errors"
	"fmt"
	"time"

	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/cloudwatch"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/aws/lambda"
	"github.com/retrying-api-proxy/retrying-api-proxy/infra/local/internal/embeddedmetrics"
)

// keepMetrics has metrics that functions write to their logs, and those that metric filters of the template count there, be told by
// CloudWatch. It comes after keepLogs.
func (s *Stack) keepMetrics(config *Config) error {
	s.CloudWatch = cloudwatch.New()
	further := config.Log
	config.Log = func(e lambda.LogEvent) {
		if e.Type == lambda.LogFunction {
			measured, _ := embeddedmetrics.Read(e.Message)
			for _, m := range measured {
				s.CloudWatch.Put(cloudwatch.Metric(m))
			}
		}
		further(e)
	}
	var problems []error
	for _, f := range s.Template.MetricFilters {
		err := s.Logs.Filter(f.LogGroup, f.Pattern, func(at time.Time, _ string) {
			for _, add := range f.Adds {
				s.CloudWatch.Put(cloudwatch.Metric{Namespace: add.Namespace, Name: add.Metric, Unit: add.Unit, Values: []float64{add.Value}, Time: at})
			}
		})
		if err != nil {
			problems = append(problems, fmt.Errorf("stack: the metric filter %s cannot be counted here; skip it: %w", f.ID, err))
		}
	}
	return errors.Join(problems...)
}

// keepLambdaMetric has what Lambda measures be told by CloudWatch.
func (s *Stack) keepLambdaMetric(m lambda.Metric) {
	dimensions := map[string]string{}
	if m.Function != "" {
		dimensions["FunctionName"] = m.Function
	}
	s.CloudWatch.Put(cloudwatch.Metric{
		Namespace: "AWS/Lambda", Name: m.Name, Unit: m.Unit, Dimensions: dimensions, Values: []float64{m.Value}, Time: m.Time,
	})
}
